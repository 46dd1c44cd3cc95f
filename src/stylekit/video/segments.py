"""A video in parts that outlive the process: what is painted is not painted again."""

import contextlib
import glob
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from stylekit.images.errors import write_errors
from stylekit.images.pixels import Pixels
from stylekit.system.files import atomic_write, clear_stale, flush_to_disk, hidden_beside

_MARK = ".stylekit-segments"
_STATISTICS = "statistics_"


@dataclass(frozen=True)
class Memory:
    """What the painting of a video goes on from.

    Attributes:
        picture: the last one; None at the beginning.
        seen: what is remembered of the photos; see `steadiness.Change`. None where nothing is.
        statistics: what the network's normalisations used; see `Engine.run_after`.
        frames: how many there have been.
        broken: how many of them could not be read.
        end: when the last one ends, in units of the video's time.
        alpha: the last picture's; None where there is no transparency.
    """

    picture: Pixels | None = None
    seen: Pixels | None = None
    statistics: tuple[NDArray[np.float32], ...] = ()
    frames: int = 0
    broken: int = 0
    end: int = 0
    alpha: Pixels | None = None


class Segments:
    """The finished parts of a video, in a hidden folder beside it, and from what the next one goes on.

    Args:
        output: the video.
        key: hexadecimal digits that tell videos from one another that are to become this one, by what they come from
            and how.

    Attributes:
        paths: the finished segments, in order.
        memory: what the next segment goes on from.
        is_damaged: whether there were finished segments that could not be used.
    """

    def __init__(self, output: Path, key: str) -> None:
        self._folder = hidden_beside(output, f".{key}{_MARK}")
        others = glob.escape(hidden_beside(output, "").name) + f".{'[0-9a-f]' * len(key)}{_MARK}"
        for folder in output.parent.glob(others):
            if folder != self._folder:
                shutil.rmtree(folder, ignore_errors=True)
        clear_stale(self._folder)
        self.paths = sorted(self._folder.glob("*.nut"))
        remembered = self._remembered() if self.paths else Memory()
        self.is_damaged = remembered is None
        if remembered is None:
            self.clear()
        self.memory = remembered or Memory()

    def _remembered(self) -> Memory | None:
        """Read from what the next segment goes on; None where that, or a segment, is damaged."""
        try:
            arrays = load_file(self._memory_of(self.paths[-1]))
            frames, broken, end, size = (int(arrays[name].item()) for name in ("frames", "broken", "end", "bytes"))
        except (OSError, SafetensorError, KeyError, ValueError):
            return None
        if size != self._bytes(self.paths):
            return None
        statistics = tuple(arrays[name] for name in sorted(arrays) if name.startswith(_STATISTICS))
        picture, seen, alpha = (arrays.get(name) for name in ("picture", "seen", "alpha"))
        return Memory(picture, seen, statistics, frames, broken, end, alpha)

    def add(self, write: Callable[[Path], Memory]) -> None:
        """Have the next segment written.

        Args:
            write: given the file to write, returns from what the segment after it goes on.
        """
        path = self._folder / f"{len(self.paths):06}.nut"
        try:
            memory = write(self._unfinished)
            with write_errors(path):
                self._finish(path, memory)
        except BaseException:
            with contextlib.suppress(OSError):  # the folder is left where it holds finished segments
                self._unfinished.unlink(missing_ok=True)
                self._folder.rmdir()
            raise
        self.memory = memory

    def _finish(self, path: Path, memory: Memory) -> None:
        """Let a segment count, once it and its memory would outlive a power cut."""
        arrays = {name: value for name, value in vars(memory).items() if value is not None and name != "statistics"}
        arrays |= {f"{_STATISTICS}{number:03}": value for number, value in enumerate(memory.statistics)}
        arrays["bytes"] = self._bytes([*self.paths, self._unfinished])
        with atomic_write(self._memory_of(path)) as temporary:
            save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, temporary)
            flush_to_disk(temporary)
        flush_to_disk(self._unfinished)
        self._unfinished.replace(path)  # only now does the segment count: it has what follows it
        flush_to_disk(self._folder)
        for before in self.paths[-1:]:
            self._memory_of(before).unlink()
        self.paths.append(path)

    @property
    def _unfinished(self) -> Path:
        return self._folder / "unfinished"

    def clear(self) -> None:
        """Remove all of them."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self.paths = []

    @staticmethod
    def _bytes(paths: Iterable[Path]) -> int:
        return sum(path.stat().st_size for path in paths)

    @staticmethod
    def _memory_of(segment: Path) -> Path:
        return segment.with_suffix(".safetensors")
