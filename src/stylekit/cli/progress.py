"""Show progress bars on a terminal, and nothing elsewhere. Rich is imported only when a bar is shown."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from rich.progress import ProgressColumn

    from stylekit.downloads.download import OnProgress

_BAR_WIDTH = 24


class BeginDownload(Protocol):
    """A function that starts to show a download."""

    def __call__(self, name: str, size: int | None = None, path: "Path | None" = None) -> "OnProgress":
        """Start to show a download.

        Args:
            name: The name to show.
            size: The size of the download in bytes; None if unknown.
            path: The file to mention as the destination; None to mention no file.

        Returns:
            A function to call with the bytes received so far and in total.
        """
        ...


class Bar(Protocol):
    """The progress of a command."""

    def start(self, total: int, done: int = 0) -> None:
        """Set the total number of steps, and the number of earlier steps, which the estimated time left ignores."""
        ...

    def advance(self, **fields: object) -> None:
        """Count one more step as done, and fill the template with the fields."""
        ...

    def update(self, done: float, **fields: object) -> None:
        """Set the number of steps that are done, and fill the template with the fields."""
        ...

    def part(self, done: int, total: int, unit: str) -> None:
        """Show how much of the current step is done, in the given unit; a total of 0 means unknown."""
        ...


class SilentBar:
    """A bar that shows nothing."""

    def start(self, total: int, done: int = 0) -> None:
        """Do nothing."""

    def advance(self, **fields: object) -> None:
        """Do nothing."""

    def update(self, done: float, **fields: object) -> None:
        """Do nothing."""

    def part(self, done: int, total: int, unit: str) -> None:
        """Do nothing."""


class _LiveBar:
    def __init__(self, progress: Any, template: str) -> None:
        self._progress = progress
        self._template = template
        self._task = progress.add_task("", total=None, visible=False)
        self._part: Any = None

    def start(self, total: int, done: int = 0) -> None:
        self._end_part()
        self._progress.start()
        self._progress.reset(self._task, total=total, completed=done, visible=True)

    def advance(self, **fields: object) -> None:
        self._end_part()
        self._progress.update(self._task, advance=1, description=self._described(fields))

    def update(self, done: float, **fields: object) -> None:
        self._progress.update(self._task, completed=done, description=self._described(fields))

    def part(self, done: int, total: int, unit: str) -> None:
        self._progress.start()
        if self._part is None:
            self._part = self._progress.add_task("", total=total or None, completed=done, unit=unit)
        self._progress.update(self._part, completed=done, total=total or None)

    def _end_part(self) -> None:
        if self._part is not None:
            self._progress.remove_task(self._part)
            self._part = None

    def _described(self, fields: Mapping[str, object]) -> str:
        from rich.markup import escape

        return escape(printable(self._template.format(**fields)))


def printable(text: str) -> str:
    """Replace characters that could control the terminal or break the line, which file names may contain."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


@contextmanager
def live_bar(unit: str, template: str) -> Iterator[Bar]:
    """Show a live bar with steps, rate, time left and text on standard error; see `Output.bar`."""
    from rich.console import Console
    from rich.progress import Progress

    # Only on a terminal can lines on stdout disturb the bar.
    redirect = sys.stdout.isatty()
    progress = Progress(*_columns(unit), console=Console(stderr=True), redirect_stdout=redirect, transient=True)
    try:
        yield _LiveBar(progress, template)
    finally:
        progress.stop()


def _columns(unit: str) -> Sequence["ProgressColumn"]:
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.table import Column
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            counted = task.fields.get("unit", unit)
            return Text(f"{task.speed:.2f} {counted}/s" if task.speed else f"– {counted}/s")

    class Description(ProgressColumn):
        def render(self, task: Task) -> Text:
            text = Text.from_markup(task.description, overflow="ellipsis")
            text.no_wrap = True
            return text

    whole = Column(no_wrap=True)  # in a narrow terminal, only the description is shortened
    bar, left = BarColumn(_BAR_WIDTH, table_column=whole), TimeRemainingColumn(table_column=whole)
    if not unit:
        return (bar, TextColumn("{task.percentage:3.0f} %", table_column=whole), left, Description())
    return (bar, MofNCompleteColumn(table_column=whole), Rate(table_column=whole), left, Description())


@contextmanager
def live_downloads() -> Iterator[BeginDownload]:
    """Show a live bar with bytes, rate and time left for each running download; see `Output.downloads`."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.progress import TransferSpeedColumn as Rate

    bar, text = BarColumn(_BAR_WIDTH), TextColumn("{task.description}")
    columns = (text, bar, DownloadColumn(), Rate(), TimeRemainingColumn())
    progress = Progress(*columns, console=Console(stderr=True), redirect_stdout=False, transient=True)

    def begin(name: str, size: int | None = None, path: "Path | None" = None) -> "OnProgress":
        task = progress.add_task(escape(printable(name)), total=size)
        progress.start()

        def show(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total or size)
            if progress.finished:  # another live bar may follow
                progress.stop()

        return show

    try:
        yield begin
    finally:
        progress.stop()
