"""`stylekit sheet`: show a photo in every style, side by side in one image."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stylekit.cli import options
from stylekit.cli.completion import sheet_styles
from stylekit.cli.console import ExitCode, Output
from stylekit.cli.hints import check_inputs, check_styles, input_path
from stylekit.cli.options import look, output
from stylekit.cli.parsing import check_images, parse_stroke_size
from stylekit.cli.streams import STREAM, is_stream, streamed
from stylekit.config.apply import ApplyConfig
from stylekit.config.checks import check_quality
from stylekit.config.sheet import STYLE_GROUPS, SheetConfig
from stylekit.errors import ConfigError, OutputExists, StylekitError
from stylekit.images.formats import format_of_suffix
from stylekit.styles.names import is_path
from stylekit.system.paths import exists, is_folder

if TYPE_CHECKING:
    from stylekit.apply.sheets.contact_sheet import ContactSheet, SheetTile

_DEFAULT = SheetConfig()


def sheet(
    photo: Annotated[
        Path, typer.Argument(metavar="PHOTO", help="Photo to stylize; - is standard input.", parser=input_path)
    ],
    style: Annotated[
        list[str] | None,
        look(
            "Styles to show: names, files, or a group (all, bundled, own).",
            *("--style", "-s"),
            metavar="STYLE,…",
            show_default="all",
            complete=sheet_styles,
        ),
    ] = None,
    strength: Annotated[str, look("Strength of the style; several values make a grid.", metavar="0..1,…")] = "1",
    stroke_size: Annotated[
        str, look("Stroke size relative to the style's own; several values make a grid.", metavar="auto|X,…")
    ] = "auto",
    keep_colors: options.KeepColors = _DEFAULT.keep_colors,
    output_path: Annotated[
        str | None,
        output(
            "Output file; - is standard output.",
            *("--output", "-o"),
            metavar="FILE",
            show_default="next to the photo, as PHOTO-sheet.jpg",
        ),
    ] = None,
    size: Annotated[int, output("Longer side of a tile in px.", metavar="N")] = _DEFAULT.size,
    columns: Annotated[int | None, output("Number of columns.", metavar="N", show_default="fits the screen")] = None,
    quality: options.Quality = ApplyConfig.quality,
    overwrite: options.Overwrite = ApplyConfig.overwrite,
    show: options.Show = False,
    max_pixels: options.MaxPixels = _DEFAULT.max_pixels,
    device: options.Device = _DEFAULT.device,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Show a photo in every style, side by side in one image.

    Examples:
      stylekit sheet lion.jpg
      stylekit sheet lion.jpg --style udnie,great-wave --output two.jpg
      stylekit sheet lion.jpg -s udnie --strength 0.3,0.6,1 --stroke-size 1,2,4

    Several strengths or stroke sizes make a grid for each style. Prints
    the path of the image.
    """
    console = Output(quiet=quiet, verbose=verbose, as_json=json)
    config = SheetConfig(
        strengths=tuple(dict.fromkeys(map(_parse_strength, _parts(strength)))),
        stroke_sizes=tuple(dict.fromkeys(map(parse_stroke_size, _parts(stroke_size)))),
        keep_colors=keep_colors,
        size=size,
        columns=columns,
        device=device,
        max_pixels=max_pixels,
    )
    check_quality(quality)
    check_inputs([photo])
    styles = [word for text in style or ["all"] for word in ([text] if _is_file(text) else _parts(text))]
    check_styles([word for word in styles if word not in STYLE_GROUPS], [photo])
    is_piped = output_path == str(STREAM)
    if is_piped and (json or show):
        other = "--json" if json else "--show"
        raise ConfigError(f"Standard output cannot take both the image and {other}.", "Leave out one of them.")
    if not is_stream(photo):
        check_images([photo])
        output_path = output_path or str(photo.with_name(_usual_name(photo)))
    with streamed([photo], output_path, outputs=1, format=None) as ((source,), path):
        file = _output_file(str(path), source)
        _check_output(file, source, overwrite)
        result = _run(console, source, styles, config)
        result.save(file, quality=quality, overwrite=overwrite)
        _report(console, source, None if is_piped else file, result)
    if show:
        from stylekit.cli.show import show_images

        show_images(console, [file])
    if result.failures:
        raise typer.Exit(ExitCode.PARTIAL)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _is_file(style: str) -> bool:
    """Return whether a style is an existing file. File names may contain commas."""
    return is_path(style) and exists(style)


def _parse_strength(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"--strength must be numbers such as 0.3,0.6,1, not {text!r}.") from None


def _output_file(output: str, photo: Path) -> Path:
    """Return the path of the sheet, with the default file name if the output is a folder."""
    path = Path(output)
    return path / _usual_name(photo) if output.endswith("/") or is_folder(path) else path


def _usual_name(photo: Path) -> str:
    return f"{photo.stem}-sheet.jpg"


def _check_output(path: Path, photo: Path, overwrite: bool) -> None:
    """Check that the sheet can be written, before any image is stylized."""
    format = format_of_suffix(path.suffix)
    if exists(path) and path.samefile(photo):
        raise ConfigError(f"{photo} would be overwritten by its own sheet.", "Choose another --output.")
    if exists(path) and not overwrite:
        raise OutputExists(f"{path} already exists.", "Use --overwrite to replace it, or choose another --output.")
    from stylekit.images.writing import check_writable

    check_writable(path, format=format)


def _run(console: Output, photo: Path, styles: list[str], config: SheetConfig) -> "ContactSheet":
    from stylekit.apply.sheets.contact_sheet import contact_sheet

    with console.bar("styles", "{name}") as bar:

        def show(style: str, error: StylekitError | None) -> None:
            bar.advance(name=style)
            if error is not None:
                console.failure(f"failed {style}: {error.message}")

        return contact_sheet(photo, styles, config, on_plan=bar.start, on_style=show)


def _report(console: Output, photo: Path, path: Path | None, sheet: "ContactSheet") -> None:
    """Print the path or the JSON document of a sheet, and the notes about the photo."""
    failed = len(sheet.failures)
    console.document(
        {
            "path": path,
            "width": sheet.image.width,
            "height": sheet.image.height,
            "layout": {"columns": sheet.columns, "rows": sheet.rows},
            "photo": {"path": photo, **dict(zip(("x", "y", "width", "height"), sheet.photo, strict=True))},
            "tiles": [_as_json(tile) for tile in sheet.tiles],
            "done": len(sheet.tiles) - failed,
            "failed": failed,
            "notes": sheet.notes,
            "seconds": round(sheet.seconds, 3),
        }
    )
    if path is not None:
        console.result(str(path))
    for note in sheet.notes:
        console.note(f"note {photo}: {note}")
    for hint in dict.fromkeys(tile.hint for tile in sheet.failures if tile.hint):
        console.note(f"hint: {hint}")


def _as_json(tile: "SheetTile") -> dict[str, Any]:
    """Return the report on a tile as JSON-serializable values."""
    fields = dataclasses.asdict(tile)
    credits = fields.pop("credits")
    return {
        "style": fields.pop("style"),
        **{key: credits[key] for key in ("title", "artist", "year")},
        **fields,
        "status": "failed" if tile.reason else "done",
    }
