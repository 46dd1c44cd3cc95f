"""`stylekit apply`: photos, videos and folders -> stylized ones."""

from pathlib import Path
from typing import Annotated

import typer

from stylekit.apply.report_file import report_lines
from stylekit.cli import options
from stylekit.cli.apply_printer import Printer
from stylekit.cli.completion import applicable_styles
from stylekit.cli.console import ExitCode, Output
from stylekit.cli.hints import check_inputs, check_output, check_styles, input_path
from stylekit.cli.options import inputs, look, machine, output, video
from stylekit.cli.parsing import parse_format, parse_share, parse_shares, parse_stroke_size, parse_tile, parse_time
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
            help="Photos, videos and folders of them; - is standard input.",
            show_default=False,
            parser=input_path,
        ),
    ] = None,
    style: Annotated[
        list[str] | None,
        look(
            "Style name or file, or all; repeat for several.",
            *("--style", "-s"),
            metavar="NAME|FILE|all",
            show_default=DEFAULT_STYLE,
            complete=applicable_styles,
        ),
    ] = None,
    blend: Annotated[bool, look("Blend the styles into one; NAME:SHARE sets their weights.", "--blend")] = False,
    strength: Annotated[
        float, look("Strength of the style: 0 is the photo, 1 the painting.", metavar="0..1")
    ] = _DEFAULT.strength,
    stroke_size: Annotated[
        str, look("Stroke size relative to the style's own; auto fits the photo.", metavar="auto|X")
    ] = "auto",
    keep_colors: options.KeepColors = _DEFAULT.keep_colors,
    max_size: Annotated[
        int | None, look("Reduce photos to N px on the longer side first.", metavar="N")
    ] = _DEFAULT.max_size,
    output_path: Annotated[
        str | None,
        output(
            "File for one result (- is standard output), else a folder.",
            *("--output", "-o"),
            metavar="PATH",
            show_default="beside the photo, as PHOTO-STYLE.jpg",
        ),
    ] = None,
    format: Annotated[
        str | None,
        output(
            f"Image format: {', '.join(FORMATS)}.",
            metavar="FORMAT",
            show_default="the photo's",
            complete=lambda: list(FORMATS),
        ),
    ] = _DEFAULT.format,
    quality: options.Quality = _DEFAULT.quality,
    overwrite: options.Overwrite = _DEFAULT.overwrite,
    strip_metadata: options.StripMetadata = _DEFAULT.strip_metadata,
    report: Annotated[
        Path | None, output("Append a line of JSON per file: status, seconds, reason.", metavar="FILE")
    ] = None,
    dry_run: Annotated[bool, output("Print what would be written, and write nothing.", "--dry-run")] = False,
    files_from: Annotated[Path | None, inputs("Read more inputs from a list, one per line.", metavar="FILE|-")] = None,
    recursive: Annotated[
        bool, inputs("Include the subfolders of folders.", "--recursive/--no-recursive")
    ] = _DEFAULT.recursive,
    again: Annotated[bool, inputs("Also take images that stylekit already painted.", "--again")] = _DEFAULT.again,
    max_pixels: options.MaxPixels = _DEFAULT.max_pixels,
    steady: Annotated[
        float, video("How much of the previous frame to keep where the scene is still.", metavar="0..1")
    ] = _DEFAULT.steady,
    codec: Annotated[
        str, video("Video codec; auto picks one that every player supports.", choices=CODECS)
    ] = _DEFAULT.codec,
    crf: Annotated[
        int | None, video("Quality of videos; lower is better.", metavar="0..63", show_default="the codec's")
    ] = _DEFAULT.crf,
    fps: Annotated[float | None, video("Frames per second.", metavar="N", show_default="the video's")] = _DEFAULT.fps,
    start: Annotated[str, video("Start here: seconds, or 1:02:03.5.", metavar="TIME")] = "0",
    end: Annotated[str | None, video("Stop here.", metavar="TIME", show_default="the end")] = None,
    device: options.Device = _DEFAULT.device,
    engine: Annotated[
        str, machine("Program that runs the network; auto picks the fastest.", choices=ENGINES)
    ] = _DEFAULT.engine,
    threads: Annotated[
        int | None, machine("CPU threads for the network.", metavar="N", show_default="the engine's choice")
    ] = _DEFAULT.threads,
    jobs: Annotated[
        int,
        machine(
            "Worker processes that decode photos; 0 uses threads.",
            metavar="N",
            show_default="half the processors, at most 8",
        ),
    ] = COMMAND_JOBS,
    tile: Annotated[
        str, machine("Stylize in tiles of N px to save memory; the result is the same.", metavar="auto|off|N")
    ] = "auto",
    pull: Annotated[bool, machine("Download styles that are missing.", "--pull")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Stylize photos, videos and folders of them.

    Examples:
      stylekit apply lion.jpg --style udnie
      stylekit apply holiday/ --style the-scream --output painted/
      stylekit apply clip.mp4 --style great-wave --strength 0.8

    Prints the path of each result. Results that exist in a folder are
    skipped, so an interrupted batch resumes when it is run again.
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
        raise ConfigError("No input was given.", "Name photos or folders, or a list of them with --files-from.")
    check_inputs(paths)
    check_output(output_path, paths)
    styles = check_styles(style or [DEFAULT_STYLE], paths)
    if not style and world.is_leader:
        console.note(f"Using the style {DEFAULT_STYLE}; `stylekit styles list` shows others for --style.")
    shares = None
    if blend:
        styles, shares = parse_shares(styles)
        check_shares(shares, len(styles))
    elif shared := [style for style in styles if parse_share(style)[0] != style]:
        raise ConfigError(f"--style {shared[0]} has a share, which needs --blend.", "Add --blend.")
    is_piped = output_path == str(STREAM)
    if is_piped and json:
        raise ConfigError("Standard output cannot take both the image and --json.", "Leave out one of them.")
    if world.is_distributed:
        _check_distributable([*paths, *([files_from] if files_from else [])], is_piped, json)
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
        _run(console, printer, *ends, styles, shares, config, dry_run, world)


def _check_distributable(paths: list[Path], is_piped: bool, json: bool) -> None:
    """Check that several processes can share the work."""
    if is_piped or any(map(is_stream, paths)):
        raise ConfigError("Multiple processes cannot share standard input or output.", "Pass files or folders instead.")
    if json:
        raise ConfigError(
            "Multiple processes cannot print one --json document.",
            "Use --report FILE instead; each process writes its own.",
        )


def _pull_missing(console: Output, styles: list[str]) -> None:
    from stylekit.styles.locations import find_style
    from stylekit.styles.names import is_path
    from stylekit.styles.pull import pull_style

    with console.downloads() as progress_of:
        for style in styles:
            if not is_path(style) and find_style(style) is None:
                pull_style(style, on_progress=progress_of(style))


def _recommend_torch(console: Output, config: ApplyConfig) -> None:
    """Say what the extra with torch would bring, where a GPU is visible that only torch can use."""
    if config.device != "auto" or config.engine != "auto" or is_installed("torch"):
        return
    gpu = "NVIDIA" if cuda_may_exist() else "Apple" if mps_may_exist() else ""
    if gpu:
        console.note(f"Stylizing on the CPU. To use the {gpu} GPU: {install_hint('torch')}")


def _run(
    console: Output,
    printer: Printer,
    paths: list[Path],
    output: str | None,
    styles: list[str],
    shares: list[float] | None,
    config: ApplyConfig,
    dry_run: bool,
    world: World,
) -> None:
    from stylekit.apply.run import apply_styles

    with printer.live():
        try:
            report = apply_styles(
                paths,
                output,
                styles,
                config,
                blend=shares,
                dry_run=dry_run,
                world=world,
                on_plan=printer.begin,
                on_file=printer.show,
                on_frame=printer.show_frame,
            )
        except KeyboardInterrupt:
            printer.interrupted()
            raise
    printer.summarize(report, f"process {world.rank + 1} of {world.size}: " if world.is_distributed else "")
    if report.error is not None:
        raise typer.Exit(ExitCode.FAILURE)
    if report.failures and not world.is_distributed:  # torchrun would start all processes again
        raise typer.Exit(ExitCode.PARTIAL)
