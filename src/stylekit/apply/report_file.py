"""Write the report file for `--report`, with one line of JSON per output."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from stylekit.apply.reports import FileReport
from stylekit.errors import ConfigError, StylekitError
from stylekit.images.formats import READABLE_SUFFIXES
from stylekit.system.distributed import World
from stylekit.system.files import writing
from stylekit.video.formats import VIDEO_SUFFIXES

WriteReport = Callable[[FileReport], None]


def as_json(file: FileReport) -> dict[str, Any]:
    """Convert a report to a dictionary of JSON types."""
    return {key: str(value) if isinstance(value, Path) else value for key, value in dataclasses.asdict(file).items()}


@contextlib.contextmanager
def report_lines(path: Path | None, world: World) -> Iterator[WriteReport]:
    """Yield a function that appends the report on an output to the report file.

    Args:
        path: The report file; None writes no report. If several processes share the batch, each process appends to a
            separate file, `report.RANK.jsonl` instead of `report.jsonl`. These files together form the report.
        world: The processes that share the batch.

    Raises:
        ConfigError: If the report file cannot be opened, or has an image or video suffix.
        StylekitError: If writing to the report file fails later.
    """
    if path is None:
        yield lambda file: None
        return
    if path.suffix.lower() in READABLE_SUFFIXES | VIDEO_SUFFIXES:  # prevents appending the report to a photo
        raise ConfigError(
            f"Invalid --report {path}: that is the name of an image or a video.", "Use --report report.jsonl."
        )
    if world.is_distributed:
        path = path.with_name(f"{path.stem}.{world.rank}{path.suffix}")
    with writing(path, ConfigError, "choose another --report"):
        needs_end = _ends_within_a_line(path)
        lines = path.open("a", encoding="utf-8")

    def write(file: FileReport) -> None:
        nonlocal needs_end
        with writing(path, StylekitError):
            lines.write("\n" * needs_end + json.dumps(as_json(file)) + "\n")
            lines.flush()
        needs_end = False

    try:
        yield write
    finally:
        with contextlib.suppress(OSError):  # nothing is lost: `write` flushes every line
            lines.close()


def _ends_within_a_line(path: Path) -> bool:
    """Return whether the last line of a file is incomplete, because the process that wrote it was killed."""
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"
