"""`stylekit apply`: photos, videos and folders -> stylised ones."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from stylekit.apply.report_file import as_json, report_lines
from stylekit.cli import options
from stylekit.cli.apply_printer import Printer, counted
from stylekit.cli.console import ExitCode, Output
from stylekit.cli.parsing import parse_share, parse_shares, parse_stroke_size, parse_tile, parse_time
from stylekit.cli.streams import STREAM, listed, streamed
from stylekit.config.apply import COMMAND_JOBS, DEFAULT_STYLE, ApplyConfig
from stylekit.config.checks import check_shares
from stylekit.errors import ConfigError
from stylekit.images.formats import format_of_suffix
from stylekit.system.distributed import World, read_world

_DEFAULT = ApplyConfig()


def apply(
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="INPUT...", help="Photos, videos, and folders of them; - is standard input.", show_default=""
        ),
    ] = None,
    style: Annotated[
        list[str] | None,
        typer.Option(
            "--style",
            "-s",
            metavar="NAME|FILE",
            help="Style by name or file; repeat for several.",
            show_default=DEFAULT_STYLE,
        ),
    ] = None,
    blend: Annotated[
        bool, typer.Option("--blend", help="Mix the styles into one; NAME:SHARE says how much of each.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="File for one photo or video (- is standard output), else a folder. Without it results lie beside the "
            "photos, as PHOTO-STYLE.jpg.",
        ),
    ] = None,
    files_from: Annotated[
        Path | None, typer.Option(metavar="FILE|-", help="Take more inputs from a list, one a line.")
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive/--no-recursive", help="Take a folder's subfolders too.")
    ] = _DEFAULT.recursive,
    max_size: Annotated[
        int | None, typer.Option(metavar="N", help="Reduce photos to N px on the longer side first.")
    ] = _DEFAULT.max_size,
    stroke_size: Annotated[
        str,
        typer.Option(
            metavar="auto|X",
            help="Make strokes X times as large as the network's; auto fits them to photos of 1,400 px and more.",
        ),
    ] = "auto",
    strength: Annotated[
        float, typer.Option(metavar="0..1", help="Blend with the photo: 0 is the photo, 1 the painting.")
    ] = _DEFAULT.strength,
    keep_colors: options.KeepColors = _DEFAULT.keep_colors,
    tile: Annotated[
        str,
        typer.Option(
            metavar="auto|off|N",
            help="Paint in tiles of N px; auto does so where a photo is too large for memory. The result is the same.",
        ),
    ] = "auto",
    steady: Annotated[
        float, typer.Option(metavar="0..1", help="How much of a video's last picture stays where nothing has changed.")
    ] = _DEFAULT.steady,
    codec: Annotated[
        str, typer.Option(metavar="auto|h264|hevc|vp9", help="What videos are coded by; auto is what any player knows.")
    ] = _DEFAULT.codec,
    crf: Annotated[
        int | None,
        typer.Option(metavar="0..63", help="Quality of videos; lower is better.", show_default="the codec's"),
    ] = _DEFAULT.crf,
    fps: Annotated[
        float | None, typer.Option(metavar="N", help="Frames a second of videos.", show_default="as they come")
    ] = _DEFAULT.fps,
    start: Annotated[str, typer.Option(metavar="TIME", help="Take videos from here: seconds, or 1:02:03.5.")] = "0",
    end: Annotated[
        str | None, typer.Option(metavar="TIME", help="Take videos up to here.", show_default="the end")
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(metavar="FORMAT", help="Write photos as jpeg, png, webp, tiff, bmp, avif or heic."),
    ] = _DEFAULT.format,
    quality: options.Quality = _DEFAULT.quality,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing results.")] = _DEFAULT.overwrite,
    strip_metadata: options.StripMetadata = _DEFAULT.strip_metadata,
    max_pixels: options.MaxPixels = _DEFAULT.max_pixels,
    pull: Annotated[bool, typer.Option("--pull", help="Fetch styles that are not downloaded yet.")] = False,
    device: options.Device = _DEFAULT.device,
    engine: Annotated[
        str, typer.Option(metavar="auto|torch|onnxruntime", help="What runs the network; auto is the fastest.")
    ] = _DEFAULT.engine,
    threads: Annotated[
        int | None, typer.Option(metavar="N", help="CPU threads of the network, at most all.")
    ] = _DEFAULT.threads,
    jobs: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Processes that decode a batch's photos; 0 decodes in threads.",
            show_default="half as many as the machine has processors, at most 8",
        ),
    ] = COMMAND_JOBS,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append a line of JSON for each file: status, seconds, reason.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be written, and do nothing.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Stylise photos and videos, and folders of them.

    Prints the path of each result. In a folder, results that exist are skipped: run it again to go on after a break.
    """
    world = read_world()
    console = Output(quiet=quiet, verbose=verbose, as_json=json, animates=not world.is_shared)
    config = ApplyConfig(
        device=device,
        engine=engine,
        threads=threads,
        recursive=recursive,
        max_size=max_size,
        stroke_size=parse_stroke_size(stroke_size),
        strength=strength,
        keep_colors=keep_colors,
        tile=parse_tile(tile),
        steady=steady,
        codec=codec,
        crf=crf,
        fps=fps,
        start=parse_time(start),
        end=None if end is None else parse_time(end),
        format=format_of_suffix(f".{format}") if format else None,
        quality=quality,
        overwrite=overwrite,
        strip_metadata=strip_metadata,
        max_pixels=max_pixels,
        jobs=-(-jobs // world.local_size),
    )
    paths = [*(inputs or []), *(listed(files_from) if files_from else [])]
    if not paths:
        raise ConfigError("There is no photo to paint.", "Name photos or folders, or a list of them by --files-from.")
    styles = style or [DEFAULT_STYLE]
    if not style and world.leads:
        console.note(f"Painting with {DEFAULT_STYLE}; `stylekit styles list` shows the others, --style takes one.")
    shares = None
    if blend:
        styles, shares = parse_shares(styles)
    elif shared := [style for style in styles if parse_share(style)[0] != style]:
        raise ConfigError(f"{shared[0]} has a share, and shares are for blends.", "Add --blend.")
    if shares is not None:
        check_shares(shares, len(styles))
    on_stdout = output == STREAM
    if on_stdout and json:
        raise ConfigError("Standard output cannot take both the picture and --json.", "Leave out one of them.")
    if world.is_shared:
        _check_shareable([*paths, files_from, output], json)
    if pull and not dry_run:
        _pull_missing(console, styles)
    outputs = 1 if blend else len(styles)

    def show_merged(counts: Mapping[str, int]) -> None:
        console.note(f"all {world.size} processes: {counted(counts)}; see {report}")

    with (
        report_lines(report, world, on_merged=show_merged) as write_report,
        streamed(paths, output, outputs=outputs, format=config.format) as ends,
    ):
        printer = Printer(console, prints_paths=not on_stdout, write_report=write_report)
        _run(console, printer, *ends, styles, shares, config, dry_run, world)


def _check_shareable(paths: list[Path | None], json: bool) -> None:
    """Make sure that several processes can share the work."""
    if STREAM in paths:
        raise ConfigError("Several processes cannot share standard input or output.", "Name files and folders.")
    if json:
        raise ConfigError("Several processes cannot print one JSON document.", "Use --report FILE, which is joined.")


def _pull_missing(console: Output, styles: list[str]) -> None:
    from stylekit.styles.locations import find_style
    from stylekit.styles.names import is_path
    from stylekit.styles.pull import pull_style

    with console.downloads() as progress_of:
        for style in styles:
            if not is_path(style) and find_style(style) is None:
                pull_style(style, on_progress=progress_of(style))


def _run(
    console: Output,
    printer: Printer,
    inputs: list[Path],
    output: Path | None,
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
                inputs,
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
    counts = {status: report.count(status) for status in ("planned", "done", "skipped", "failed")}
    console.document({"files": [as_json(file) for file in report.files], **counts, "seconds": round(report.seconds, 3)})
    if len(report.files) > 1 or report.failures:
        whose = f"process {world.rank + 1} of {world.size}: " if world.is_shared else ""
        console.note(f"{whose}{counted(counts)} in {report.seconds:.1f} s")
    for hint in dict.fromkeys(file.hint for file in report.failures if file.hint):
        console.note(f"hint: {hint}")
    if report.failures and not world.is_shared:  # torchrun would start all processes again
        raise typer.Exit(ExitCode.PARTIAL)
