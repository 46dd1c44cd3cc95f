"""Output for users: results on standard output, everything else on standard error."""

import contextlib
import enum
import errno
import json
import os
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TextIO

from stylekit.cli.progress import Bar, BeginDownload, SilentBar, live_bar, live_downloads, printable

if TYPE_CHECKING:
    from pathlib import Path

    from stylekit.downloads.download import OnProgress


class ExitCode(enum.IntEnum):
    """The command's exit status."""

    DONE = 0
    FAILURE = 1
    USAGE = 2
    PARTIAL = 3  # some inputs failed, others did not
    INTERRUPTED = 130


@dataclass(frozen=True)
class Output:
    """Prints output in the chosen form and amount of detail.

    Attributes:
        quiet: Whether to print results and failures only.
        verbose: Whether to print details too.
        as_json: Whether to print one JSON document on standard output in place of lines.
        animates: Whether a live bar may be shown; several processes would overwrite each other's bars.
        silent: Whether to print nothing at all, for processes other than the leader.
    """

    quiet: bool = False
    verbose: bool = False
    as_json: bool = False
    animates: bool = True
    silent: bool = False

    def result(self, line: str) -> None:
        """Print a result on standard output."""
        if not self.as_json:
            self._write(sys.stdout, printable(line) if sys.stdout.isatty() else line)

    def document(self, document: Mapping[str, Any]) -> None:
        """Print the JSON document on standard output, if `--json` was given."""
        if self.as_json:
            self._write(sys.stdout, json.dumps(document, indent=2, default=str))

    def note(self, line: str) -> None:
        """Print a message on standard error, unless quiet."""
        if not self.quiet:
            self._write(sys.stderr, printable(line))

    def detail(self, line: str) -> None:
        """Print a message on standard error if verbose."""
        if self.verbose:
            self._write(sys.stderr, printable(line))

    def failure(self, line: str) -> None:
        """Print a failure on standard error, even if quiet."""
        self._write(sys.stderr, printable(line))

    def _write(self, stream: TextIO, line: str) -> None:
        """Print a line without wrapping or cutting it; a stream that cannot be written to does not stop the work."""
        if self.silent:
            return
        try:
            stream.write(f"{_encodable(line, stream)}\n")
            stream.flush()
        except OSError as error:
            _give_up(stream, error)

    @property
    def animated(self) -> bool:
        """Whether a live bar can be shown."""
        return self.animates and not (self.quiet or self.as_json or self.silent) and sys.stderr.isatty()

    @contextmanager
    def bar(self, unit: str, template: str = "") -> Iterator[Bar]:
        """Show a live bar, if the output is animated.

        Args:
            unit: The plural of what is counted; if empty, the bar shows a percentage and no rate.
            template: Text beside the bar, with `{name}` for each field that `advance` or `update` gets.
        """
        if not self.animated:
            yield SilentBar()
            return
        with live_bar(unit, template) as bar:
            yield bar

    @contextmanager
    def downloads(self) -> Iterator[BeginDownload]:
        """Show downloads: a live bar for each, or a line for each if the output is not animated.

        Yields:
            A function to call at the start of a download; see `BeginDownload`.
        """
        if not self.animated:
            with self.retries():
                yield self._announced_download
            return
        with self.retries(), live_downloads() as begin:

            def announce(name: str, size: int | None = None, path: "Path | None" = None) -> "OnProgress":
                if path is not None:
                    self.note(f"Downloading {name} to {path} …")
                return begin(name, size)

            yield announce

    @contextmanager
    def retries(self) -> Iterator[None]:
        """Print a note for each failed attempt at a download, before the next attempt."""
        import logging

        note = self.note

        class Notes(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                note(record.getMessage())

        logger, notes = logging.getLogger("stylekit.downloads"), Notes()
        logger.addHandler(notes)
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(notes)

    def _announced_download(self, name: str, size: int | None = None, path: "Path | None" = None) -> "OnProgress":
        announced = False

        def show(done: int, total: int | None) -> None:
            nonlocal announced
            if not announced and (size or total or done):  # the first call may come before the size is known
                known = size or total
                self.note(
                    f"Downloading {name}{f', {file_size(known)}' if known else ''}{f', to {path}' if path else ''} …"
                )
                announced = True

        return show


output_errors: list[OSError] = []  # from writing to standard output; a reader that exits is not an error


def _give_up(stream: TextIO, error: OSError) -> None:
    """Discard all further output to a stream, so that Python's flush at exit does not fail."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if stream is sys.stdout and error.errno not in (errno.EPIPE, errno.EINVAL):  # EINVAL is EPIPE on Windows
        output_errors.append(error)


def _encodable(line: str, stream: TextIO) -> str:
    """Replace characters that the stream's encoding lacks."""
    encoding, errors = stream.encoding or "utf-8", stream.errors or "strict"
    try:
        line.encode(encoding, errors)
    except UnicodeEncodeError:
        return line.encode(encoding, "replace").decode(encoding)
    return line


def file_size(size: int) -> str:
    """Format a number of bytes in decimal units, such as `6.7 MB`."""
    from rich.filesize import decimal

    return decimal(size)


def duration(seconds: float) -> str:
    """Format seconds as hours, minutes and seconds, such as `0:03:05`."""
    return str(timedelta(seconds=round(seconds)))


def table(rows: Sequence[Sequence[str]], *, width: int | None = None, flexible: Collection[int] = ()) -> Iterator[str]:
    """Align rows of text in columns.

    Args:
        rows: The cells of each row.
        width: The maximum width of a line in columns; None for no limit.
        flexible: The indexes of the columns whose cells are shortened with an ellipsis to fit.

    Yields:
        Lines without trailing spaces.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    for column in range(len(rows[0])):
        grid.add_column(no_wrap=column not in flexible, overflow="ellipsis")
    for row in rows:
        grid.add_row(*(Text(printable(cell), no_wrap=True, overflow="ellipsis") for cell in row))
    console = Console(width=width or 2**15, color_system=None, force_terminal=False, legacy_windows=False)
    for line in console.render_lines(grid, pad=False):
        yield "".join(segment.text for segment in line).rstrip()


def terminal_width() -> int | None:
    """Return the width of standard output in columns; None if it is not a terminal and `COLUMNS` is not set."""
    known = sys.stdout.isatty() or "COLUMNS" in os.environ
    return shutil.get_terminal_size().columns if known else None


def flat(values: Mapping[str, Any], indent: str = "") -> Iterator[tuple[str, str]]:
    """Yield a row of key and value for each of the nested values, with the keys of inner mappings indented."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield f"{indent}{key}", ""
            yield from flat(value, f"{indent}  ")
        else:
            yield f"{indent}{key}", "none" if value is None else str(value)
