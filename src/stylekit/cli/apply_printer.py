"""What `stylekit apply` prints of a batch: a line for each file, a bar, a summary."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stylekit.apply.report_file import WriteReport
from stylekit.apply.reports import FileReport
from stylekit.cli.console import Output

if TYPE_CHECKING:
    from stylekit.video.paint import VideoReport


class Printer:
    """Prints a batch's files as they come."""

    def __init__(self, console: Output, *, prints_paths: bool, write_report: WriteReport) -> None:
        self._console = console
        self._prints_paths = prints_paths
        self._write_report = write_report
        self._total = 0
        self._is_batch = False
        self._finished = 0
        self._has_frames = False

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show a bar meanwhile."""
        with self._console.bar("images", "{name}") as self._bar:
            yield

    def begin(self, total: int, is_batch: bool) -> None:
        """Say how many files there will be, and whether they are a batch."""
        self._total = total
        self._is_batch = is_batch
        self._bar.start(total)

    def show_frame(self, video: "VideoReport") -> None:
        """Show how a video is getting on."""
        self._has_frames = True
        self._bar.part(video.frames, video.length, "frames")

    def show(self, file: FileReport) -> None:
        """Print what became of a file."""
        self._finished += 1
        self._write_report(file)
        self._bar.advance(name=file.source.name)
        if file.status == "failed":
            if self._is_batch:  # else it is the command's failure, which is printed in the end
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


def counted(counts: Mapping[str, int]) -> str:
    """Sum up a batch by how many files have each status."""
    return ", ".join(f"{number} {status}" for status, number in counts.items() if number)
