"""`--report`: a line of JSON for each file. Several processes each write a part, and rank 0 joins the parts."""

import contextlib
import dataclasses
import json
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from stylekit.apply.reports import FileReport
from stylekit.errors import ConfigError, StylekitError
from stylekit.images.formats import READABLE_SUFFIXES
from stylekit.system.distributed import World
from stylekit.video.formats import VIDEO_SUFFIXES

WriteReport = Callable[[FileReport], None]

_LOOK_EVERY = 0.2  # seconds, for the others' parts
_BEST_FIRST = ("done", "skipped", "planned", "failed")  # what counts where an output was tried more than once


def as_json(file: FileReport) -> dict[str, Any]:
    """Return a file's report as JSON's types."""
    return {key: str(value) if isinstance(value, Path) else value for key, value in dataclasses.asdict(file).items()}


@contextlib.contextmanager
def report_lines(
    path: Path | None, world: World, *, on_merged: Callable[[Counter[str]], None] = lambda counts: None
) -> Iterator[WriteReport]:
    """Give what appends a file's report to the list of all.

    Several processes write to a folder beside the report, which they all must see; at the end rank 0 waits for the
    others and joins what they wrote, with one line for each output, in the order of the photos.

    Args:
        path: the report; None writes none.
        world: the processes.
        on_merged: called by rank 0 of several, with how many files have each status.

    Raises:
        ConfigError: if the report cannot be written, or has a picture's or a video's name.
        StylekitError: if it can no longer be written.
    """
    if path is not None and path.suffix.lower() in READABLE_SUFFIXES | VIDEO_SUFFIXES:  # it might be one, to be kept
        raise ConfigError(
            f"The report {path} has the name of a picture or video.", "Name it report.jsonl, for example."
        )
    if path is None:
        yield lambda file: None
    elif not world.is_shared:
        with _appending(path, path) as write:
            yield write
    else:
        parts = _Parts(path, world)
        with parts.begun() as write:
            yield write
        if world.leads:
            on_merged(parts.merge())


@contextlib.contextmanager
def _appending(path: Path, report: Path) -> Iterator[WriteReport]:
    try:
        lines = path.open("a", encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"The report {report} cannot be written: {error.strerror}.", "Choose another --report."
        ) from None

    def write(file: FileReport) -> None:
        try:
            lines.write(json.dumps(as_json(file)) + "\n")
            lines.flush()
        except OSError as error:
            raise StylekitError(
                f"The report {report} cannot be written: {error.strerror}.", "Run the same command again to go on."
            ) from None

    try:
        yield write
    finally:
        with contextlib.suppress(OSError):  # all that could be written has been
            lines.close()


class _Parts:
    """What several processes report, until it is joined.

    Each has a file of its own, to which it goes on appending when it is started again, and beside it leaves a mark once
    its share has been tried. The mark of a share holds whichever process has its number by then.
    """

    def __init__(self, report: Path, world: World) -> None:
        self._report = report
        self._world = world
        self._folder = report.with_name(f"{report.name}.parts")

    def _mark(self, rank: int) -> Path:
        job = re.sub(r"\W", "-", self._world.job)
        return self._folder / f"{job}-{rank}-of-{self._world.size}.tried"

    @contextlib.contextmanager
    def begun(self) -> Iterator[WriteReport]:
        """Give what writes this process's part; the end of the block leaves its mark."""
        mark = self._mark(self._world.rank)
        part = mark.with_suffix(".jsonl")
        with contextlib.suppress(OSError):  # the report's folder is missing, which `_appending` will say
            self._folder.mkdir(exist_ok=True)
            mark.unlink(missing_ok=True)
            _end_line(part)
        with _appending(part, self._report) as write:
            yield write
        with contextlib.suppress(FileNotFoundError):  # rank 0 has seen an earlier mark, and joined the parts
            mark.touch()

    def merge(self) -> "Counter[str]":
        """Wait for all marks, append what the parts say to the report, and delete them."""
        while not all(self._mark(rank).exists() for rank in range(self._world.size)):
            time.sleep(_LOOK_EVERY)
        outputs: dict[str, dict[str, Any]] = {}
        for part in sorted(self._folder.glob("*.jsonl")):
            for file in _files(part):
                known = outputs.setdefault(file["output"], file)
                outputs[file["output"]] = min(known, file, key=lambda file: _BEST_FIRST.index(file["status"]))
        files = sorted(outputs.values(), key=lambda file: (Path(file["source"]), file["output"]))
        with self._report.open("a", encoding="utf-8") as lines:
            lines.writelines(f"{json.dumps(file)}\n" for file in files)
        shutil.rmtree(self._folder, ignore_errors=True)
        return Counter(file["status"] for file in files)


def _end_line(part: Path) -> None:
    """Let a part that a killed process left go on in a new line."""
    if part.exists():
        with part.open("a", encoding="utf-8") as lines:
            lines.write("\n")


def _files(part: Path) -> Iterator[dict[str, Any]]:
    for line in part.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):  # a process was killed while it wrote this
            yield json.loads(line)
