"""`stylekit styles pull`: download styles from catalogs and URLs, several at a time."""

import contextlib
import queue
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylekit.cli import options
from stylekit.cli.completion import known_styles
from stylekit.cli.console import ExitCode, Output
from stylekit.cli.progress import BeginDownload
from stylekit.errors import ConfigError, StylekitError

if TYPE_CHECKING:
    from stylekit.downloads.download import OnProgress

_AT_A_TIME = 4


def pull(
    styles: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME|URL",
            help="Style names, or https:// or hf:// URLs.",
            show_default=False,
            autocompletion=known_styles,
        ),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Download every remote style.")] = False,
    sha256: Annotated[
        str | None, typer.Option(metavar="HASH", help="Expected SHA-256 checksum of the file at the URL.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name for the pulled style.", show_default="the file name"),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a cached style of the same name that came from a different URL.")
    ] = False,
    catalog: options.Catalogs = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Download styles into the cache.

    Examples:
      stylekit styles pull mosaic candy
      stylekit styles pull --all
      stylekit styles pull https://example.org/wave.safetensors --name wave

    Interrupted downloads resume. Checksums are verified, and nothing in a file
    is executed.
    """
    from stylekit.styles.pull import Finder, fetch_style

    console = Output(quiet=quiet, as_json=json)
    finder = Finder(catalog or [])
    if not styles and not all_:
        raise ConfigError("No style given.", "Choose one from `stylekit styles list`, or pass --all.")
    if (all_ or len(set(styles or [])) > 1) and (sha256 is not None or name is not None):
        raise ConfigError("--sha256 and --name need a single URL.", "Pull the styles one by one.")

    def job(style: str, on_progress: "OnProgress") -> Path:
        found = finder.find(style, sha256=sha256, name=name)
        if isinstance(found, Path):
            console.note(f"{style} is already available.")
            return found
        return fetch_style(found, force=force, on_progress=on_progress)

    with console.downloads() as progress_of:
        remote = finder.entries()  # before several threads ask for them
        wanted = dict.fromkeys([*(styles or []), *(remote if all_ else [])])
        results = _at_once({style: partial(job, style) for style in wanted}, progress_of)
    _report(console, results)


def _at_once(
    jobs: Mapping[str, Callable[["OnProgress"], Path]], progress_of: BeginDownload
) -> dict[str, Path | StylekitError]:
    """Run jobs in a few daemon threads, so that Ctrl-C works even if a server does not respond."""
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
        while True:  # without a timeout, Windows would not notice Ctrl-C
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
