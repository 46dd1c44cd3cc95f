"""`stylekit styles`: what styles there are, and how more come in."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from stylekit.catalog import CatalogEntry, list_styles
from stylekit.cli import options
from stylekit.cli.console import Output, human_size, table

app = typer.Typer(no_args_is_help=True, help="List styles, and import those of other programs.")


@app.command("list")
def list_(json: options.Json = False) -> None:
    """List the styles at hand: your own, bundled with the package, downloaded."""
    console = Output(as_json=json)
    entries = list_styles()
    console.document({"styles": [_as_json(entry) for entry in entries]})
    if not entries:
        console.note(
            "There are no styles yet. `stylekit styles import FILE --name NAME` and `stylekit train` make some."
        )
        return
    rows = [("NAME", "WHERE", "TITLE", "ARTIST", "YEAR", "LICENCE", "SIZE"), *map(_row, entries)]
    for line in table(rows):
        console.result(line)


def _row(entry: CatalogEntry) -> tuple[str, ...]:
    about = entry.metadata
    if about is None:
        return entry.name, entry.where, f"unreadable: {entry.problem}", "", "", "", human_size(entry.size)
    return entry.name, entry.where, about.title, about.artist, about.year, about.licence, human_size(entry.size)


def _as_json(entry: CatalogEntry) -> dict[str, object]:
    about = dataclasses.asdict(entry.metadata) if entry.metadata else {"problem": entry.problem}
    return {**about, "name": entry.name, "where": entry.where, "path": str(entry.path), "size": entry.size}


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .pth file of fast_neural_style, or a style file.")],
    name: Annotated[str, typer.Option(metavar="NAME", help="Name to call it by.")],
    force: options.Force = False,
    json: options.Json = False,
) -> None:
    """Turn weights of another program into a style of yours. Nothing in the file is executed."""
    from stylekit.library import import_style

    console = Output(as_json=json)
    path = import_style(file, name, force=force)
    console.document({"name": name, "path": str(path)})
    console.result(str(path))
