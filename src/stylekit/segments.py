"""A film in parts that outlive the process: what is painted is not painted again."""

import contextlib
import glob
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from stylekit.colors import Pixels
from stylekit.paths import atomic_write, clear_stale
from stylekit.pillow_guard import write_errors

_MARK = ".stylekit-segments"
_STATISTICS = "statistics_"


@dataclass(frozen=True)
class Memory:
    """What the painting of a film goes on from.

    Attributes:
        picture: the last one; None at the beginning.
        seen: what is remembered of the photos; see `steadiness.Change`. None where nothing is.
        statistics: what the network's normalisations used; see `Engine.run_after`.
        frames: how many there have been.
        broken: how many of them could not be read.
        end: when the last one ends, in units of the film's time.
    """

    picture: Pixels | None = None
    seen: Pixels | None = None
    statistics: tuple[NDArray[np.float32], ...] = ()
    frames: int = 0
    broken: int = 0
    end: int = 0


class Segments:
    """The finished parts of a film, in a hidden folder beside it, and from what the next one goes on.

    Args:
        output: the film.
        key: hexadecimal digits that tell films from one another that are to become this one, by what they come from
            and how.
    """

    def __init__(self, output: Path, key: str) -> None:
        self._folder = output.with_name(f".{output.name}.{key}{_MARK}")
        for folder in output.parent.glob(f".{glob.escape(output.name)}.{'[0-9a-f]' * len(key)}{_MARK}"):
            if folder != self._folder:
                shutil.rmtree(folder, ignore_errors=True)
        clear_stale(self._folder)
        self.paths = sorted(self._folder.glob("*.nut"))

    @property
    def memory(self) -> Memory:
        """What the next segment goes on from."""
        if not self.paths:
            return Memory()
        arrays = load_file(self._memory_of(self.paths[-1]))
        frames, broken, end = (int(arrays[name].item()) for name in ("frames", "broken", "end"))
        statistics = tuple(arrays[name] for name in sorted(arrays) if name.startswith(_STATISTICS))
        return Memory(arrays.get("picture"), arrays.get("seen"), statistics, frames, broken, end)

    def add(self, write: Callable[[Path], Memory]) -> None:
        """Have the next segment written.

        Args:
            write: given the file to write, returns from what the segment after it goes on.
        """
        path = self._folder / f"{len(self.paths):06}.nut"
        try:
            memory = write(self._unfinished)
        except BaseException:
            with contextlib.suppress(OSError):  # it is left where it holds finished segments
                self._folder.rmdir()
            raise
        arrays = {name: value for name, value in vars(memory).items() if value is not None and name != "statistics"}
        arrays |= {f"{_STATISTICS}{number:03}": value for number, value in enumerate(memory.statistics)}
        with write_errors(path):
            with atomic_write(self._memory_of(path)) as temporary:
                save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, temporary)
            self._unfinished.replace(path)  # only now does the segment count: it has what follows it
            for before in self.paths[-1:]:
                self._memory_of(before).unlink()
        self.paths.append(path)

    @property
    def _unfinished(self) -> Path:
        return self._folder / "unfinished"

    def clear(self) -> None:
        """Remove all of them."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @staticmethod
    def _memory_of(segment: Path) -> Path:
        return segment.with_suffix(".safetensors")
