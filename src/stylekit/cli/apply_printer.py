"""The output of `stylekit apply`: a line for each file, a progress bar and a summary."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylekit.apply.report_file import WriteReport, as_json
from stylekit.apply.reports import BatchReport, FileReport
from stylekit.cli.console import Output

if TYPE_CHECKING:
    from stylekit.video.paint import VideoReport


class Printer:
    """Prints each file of a batch when it is finished, and a summary at the end.

    Args:
        console: The output to print to.
        prints_paths: Whether to print the paths of results.
        write_report: Called with each file, for `--report`.
    """

    def __init__(self, console: Output, *, prints_paths: bool, write_report: WriteReport) -> None:
        """Start with no files."""
        self._console = console
        self._prints_paths = prints_paths
        self._write_report = write_report
        self._total = 0
        self._is_batch = False
        self._finished = 0
        self._has_frames = False
        self._is_watching = False

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show a bar until the block ends."""
        with self._console.bar("images", "{name}") as self._bar:
            yield

    def begin(self, total: int, is_batch: bool) -> None:
        """Set the number of files still to be stylized, and whether they are a batch."""
        self._total = self._finished + total
        self._is_batch = is_batch
        self._bar.start(self._total, self._finished)

    def show_frame(self, video: "VideoReport") -> None:
        """Show the progress of a video."""
        self._has_frames = True
        self._bar.part(video.frames, video.length, "frames")

    def show(self, file: FileReport) -> None:
        """Print the result of a finished file or the reason for its failure, and notes about it."""
        self._finished += 1
        self._write_report(file)
        self._bar.advance(name=file.source.name)
        if file.status == "failed":
            if self._is_batch:  # the failure of a single file is the command's error, printed at the end
                self._console.failure(f"failed {file.source}: {file.reason}")
        elif file.status == "skipped":
            line = f"skipped {file.source}: {file.reason}"
            if self._is_watching:  # someone is waiting for the result of a file that has just arrived
                self._console.note(f"{line} ({file.hint})")
            else:
                self._console.detail(line)
        elif self._prints_paths:
            self._console.result(str(file.output))
        for note in file.notes:
            self._console.note(f"note {file.source}: {note}")

    def wait(self, folders: Sequence[Path]) -> None:
        """Show that all files in the folders are done, and that the command is waiting for new ones."""
        if not self._is_watching:
            self._console.note(f"Watching {', '.join(map(str, folders))}; press Ctrl-C to stop.")
        self._is_watching = True
        self._bar.update(self._finished, name="waiting for new files")

    def interrupted(self) -> None:
        """Print how to resume."""
        if self._finished < self._total and (self._total > 1 or self._has_frames):
            self._console.failure(f"{self._finished} of {self._total} done; run the same command again to resume.")

    def summarize(self, report: BatchReport, whose: str) -> None:
        """Print the JSON document, or how many files have each status and why some were skipped.

        Args:
            report: The batch.
            whose: A prefix for the first line that names the process, if several share the batch; else empty.
        """
        counts = {status: report.count(status) for status in ("planned", "done", "skipped", "failed")}
        document: dict[str, Any] = {
            "files": [as_json(file) for file in report.files],
            **counts,
            "seconds": round(report.seconds, 3),
        }
        document["ignored"] = report.ignored
        if (error := report.error) is not None:
            document["error"] = {"type": type(error).__name__, "message": error.message, "hint": error.hint}
        self._console.document(document)
        if len(report.files) > 1 or report.failures:
            counted = ", ".join(f"{number} {status}" for status, number in counts.items() if number)
            self._console.note(f"{whose}{counted} in {report.seconds:.1f} s")
        for line in (*_skips(report), *_ignored(report)):
            self._console.note(line)
        for hint in dict.fromkeys(file.hint for file in report.failures if file.hint):
            self._console.note(f"hint: {hint}")
        if error is not None:
            self.interrupted()
            self._console.failure(f"error: {error.message}")
            self._console.failure(f"hint: {error.hint}")


def _skips(report: BatchReport) -> Iterator[str]:
    """Yield a line for each reason, such as `3 skipped: already painted (--overwrite paints them again)`."""
    reasons = Counter((file.reason, file.hint) for file in report.files if file.status == "skipped")
    for (reason, hint), number in reasons.items():
        remedy = hint if number == 1 else re.sub(r"\bit\b", "them", hint)
        yield f"{number} skipped: {reason} ({remedy})"


def _ignored(report: BatchReport) -> Iterator[str]:
    """Yield a line for each kind of file that was ignored in the folders."""
    for reason, number in report.ignored.items():
        yield f"{number} {'file' if number == 1 else 'files'} skipped: {reason}"
