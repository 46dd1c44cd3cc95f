"""`stylekit styles`: what styles there are, and how they come and go."""

import contextlib
import dataclasses
import queue
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylekit.cli import options
from stylekit.cli.console import ExitCode, Output, flat, human_size, table
from stylekit.errors import ConfigError, StylekitError
from stylekit.styles.catalog import CatalogEntry, list_styles

if TYPE_CHECKING:
    from stylekit.downloads.download import Progress

app = typer.Typer(no_args_is_help=True, help="List, pull, import, export and remove styles.")

_AT_A_TIME = 4

_Catalogs = Annotated[
    list[str] | None,
    typer.Option("--catalog", metavar="URL|FILE", help="A further catalog of styles; also by STYLEKIT_CATALOG."),
]
_Name = Annotated[str, typer.Argument(metavar="NAME", help="A style's name.")]


@app.command("list")
def list_(catalog: _Catalogs = None, json: options.Json = False) -> None:
    """List the styles there are: your own, bundled with the package, cached, and remote ones that can be pulled."""
    console = Output(as_json=json)
    entries = list_styles(catalog or [], on_problem=lambda error: console.note(f"note: {error.message}"))
    console.document({"styles": [_as_json(entry) for entry in entries]})
    for line in table([("NAME", "WHERE", "TITLE", "ARTIST", "YEAR", "LICENCE", "SIZE"), *map(_row, entries)]):
        console.result(line)


def _row(entry: CatalogEntry) -> tuple[str, ...]:
    about = entry.credits
    title = f"unreadable: see `stylekit styles info {entry.name}`" if entry.problem else about.title
    return entry.name, entry.where, title, about.artist, about.year, about.licence, human_size(entry.size)


def _as_json(entry: CatalogEntry) -> dict[str, object]:
    values = {**dataclasses.asdict(entry), **dataclasses.asdict(entry.credits)}
    del values["credits"]
    return {key: str(value) if isinstance(value, Path) else value for key, value in values.items()}


