"""`stylekit apply`: stylize photos, videos and folders."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from stylekit.apply.report_file import report_lines
from stylekit.apply.reports import BatchReport
from stylekit.cli import options
from stylekit.cli.apply_printer import Printer
from stylekit.cli.completion import applicable_styles
from stylekit.cli.console import ExitCode, Output
from stylekit.cli.hints import check_inputs, check_output, check_styles, input_path
from stylekit.cli.options import inputs, look, machine, output, video
from stylekit.cli.parsing import parse_format, parse_share, parse_shares, parse_stroke_size, parse_tile, parse_time
from stylekit.cli.process import uncollected
from stylekit.cli.streams import STREAM, is_stream, read_list, streamed
from stylekit.config.apply import CODECS, COMMAND_JOBS, DEFAULT_STYLE, ApplyConfig
from stylekit.config.checks import ENGINES, check_shares
from stylekit.errors import ConfigError
from stylekit.images.formats import FORMATS
from stylekit.system.devices import cuda_may_exist, mps_may_exist
from stylekit.system.distributed import World, read_world
from stylekit.system.extras import install_hint, is_installed

_DEFAULT = ApplyConfig()


def apply(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="INPUT",
            help="Photos, videos or folders; - reads a photo from standard input.",
            show_default=False,
            parser=input_path,
        ),
    ] = None,
    style: Annotated[
        list[str] | None,
        look(
            "Style to apply, or all of them; can be repeated.",
            *("--style", "-s"),
            metavar="NAME|FILE|all",
            show_default=DEFAULT_STYLE,
            complete=applicable_styles,
        ),
    ] = None,
    blend: Annotated[bool, look("Mix the styles into one; --style NAME:SHARE sets each share.", "--blend")] = False,
    strength: Annotated[
        float, look("Strength of the style, from 0 (the photo) to 1 (the painting).", metavar="0..1")
    ] = _DEFAULT.strength,
    stroke_size: Annotated[
        str, look("Make strokes N times as large; auto adapts them to the photo.", metavar="auto|N")
    ] = "auto",
    keep_colors: options.KeepColors = _DEFAULT.keep_colors,
    max_size: Annotated[
        int | None, look("Downscale photos to N px on the longer side first.", metavar="N")
    ] = _DEFAULT.max_size,
    output_path: Annotated[
        str | None,
        output(
            "File (- for standard output), or folder for several results.",
            *("--output", "-o"),
            metavar="PATH",
            show_default="PHOTO-STYLE.jpg next to the photo",
        ),
    ] = None,
    format: Annotated[
        str | None,
        output(
            f"Image format: {', '.join(FORMATS)}.",
            metavar="FORMAT",
            show_default="same as the photo",
            complete=lambda: list(FORMATS),
        ),
    ] = _DEFAULT.format,
    quality: options.Quality = _DEFAULT.quality,
    overwrite: options.Overwrite = _DEFAULT.overwrite,
    strip_metadata: options.StripMetadata = _DEFAULT.strip_metadata,
    report: Annotated[
        Path | None, output("Append one line of JSON per file: status, seconds, reason.", metavar="FILE")
    ] = None,
    dry_run: Annotated[bool, output("Print what would be written, without writing anything.", "--dry-run")] = False,
    show: options.Show = False,
    files_from: Annotated[
        Path | None, inputs("Read more input paths from a list, one per line or NUL-separated.", metavar="FILE|-")
    ] = None,
    recursive: Annotated[bool, inputs("Include subfolders.", "--recursive/--no-recursive")] = _DEFAULT.recursive,
    watch: Annotated[
        bool, inputs("Keep running and stylize new files in the folders until Ctrl-C.", "--watch")
    ] = False,
    again: Annotated[
        bool, inputs("Also stylize images that stylekit has already painted.", "--again")
    ] = _DEFAULT.again,
    max_pixels: options.MaxPixels = _DEFAULT.max_pixels,
    steady: Annotated[
        float, video("Share of the previous frame kept in still areas (less flicker).", metavar="0..1")
    ] = _DEFAULT.steady,
    codec: Annotated[
        str, video("Video codec; auto picks one that every player supports.", choices=CODECS)
    ] = _DEFAULT.codec,
    crf: Annotated[
        int | None,
        video(
            "Video quality factor; lower values mean better quality and larger files.",
            metavar="0..63",
            show_default="depends on the codec",
        ),
    ] = _DEFAULT.crf,
    fps: Annotated[
        float | None, video("Frames per second of the result.", metavar="N", show_default="same as the video")
    ] = _DEFAULT.fps,
    start: Annotated[str, video("Start of the part to stylize: seconds, or 1:02:03.5.", metavar="TIME")] = "0",
    end: Annotated[
        str | None, video("End of the part to stylize.", metavar="TIME", show_default="end of the video")
    ] = None,
    device: options.Device = _DEFAULT.device,
    engine: Annotated[
        str, machine("Library that runs the network; auto picks the fastest.", choices=ENGINES)
    ] = _DEFAULT.engine,
    threads: Annotated[
        int | None, machine("Number of CPU threads for the network.", metavar="N", show_default="chosen by the engine")
    ] = _DEFAULT.threads,
    jobs: Annotated[
        int,
        machine(
            "Number of processes that decode photos; 0 uses threads instead.",
            metavar="N",
            show_default="half of the CPU cores, at most 8",
        ),
    ] = COMMAND_JOBS,
    tile: Annotated[
        str, machine("Stylize in tiles of N px to save memory, with the same result.", metavar="auto|off|N")
    ] = "auto",
    pull: Annotated[bool, machine("Download missing styles.", "--pull")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Stylize photos, videos and folders.

    Examples:
      stylekit apply lion.jpg --style udnie
      stylekit apply holiday/ --style the-scream --output painted/
      stylekit apply clip.mp4 --style great-wave --strength 0.8

    Prints the path of each result. In a batch, existing results are skipped,
    so run the same command again to resume an interrupted batch.
    """
    world = read_world()
    console = Output(quiet=quiet, verbose=verbose, as_json=json, animates=not world.is_distributed)
    config = ApplyConfig(
        device=device,
        engine=engine,
        threads=threads,
        recursive=recursive,
        again=again,
        max_size=max_size,
        stroke_size=parse_stroke_size(stroke_size),
        strength=strength,
        keep_colors=keep_colors,
        tile=parse_tile(tile),
        steady=steady,
        codec=codec,
        crf=crf,
        fps=fps,
        start=parse_time(start, "--start"),
        end=None if end is None else parse_time(end, "--end"),
        format=parse_format(format) if format else None,
        quality=quality,
        overwrite=overwrite,
        strip_metadata=strip_metadata,
        max_pixels=max_pixels,
        jobs=-(-jobs // world.local_size),
    )
    paths = [*(paths or []), *(read_list(files_from) if files_from else [])]
    if not paths:
        raise ConfigError("No input was given.", "Give photos or folders, or a list of them with --files-from.")
    check_inputs(paths)
    check_output(output_path, paths)
    styles = check_styles(style or [DEFAULT_STYLE], paths)
    if not style and world.is_leader:
        console.note(f"Using the default style, {DEFAULT_STYLE}; `stylekit styles list` shows others for --style.")
    shares = None
    if blend:
        styles, shares = parse_shares(styles)
        check_shares(shares, len(styles))
    elif shared := [style for style in styles if parse_share(style)[0] != style]:
        raise ConfigError(f"--style {shared[0]} has a share, which needs --blend.", "Add --blend.")
    is_piped = output_path == str(STREAM)
    if is_piped and (json or show):
        other = "--json" if json else "--show"
        raise ConfigError(f"Standard output cannot take both the image and {other}.", "Leave out one of them.")
    if world.is_distributed:
        _check_distributable([*paths, *([files_from] if files_from else [])], is_piped, json)
    if watch:
        _check_watch(paths, world, {"--dry-run": dry_run, "--show": show})
    if pull and not dry_run:
        _pull_missing(console, styles)
    if world.is_leader and not dry_run:
        _recommend_torch(console, config)

    outputs = 1 if blend else len(styles)
    with (
        report_lines(report, world) as write_report,
        streamed(paths, output_path, outputs=outputs, format=config.format) as ends,
    ):
        printer = Printer(console, prints_paths=not is_piped, write_report=write_report)
        stylize: Callable[..., BatchReport]
        if watch:
            from stylekit.apply.watch import watch_folders

            stylize = partial(watch_folders, on_wait=partial(printer.wait, paths))
        else:
            with uncollected():
                from stylekit.apply.run import apply_styles

            stylize = partial(apply_styles, dry_run=dry_run, world=world)
        _run(console, printer, partial(stylize, *ends, styles, config, blend=shares), world, show)


def _check_distributable(paths: list[Path], is_piped: bool, json: bool) -> None:
    """Check that the work can be divided among several processes."""
    if is_piped or any(map(is_stream, paths)):
        raise ConfigError("Multiple processes cannot share standard input or output.", "Pass files or folders instead.")
    if json:
        raise ConfigError(
            "Multiple processes cannot print one --json document.",
            "Use --report FILE instead; each process writes its own.",
        )


def _check_watch(paths: list[Path], world: World, others: Mapping[str, bool]) -> None:
    """Check that `--watch` is compatible with the inputs and the other options."""
    if world.is_distributed:
        raise ConfigError("--watch works only in a single process.", "Run it without torchrun.")
    for option in (option for option, is_given in others.items() if is_given):
        raise ConfigError(f"--watch and {option} contradict each other.", "Leave out one of them.")
    if any(map(is_stream, paths)):
        raise ConfigError("--watch needs folders, not standard input or a pipe.", "Give the folders to watch.")
    from stylekit.apply.watch import check_watched

    check_watched(paths)


def _pull_missing(console: Output, styles: list[str]) -> None:
    from stylekit.styles.locations import find_style
    from stylekit.styles.names import is_path
    from stylekit.styles.pull import pull_style

    with console.downloads() as progress_of:
        for style in styles:
            if not is_path(style) and find_style(style) is None:
                pull_style(style, on_progress=progress_of(style))


def _recommend_torch(console: Output, config: ApplyConfig) -> None:
    """Suggest the extra `torch` if there is a GPU that only torch can use."""
    if config.device != "auto" or config.engine != "auto" or is_installed("torch"):
        return
    gpu = "NVIDIA" if cuda_may_exist() else "Apple" if mps_may_exist() else ""
    if gpu:
        console.note(f"Stylizing on the CPU. To use the {gpu} GPU: {install_hint('torch')}")


def _run(console: Output, printer: Printer, stylize: Callable[..., BatchReport], world: World, show: bool) -> None:
    with printer.live():
        try:
            report = stylize(on_plan=printer.begin, on_file=printer.show, on_frame=printer.show_frame)
        except KeyboardInterrupt:
            printer.interrupted()
            raise
    printer.summarize(report, f"process {world.rank + 1} of {world.size}: " if world.is_distributed else "")
    if show:
        from stylekit.cli.show import show_images

        show_images(console, [file.output for file in report.files if file.status == "done"])
    if report.error is not None:
        raise typer.Exit(ExitCode.FAILURE)
    if report.failures and not world.is_distributed:  # torchrun would start all processes again
        raise typer.Exit(ExitCode.PARTIAL)
