"""The results of a batch, as `apply_styles` returns them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stylekit.errors import StylekitError


@dataclass(frozen=True)
class FileReport:
    """The result of one input in one style.

    Attributes:
        source: The photo or video.
        output: The path of the result.
        style: The style as it was given.
        status: `done`, `skipped`, `failed`, or `planned` in a dry run.
        reason: Why it failed or was skipped; empty otherwise.
        hint: What to do about it; may be empty.
        width: Width of the result in pixels; 0 if nothing was written.
        height: Height of the result in pixels; 0 if nothing was written.
        frames: The number of frames of a video; 0 for a photo.
        seconds: The time spent in the network, or on the whole of a video.
        notes: Remarks for the user, such as that only the first frame was used.
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
    """The results of a batch.

    Attributes:
        files: One report for each output, in the order of the inputs.
        seconds: The time that the batch took.
        ignored: Why files in folders were not inputs, with their number: `{"not images (.pdf, .txt)": 2}`.
        error: What ended the batch early, such as a full disk; the files after that have no report.
    """

    files: tuple[FileReport, ...]
    seconds: float
    ignored: Mapping[str, int] = field(default_factory=dict)
    error: StylekitError | None = None

    def count(self, status: str) -> int:
        """Return how many files have a status."""
        return sum(file.status == status for file in self.files)

    @property
    def failures(self) -> tuple[FileReport, ...]:
        """The reports of files that failed."""
        return tuple(file for file in self.files if file.status == "failed")
