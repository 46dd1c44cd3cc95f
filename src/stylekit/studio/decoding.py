"""Decode uploaded photos in worker processes, so that a photo that crashes its decoder does not affect the others."""

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from stylekit.apply.loading import LESS_MEMORY
from stylekit.errors import ImageError
from stylekit.images.errors import read_errors
from stylekit.images.photo import Photo
from stylekit.images.pillow import open_image, pillow
from stylekit.images.reading import load_photo
from stylekit.system.memory import memory_errors
from stylekit.system.processes import WorkerPool


@dataclass(frozen=True)
class _Request:
    path: Path
    max_pixels: int
    max_size: int | None


@dataclass(frozen=True)
class Decoded:
    """A decoded photo.

    Attributes:
        photo: The photo, reduced if the caller requested a maximum size.
        width: The photo's width in pixels before the reduction.
        height: The photo's height in pixels before the reduction.
    """

    photo: Photo
    width: int
    height: int


class Decoder:
    """Decodes photos in worker processes, with one worker for each concurrent thread.

    Args:
        max_pixels: The largest number of pixels that a photo may have; see `load_photo`.
    """

    def __init__(self, max_pixels: int) -> None:
        """Start without workers."""
        self._max_pixels = max_pixels
        self._workers: WorkerPool[_Request, Decoded] = WorkerPool(_decode, _crashed)

    def __call__(self, path: Path, max_size: int | None = None) -> Decoded:
        """Decode a photo, reduced to `max_size` pixels on its longer side unless `max_size` is None.

        Raises:
            ImageError: If the photo cannot be read.
            OutOfMemory: If memory runs out.
        """
        return self._workers(_Request(path, self._max_pixels, max_size))

    def close(self) -> None:
        """Stop the workers, which must be idle."""
        self._workers.close()


def _decode(request: _Request) -> Decoded:
    with memory_errors("cpu", LESS_MEMORY):
        photo = load_photo(request.path, max_pixels=request.max_pixels, max_size=request.max_size)
    height, width = photo.pixels.shape[:2]
    if not photo.is_reduced:
        return Decoded(photo, width, height)
    with read_errors(request.path.name), pillow.set_for(request.max_pixels), request.path.open("rb") as file:
        sides = sorted(open_image(file, request.path.name).size)  # before the EXIF orientation is applied
    return Decoded(photo, *(sides if width < height else reversed(sides)))


def _crashed(request: _Request) -> NoReturn:
    raise ImageError(
        f"{request.path.name} crashed or blocked its decoder: it is corrupt, or memory ran out.",
        "Save it again in another program, or scale it down.",
    )
