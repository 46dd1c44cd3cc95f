"""What became of a batch: the reports that it ends in."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FileReport:
    """What became of one output.

    Attributes:
        source: the photo.
        output: the result's path.
        style: the style as it was named.
        status: `done`, `skipped` (it was there already) or `failed`; `planned` in a dry run.
        reason: why it failed; empty otherwise.
        hint: what to do about it.
        width: of the result in pixels; 0 where there is none.
        height: likewise.
        frames: of a video; 0 for a photo.
        seconds: spent in the network, or on a video.
        notes: what a user may want to know, such as that only the first frame was taken.
    """

    source: Path
    output: Path
    style: str
    status: str
    reason: str = ""
    hint: str = ""
    width: int = 0
    height: int = 0
    frames: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class BatchReport:
    """What became of all outputs, in the order of the photos."""

    files: tuple[FileReport, ...]
    seconds: float

    def count(self, status: str) -> int:
        """Return how many files have a status."""
        return sum(file.status == status for file in self.files)

    @property
    def failures(self) -> tuple[FileReport, ...]:
        """The files that failed."""
        return tuple(file for file in self.files if file.status == "failed")
