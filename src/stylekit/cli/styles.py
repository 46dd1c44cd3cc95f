"""`stylekit styles`: list, describe, import, export and remove styles."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stylekit.cli import options
from stylekit.cli.commands import Command, Group
from stylekit.cli.completion import known_styles, style_names
from stylekit.cli.console import Output, file_size, flat, table, terminal_width
from stylekit.cli.pull import pull

if TYPE_CHECKING:
    from stylekit.styles.catalog import CatalogEntry

app = typer.Typer(cls=Group, no_args_is_help=True, help="List, pull, import, export and remove styles.")

_Local = Annotated[str, typer.Argument(metavar="NAME", help="Style name.", autocompletion=style_names)]


@app.command("list", cls=Command)
def list_(catalog: options.Catalogs = None, json: options.Json = False) -> None:
    """List all styles: your own, bundled, cached and remote.

    Examples:
      stylekit styles list
      stylekit styles list --json

    Pass any of these names to `stylekit apply --style`.
    """
    from stylekit.styles.catalog import list_styles

    console = Output(as_json=json)
    with console.retries():
        entries = list_styles(catalog or [], on_problem=lambda error: console.note(f"note: {error.message}"))
    console.document({"styles": [_as_json(entry) for entry in entries]})
    rows = [("NAME", "WHERE", "PAINTING", "PAINTER", "YEAR"), *map(_row, entries)]
    for line in table(rows, width=terminal_width(), flexible=(2, 3)):
        console.result(line)


def _row(entry: "CatalogEntry") -> tuple[str, ...]:
    about = entry.credits
    title = f"unreadable: see `stylekit styles info {entry.name}`" if entry.problem else about.title
    return entry.name, entry.where, title, about.artist, about.year


def _as_json(entry: "CatalogEntry") -> dict[str, object]:
    values = {**dataclasses.asdict(entry), **dataclasses.asdict(entry.credits)}
    del values["credits"]
    return {key: str(value) if isinstance(value, Path) else value for key, value in values.items()}


app.command(cls=Command, no_args_is_help=True)(pull)


@app.command("import", cls=Command, no_args_is_help=True)
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="fast_neural_style weights (.pth or .onnx), or a style file.")
    ],
    name: Annotated[str, options.output("Name for the style.", metavar="NAME")],
    force: options.Force = False,
    json: options.Json = False,
) -> None:
    """Import weights from another program as a style.

    Examples:
      stylekit styles import mosaic.pth --name my-mosaic

    Pickled code in the file is never executed.
    """
    from stylekit.styles.library import import_style

    console = Output(as_json=json)
    path = import_style(file, name, force=force)
    console.document({"name": name, "path": str(path)})
    console.result(str(path))


@app.command(cls=Command, no_args_is_help=True)
def info(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="Style name or file.", autocompletion=known_styles)],
    catalog: options.Catalogs = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Describe a style: painting, license, source, network.

    Examples:
      stylekit styles info starry-night
      stylekit styles info starry-night --verbose

    --verbose and --json add checksums and the training settings.
    """
    from stylekit.styles.library import style_info

    console = Output(as_json=json)
    with console.retries():
        description = style_info(name, catalog or [])
    console.document(description)
    shown = description if verbose else _summary(description)
    for line in table(list(flat({key: value for key, value in shown.items() if value not in ("", {}, None)}))):
        console.result(line)


def _summary(description: dict[str, Any]) -> dict[str, Any]:
    """Return the main facts about a style, for the short listing."""
    network, parameters = description.get("network"), description.get("parameters")
    return {
        "name": description["name"],
        "where": description["where"],
        "painting": description["title"],
        "painter": description["artist"],
        "year": description["year"],
        "license": description["licence"],
        "source": description["source"],
        "network": f"{network}, {parameters:,} parameters" if network else "",
        "size": file_size(description["size"]),
    }


@app.command(cls=Command, no_args_is_help=True)
def export(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="Style name or file.", autocompletion=style_names)],
    onnx: Annotated[Path, typer.Option("--onnx", metavar="FILE", help="ONNX file to write.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it exists.")] = False,
    json: options.Json = False,
) -> None:
    """Export a style as an ONNX graph.

    Examples:
      stylekit styles export udnie --onnx udnie.onnx

    The graph takes and returns RGB images of any size, with values from 0 to 1.
    """
    from stylekit.styles.library import export_style

    console = Output(as_json=json)
    export_style(name, onnx, force=force)
    console.document({"name": name, "path": str(onnx)})
    console.result(str(onnx))


@app.command(cls=Command, no_args_is_help=True)
def remove(
    name: _Local,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Confirm deletion of one of your own styles.")] = False,
    json: options.Json = False,
) -> None:
    """Delete a cached style or one of your own.

    Examples:
      stylekit styles remove mosaic
      stylekit styles remove my-wave --yes

    Bundled styles cannot be removed.
    """
    from stylekit.styles.library import remove_style

    console = Output(as_json=json)
    path = remove_style(name, own=yes)
    console.document({"name": name, "path": str(path)})
    console.result(str(path))


@app.command(cls=Command)
def path(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Style name.", show_default=False, autocompletion=style_names),
    ] = None,
    json: options.Json = False,
) -> None:
    """Print the path of a style file, or of the folders that contain styles.

    Examples:
      stylekit styles path udnie
      stylekit styles path

    Without NAME, prints the folders that hold your styles and the cached
    ones.
    """
    from stylekit.styles.library import locate_style
    from stylekit.styles.locations import downloaded_styles_dir, own_styles_dir

    console = Output(as_json=json)
    paths = [locate_style(name)] if name else [own_styles_dir(), downloaded_styles_dir()]
    console.document({"paths": [str(path) for path in paths]})
    for line in paths:
        console.result(str(line))