@app.command(no_args_is_help=True)
def pull(
    styles: Annotated[
        list[str] | None, typer.Argument(metavar="NAME|URL...", help="Styles by name, or by https:// or hf:// address.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Pull every remote style.")] = False,
    sha256: Annotated[str | None, typer.Option(metavar="HASH", help="SHA-256 of the file at the address.")] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name for the style at the address; its file's by default.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace one of this name pulled from elsewhere.")] = False,
    catalog: _Catalogs = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Fetch styles into the cache: checked by their hashes, resumed after a break, never executed."""
    from stylekit.styles.pull import Finder, fetch_style

    console = Output(quiet=quiet, as_json=json)
    finder = Finder(catalog or [])
    wanted = list(dict.fromkeys([*(styles or []), *(finder.entries() if all_ else [])]))
    if not wanted:
        raise ConfigError("No style was named.", "Name one of `stylekit styles list`, or add --all.")
    if len(wanted) > 1 and (sha256 is not None or name is not None):
        raise ConfigError("--sha256 and --name go with a single address.", "Pull the styles one by one.")

    def job(style: str, on_progress: "Progress") -> Path:
        found = finder.find(style, sha256=sha256, name=name)
        if isinstance(found, Path):
            console.note(f"{style} is at hand already.")
            return found
        return fetch_style(found, force=force, on_progress=on_progress)

    finder.entries()  # before several threads ask for them
    with console.downloads() as progress_of:
        results = _at_once({style: partial(job, style) for style in wanted}, progress_of)
    _report(console, results)


def _at_once(
    jobs: Mapping[str, Callable[["Progress"], Path]], progress_of: Callable[[str], "Progress"]
) -> dict[str, Path | StylekitError]:
    """Run jobs, several at a time, in threads that Ctrl-C leaves behind even where a server has gone silent."""
    results: dict[str, Path | StylekitError] = {}
    bugs: list[BaseException] = []
    waiting = queue.SimpleQueue[str]()
    finished = queue.SimpleQueue[str]()

    def work() -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                key = waiting.get_nowait()
                try:
                    results[key] = jobs[key](progress_of(key))
                except StylekitError as error:
                    results[key] = error
                except BaseException as error:
                    bugs.append(error)
                finished.put(key)

    for key in jobs:
        waiting.put(key)
    for _ in range(min(_AT_A_TIME, len(jobs))):
        threading.Thread(target=work, daemon=True).start()
    for _ in jobs:
        while True:  # without a time-out, Windows would not hear Ctrl-C
            with contextlib.suppress(queue.Empty):
                finished.get(timeout=0.2)
                break
        if bugs:
            raise bugs[0]
    return {key: results[key] for key in jobs}


def _report(console: Output, results: dict[str, Path | StylekitError]) -> None:
    failures = {style: result for style, result in results.items() if isinstance(result, StylekitError)}
    if len(results) == 1 and failures:
        raise next(iter(failures.values()))
    console.document(
        {
            "pulled": {style: str(path) for style, path in results.items() if style not in failures},
            "failed": {
                style: {"type": type(error).__name__, "message": error.message, "hint": error.hint}
                for style, error in failures.items()
            },
        }
    )
    for style, result in results.items():
        if isinstance(result, StylekitError):
            console.failure(f"failed {style}: {result.message}")
            if result.hint:
                console.note(f"hint: {result.hint}")
        else:
            console.result(str(result))
    if failures:
        raise typer.Exit(ExitCode.PARTIAL if len(failures) < len(results) else ExitCode.FAILURE)


@app.command("import", no_args_is_help=True)
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A .pth or .onnx file of fast_neural_style, or a style file.")
    ],
    name: Annotated[str, typer.Option(metavar="NAME", help="Name to call it by.")],
    force: options.Force = False,
    json: options.Json = False,
) -> None:
    """Turn weights of another program into a style of yours. Nothing in the file is executed."""
    from stylekit.styles.library import import_style

    console = Output(as_json=json)
    path = import_style(file, name, force=force)
    console.document({"name": name, "path": str(path)})
    console.result(str(path))


@app.command(no_args_is_help=True)
def info(name: _Name, catalog: _Catalogs = None, json: options.Json = False) -> None:
    """Show what is known of a style: credits, source, licence, hashes, recipe."""
    from stylekit.styles.library import describe_style

    console = Output(as_json=json)
    description = describe_style(name, catalog or [])
    console.document(description)
    known = {key: value for key, value in description.items() if value not in ("", {}, None)}
    for line in table(list(flat(known))):
        console.result(line)


@app.command(no_args_is_help=True)
def export(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A style by name or file.")],
    onnx: Annotated[Path, typer.Option("--onnx", metavar="FILE", help="The ONNX file to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    json: options.Json = False,
) -> None:
    """Write a style as an ONNX graph: RGB in [0, 1], any height and width."""
    from stylekit.styles.library import export_style

    console = Output(as_json=json)
    export_style(name, onnx, force=force)
    console.document({"name": name, "path": str(onnx)})
    console.result(str(onnx))


@app.command(no_args_is_help=True)
def remove(
    name: _Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete also a style of your own, for good.")] = False,
    json: options.Json = False,
) -> None:
    """Delete a style from the cache, or one of your own."""
    from stylekit.styles.library import remove_style

    console = Output(as_json=json)
    path = remove_style(name, own=yes)
    console.document({"name": name, "path": str(path)})
    console.result(str(path))


@app.command()
def path(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A style's name.")] = None,
    json: options.Json = False,
) -> None:
    """Print where a style's file lies; without a name, the folder of your own styles and that of the cached ones."""
    from stylekit.styles.library import locate_style
    from stylekit.styles.locations import downloaded_styles_dir, own_styles_dir

    console = Output(as_json=json)
    paths = [locate_style(name)] if name else [own_styles_dir(), downloaded_styles_dir()]
    console.document({"paths": [str(path) for path in paths]})
    for line in paths:
        console.result(str(line))
