"""The reports that `apply_styles` returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stylekit.errors import StylekitError


@dataclass(frozen=True)
class FileReport:
    """A report on one input in one style.

    Attributes:
        source: The path of the photo or video.
        output: The path of the result.
        style: The style, as passed to `apply_styles`.
        status: `done`, `skipped`, `failed`, or `planned` in a dry run.
        reason: The reason why the output failed or was skipped; empty otherwise.
        hint: What the user can do about a failure or skip; may be empty.
        width: Width of the result in pixels; 0 if nothing was written.
        height: Height of the result in pixels; 0 if nothing was written.
        frames: The number of frames in a video; 0 for a photo.
        seconds: For a photo, the time in seconds that the network took; for a video, the total time.
        notes: Remarks for the user, for example that only the first frame was used.
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
    """The report on a batch.

    Attributes:
        files: One report for each output, in the order of the inputs.
        seconds: The time in seconds that the batch took.
        ignored: The reasons why files in folders were not stylized, and how many files each reason applies to:
            `{"not images (.pdf, .txt)": 2}`.
        error: The error that ended the batch early, such as a full disk; None if there was none. Outputs that were not
            reached are missing from `files`.
    """

    files: tuple[FileReport, ...]
    seconds: float
    ignored: Mapping[str, int] = field(default_factory=dict)
    error: StylekitError | None = None

    def count(self, status: str) -> int:
        """Return the number of outputs with a status."""
        return sum(file.status == status for file in self.files)

    @property
    def failures(self) -> tuple[FileReport, ...]:
        """The reports on outputs that failed."""
        return tuple(file for file in self.files if file.status == "failed")
