"""The finished segments of a video, stored on disk so that an interrupted run can resume."""

import contextlib
import glob
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from stylekit.images.errors import write_errors
from stylekit.images.pixels import Pixels
from stylekit.system.files import atomic_write, clear_stale, flush_to_disk, hidden_beside

_MARK = ".stylekit-segments"
_STATISTICS = "statistics_"
_NUMBERS = ("frames", "broken", "transparent", "end", "bytes")


@dataclass(frozen=True)
class PaintState:
    """The state from which the next frame is painted.

    Attributes:
        image: The latest painted frame; None at the start.
        reference: The image with which to compare the next frame, as in `steadiness.Change`; None without comparison.
        statistics: The statistics that the network's normalizations used last; see `Engine.run_after`.
        frames: The number of painted frames.
        broken: The number of those frames that could not be decoded.
        transparent: The number of those frames with transparency.
        end: When the latest painted frame ends, in units of the result's time.
        alpha: The alpha of the latest frame; None if it is opaque.
        origin: Time and checksum of the frame from which `image` was painted; None at the start.
    """

    image: Pixels | None = None
    reference: Pixels | None = None
    statistics: tuple[NDArray[np.float32], ...] = ()
    frames: int = 0
    broken: int = 0
    transparent: int = 0
    end: int = 0
    alpha: Pixels | None = None
    origin: tuple[int, int] | None = None


class Segments:
    """The finished segments of a video, in a hidden folder beside it, and the state from which to paint the next one.

    Args:
        output: The video.
        key: Hexadecimal digits that identify the source and the settings. Segments of the same video with another key
            are deleted.

    Attributes:
        paths: The finished segments, in order.
        state: The state after the last segment.
        is_corrupt: Whether finished segments were found but could not be used.
    """

    def __init__(self, output: Path, key: str) -> None:
        self._folder = hidden_beside(output, f".{key}{_MARK}")
        others = glob.escape(hidden_beside(output, "").name) + f".{'[0-9a-f]' * len(key)}{_MARK}"
        for folder in output.parent.glob(others):
            if folder != self._folder:
                shutil.rmtree(folder, ignore_errors=True)
        clear_stale(self._folder)
        self.paths = sorted(self._folder.glob("*.nut"))
        stored = self._load_state() if self.paths else PaintState()
        self.is_corrupt = stored is None
        if stored is None:
            self.clear()
        self.state = stored or PaintState()

    def _load_state(self) -> PaintState | None:
        """Return the state after the last segment; None if the state or a segment is corrupt."""
        try:
            arrays = load_file(self._state_file(self.paths[-1]))
            frames, broken, transparent, end, size = (int(arrays[name].item()) for name in _NUMBERS)
        except (OSError, SafetensorError, KeyError, ValueError):
            return None
        if size != _total_size(self.paths):
            return None
        statistics = tuple(arrays[name] for name in sorted(arrays) if name.startswith(_STATISTICS))
        image, reference, alpha = (arrays.get(name) for name in ("picture", "seen", "alpha"))
        origin = tuple(arrays["origin"].tolist()) if "origin" in arrays else None
        return PaintState(image, reference, statistics, frames, broken, transparent, end, alpha, origin)

    def add(self, write: Callable[[Path], PaintState]) -> None:
        """Add the next segment.

        Args:
            write: A function that writes the segment to a path and returns the state after it.

        Raises:
            ImageError: If the segment cannot be written. Earlier segments are kept.
        """
        path = self._folder / f"{len(self.paths):06}.nut"
        try:
            state = write(self._unfinished)
            with write_errors(path):
                self._finish(path, state)
        except BaseException:
            with contextlib.suppress(OSError):  # the folder stays if it holds finished segments
                self._unfinished.unlink(missing_ok=True)
                self._folder.rmdir()
            raise
        self.state = state

    def _finish(self, path: Path, state: PaintState) -> None:
        """Add a segment to the finished ones, after it and its state have reached the disk."""
        with atomic_write(self._state_file(path)) as temporary:
            temporary.write_bytes(save(_arrays(state, _total_size([*self.paths, self._unfinished]))))
        flush_to_disk(self._unfinished)
        self._unfinished.replace(path)  # from here on the segment is finished
        flush_to_disk(self._folder)
        for previous in self.paths[-1:]:
            self._state_file(previous).unlink()
        self.paths.append(path)

    @property
    def _unfinished(self) -> Path:
        return self._folder / "unfinished"

    def clear(self) -> None:
        """Delete all segments."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self.paths = []

    @staticmethod
    def _state_file(segment: Path) -> Path:
        return segment.with_suffix(".safetensors")


def _arrays(state: PaintState, size: int) -> dict[str, NDArray[np.generic]]:
    """Return a state and the total size of its segments as the arrays of a safetensors file."""
    arrays = {"picture": state.image, "seen": state.reference, "alpha": state.alpha, "origin": state.origin}
    values = state.frames, state.broken, state.transparent, state.end, size
    numbers = dict(zip(_NUMBERS, values, strict=True))
    statistics = {f"{_STATISTICS}{number:03}": array for number, array in enumerate(state.statistics)}
    present = {name: array for name, array in (arrays | numbers | statistics).items() if array is not None}
    return {name: np.ascontiguousarray(array) for name, array in present.items()}


def _total_size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths)
