"""What `stylekit apply` prints of a batch: a line for each file, a bar, reports, a summary."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from json import dumps
from pathlib import Path
from typing import Any

from stylekit.cli.console import Output
from stylekit.errors import ConfigError


@contextmanager
def report_lines(path: Path | None) -> Iterator[Callable[[Any], None]]:
    """Give what appends a file's report to the list of all."""
    if path is None:
        yield lambda file: None
        return
    try:
        lines = path.open("a", encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"The report {path} cannot be written: {error.strerror}.", "Choose another --report."
        ) from None
    with lines:
        yield lambda file: print(dumps(as_json(file)), file=lines, flush=True)


class Printer:
    """Prints a batch's files as they come."""

    def __init__(self, console: Output, *, prints_paths: bool, write_report: Callable[[Any], None]) -> None:
        self._console = console
        self._prints_paths = prints_paths
        self._write_report = write_report
        self._total = 0
        self._finished = 0
        self._has_frames = False

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show a bar meanwhile."""
        with self._console.bar("images", "{name}") as self._bar:
            yield

    def begin(self, total: int) -> None:
        """Say how many files there will be."""
        self._total = total
        self._bar.start(total)

    def show_frame(self, film: Any) -> None:
        """Show how a film is getting on."""
        self._has_frames = True
        self._bar.part(film.frames, film.length, "frames")

    def show(self, file: Any) -> None:
        """Print what became of a file."""
        self._finished += 1
        self._write_report(file)
        self._bar.advance(name=file.source.name)
        if file.status == "failed":
            self._console.failure(f"failed {file.source}: {file.reason}")
        elif file.status == "skipped":
            self._console.detail(f"skipped {file.source}: {file.output} exists already")
        elif self._prints_paths:
            self._console.result(str(file.output))
        for note in file.notes:
            self._console.note(f"note {file.source}: {note}")

    def interrupted(self) -> None:
        """Say that what is done is kept."""
        if self._total > 1 or self._has_frames:
            self._console.failure(f"{self._finished} of {self._total} done; run the same command again to go on.")


def summary(counts: dict[str, int], seconds: float) -> str:
    """Sum up a batch in a line."""
    parts = [f"{number} {status}" for status, number in counts.items() if number]
    return f"{', '.join(parts)} in {seconds:.1f} s"


def as_json(file: Any) -> dict[str, Any]:
    """Return a file's report as JSON's types."""
    return {key: str(value) if isinstance(value, Path) else value for key, value in dataclasses.asdict(file).items()}
