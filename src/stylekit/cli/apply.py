"""`stylekit apply`: photos and folders -> stylised photos."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from stylekit.cli import options
from stylekit.cli.console import ExitCode, Output
from stylekit.cli.reports import WriteReport, as_json, report_lines
from stylekit.cli.streams import STREAM, listed, streamed
from stylekit.config import COMMAND_JOBS, DEFAULT_STYLE, ApplyConfig, check_shares
from stylekit.distributed import World, read_world
from stylekit.errors import ConfigError
from stylekit.formats import format_of_suffix

_DEFAULT = ApplyConfig()


def apply(
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="INPUT...", help="Photos and folders of photos; - is standard input.", show_default=""),
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
            help="File for one photo (- is standard output), else a folder. Without it results lie beside the photos, "
            "as PHOTO-STYLE.jpg.",
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
    format: Annotated[
        str | None,
        typer.Option(metavar="FORMAT", help="Write jpeg, png, webp, tiff, bmp, avif or heic instead of the input's."),
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
        Path | None, typer.Option(metavar="FILE", help="Append a line of JSON for each photo: status, seconds, reason.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be written, and do nothing.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Stylise photos and folders of photos.

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
        stroke_size=_stroke_size(stroke_size),
        strength=strength,
        keep_colors=keep_colors,
        tile=_tile(tile),
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
        styles, shares = _shares(styles)
    elif shared := [style for style in styles if _share(style)[0] != style]:
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
        console.note(f"all {world.size} processes: {_counted(counts)}; see {report}")

    with (
        report_lines(report, world, on_merged=show_merged) as write_report,
        streamed(paths, output, outputs=outputs, format=config.format) as ends,
    ):
        printer = _Printer(console, prints_paths=not on_stdout, write_report=write_report)
        _run(console, printer, *ends, styles, shares, config, dry_run, world)


def _check_shareable(paths: list[Path | None], json: bool) -> None:
    """Make sure that several processes can share the work."""
    if STREAM in paths:
        raise ConfigError("Several processes cannot share standard input or output.", "Name files and folders.")
    if json:
        raise ConfigError("Several processes cannot print one JSON document.", "Use --report FILE, which is joined.")


def _shares(styles: list[str]) -> tuple[list[str], list[float]]:
    """Split `NAME:SHARE`, where a share is 1 unless given."""
    if len(styles) == 1:
        raise ConfigError("A blend needs two styles or more.", "Add --style NAME:SHARE for each.")
    parts = [_share(style) for style in styles]
    return [name for name, _ in parts], [share for _, share in parts]


def _share(style: str) -> tuple[str, float]:
    name, _, share = style.rpartition(":")
    try:
        return name, float(share)
    except ValueError:
        return style, 1.0


def _stroke_size(text: str) -> float | None:
    try:
        return None if text == "auto" else float(text)
    except ValueError:
        raise ConfigError(f"The stroke size must be auto or a number, not {text!r}.") from None


def _tile(text: str) -> int | None:
    if text == "off":
        return 0
    try:
        return None if text == "auto" else int(text)
    except ValueError:
        raise ConfigError(f"The tile size must be auto, off or a whole number, not {text!r}.") from None


def _pull_missing(console: Output, styles: list[str]) -> None:
    from stylekit.catalog import find_style
    from stylekit.library import is_path
    from stylekit.pulling import pull_style

    with console.downloads() as progress_of:
        for style in styles:
            if not is_path(style) and find_style(style) is None:
                pull_style(style, on_progress=progress_of(style))


def _run(
    console: Output,
    printer: "_Printer",
    inputs: list[Path],
    output: Path | None,
    styles: list[str],
    shares: list[float] | None,
    config: ApplyConfig,
    dry_run: bool,
    world: World,
) -> None:
    from stylekit.batch import apply_styles

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
            )
        except KeyboardInterrupt:
            printer.interrupted()
            raise
    counts = {status: report.count(status) for status in ("planned", "done", "skipped", "failed")}
    console.document({"files": [as_json(file) for file in report.files], **counts, "seconds": round(report.seconds, 3)})
    if len(report.files) > 1 or report.failures:
        whose = f"process {world.rank + 1} of {world.size}: " if world.is_shared else ""
        console.note(f"{whose}{_counted(counts)} in {report.seconds:.1f} s")
    for hint in dict.fromkeys(file.hint for file in report.failures if file.hint):
        console.note(f"hint: {hint}")
    if report.failures and not world.is_shared:  # torchrun would start all processes again
        raise typer.Exit(ExitCode.PARTIAL)


class _Printer:
    """Prints a batch's files as they come."""

    def __init__(self, console: Output, *, prints_paths: bool, write_report: WriteReport) -> None:
        self._console = console
        self._prints_paths = prints_paths
        self._write_report = write_report
        self._total = 0
        self._is_batch = False
        self._finished = 0

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show a bar meanwhile."""
        with self._console.bar("images", "{name}") as self._bar:
            yield

    def begin(self, total: int, is_batch: bool) -> None:
        self._total = total
        self._is_batch = is_batch
        self._bar.start(total)

    def show(self, file: Any) -> None:
        self._finished += 1
        self._write_report(file)
        self._bar.advance(name=file.source.name)
        if file.status == "failed":
            if self._is_batch:  # else it is the command's failure, which is printed in the end
                self._console.failure(f"failed {file.source}: {file.reason}")
        elif file.status == "skipped":
            self._console.detail(f"skipped {file.source}: {file.output} exists already")
        elif self._prints_paths:
            self._console.result(str(file.output))
        for note in file.notes:
            self._console.note(f"note {file.source}: {note}")

    def interrupted(self) -> None:
        if self._total > 1:
            self._console.failure(f"{self._finished} of {self._total} done; run the same command again to go on.")


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {status}" for status, number in counts.items() if number)
