"""What the user sees: results on stdout, everything else on stderr."""

import enum
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stylekit.cli.progress import Bar, _columns, _LiveBar, _Silence

if TYPE_CHECKING:
    pass


class ExitCode(enum.IntEnum):
    """What the shell is told."""

    DONE = 0
    FAILURE = 1
    USAGE = 2
    PARTIAL = 3  # some of several failed
    INTERRUPTED = 130


@dataclass(frozen=True)
class Output:
    """How much is printed, and how.

    Attributes:
        quiet: only failures.
        verbose: also what is usually not worth a line.
        as_json: one JSON document on stdout instead of lines.
        animates: whether a live bar may be shown; several processes would draw over each other.
    """

    quiet: bool = False
    verbose: bool = False
    as_json: bool = False
    animates: bool = True

    def result(self, line: str) -> None:
        """Print a result."""
        if not self.as_json:
            write_line(sys.stdout, line)

    def document(self, document: Mapping[str, Any]) -> None:
        """Print the JSON document, where one is wanted."""
        if self.as_json:
            write_line(sys.stdout, json.dumps(document, indent=2, default=str))

    def note(self, line: str) -> None:
        """Print what a user wants to know while it happens."""
        if not self.quiet:
            write_line(sys.stderr, printable(line))

    def detail(self, line: str) -> None:
        """Print what only a curious user wants to know."""
        if self.verbose:
            write_line(sys.stderr, line)

    def failure(self, line: str) -> None:
        """Print a failure, whatever else is to be seen."""
        write_line(sys.stderr, printable(line))

    @property
    def animated(self) -> bool:
        """Whether a live bar can be shown."""
        return self.animates and not self.quiet and not self.as_json and sys.stderr.isatty()

    @contextmanager
    def bar(self, unit: str, template: str = "") -> Iterator[Bar]:
        """Show a live bar: done of total, the template filled with a step's fields, rate and time left.

        Args:
            unit: what is counted, in the plural; with "" the bar shows a percentage, and no rate.
            template: text with `{name}` for each field that `advance` gets.
        """
        if not self.animated:
            yield _Silence()
            return
        from rich.console import Console
        from rich.progress import Progress

        # Lines on stdout go through the bar's console only where both are the same terminal.
        redirect = sys.stdout.isatty()
        columns = _columns(unit)
        with Progress(*columns, console=Console(stderr=True), redirect_stdout=redirect, transient=True) as progress:
            yield _LiveBar(progress, template)

    @contextmanager
    def downloads(self) -> Iterator[Callable[[str], Callable[[int, int | None], None]]]:
        """Show downloads: a live bar for each with bytes, rate and time left; a line for each where nothing is live.

        Yields:
            A function that names a new download, and returns what is to be called with its bytes so far and in all.
        """
        if not self.animated:
            yield self._announced_download
            return
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.progress import TransferSpeedColumn as Rate

        columns = (TextColumn("{task.description}"), BarColumn(24), DownloadColumn(), Rate(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), redirect_stdout=False, transient=True) as progress:

            def begin(name: str) -> Callable[[int, int | None], None]:
                task = progress.add_task(escape(name), total=None)
                return lambda done, total: progress.update(task, completed=done, total=total)

            yield begin

    def _announced_download(self, name: str) -> Callable[[int, int | None], None]:
        announced = False

        def show(done: int, total: int | None) -> None:
            nonlocal announced
            if not announced:
                self.note(f"Fetching {name}{f', {human_size(total)}' if total else ''} …")
                announced = True

        return show


class Muted(Output):
    """What a process says that works beside the one that speaks."""

    def result(self, line: str) -> None:
        """Print nothing."""

    def document(self, document: Mapping[str, Any]) -> None:
        """Print nothing."""

    def note(self, line: str) -> None:
        """Print nothing."""

    def detail(self, line: str) -> None:
        """Print nothing."""

    def failure(self, line: str) -> None:
        """Print nothing."""

    @property
    def animated(self) -> bool:
        """Nothing is shown."""
        return False


def write_line(stream: Any, line: str) -> None:
    """Print a line as it is: never wrapped, never cut; what the terminal cannot show is replaced."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(line.encode(encoding, "replace").decode(encoding) + "\n")
    stream.flush()


def printable(text: str) -> str:
    """Replace what could command the terminal or break the line: names and texts come from anywhere."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Align rows of text in columns."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def flat(values: Mapping[str, Any], indent: str = "") -> Iterator[tuple[str, str]]:
    """Turn nested values into rows of two cells, inner ones indented."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield f"{indent}{key}", ""
            yield from flat(value, f"{indent}  ")
        else:
            yield f"{indent}{key}", "none" if value is None else str(value)


def human_size(size: int) -> str:
    """Write a number of bytes for people: `6.7 MB`."""
    value = float(size)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
