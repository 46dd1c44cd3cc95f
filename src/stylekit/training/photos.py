"""Photos as training crops, each drawn from its seed, step and number alone.

So a resumed training sees what it would have seen, and several processes see together what one alone would see.
"""

import itertools
import os
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from stylekit.config.apply import ApplyConfig
from stylekit.downloads.download import Progress, fetch
from stylekit.errors import DatasetError, ImageError
from stylekit.images.errors import read_errors
from stylekit.images.formats import READABLE_SUFFIXES
from stylekit.images.reading import read_photo
from stylekit.system.paths import cache_dir

COCO_URL = "https://s3.amazonaws.com/images.cocodataset.org/zips/val2017.zip"
COCO_SHA256 = "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05"

Crops = NDArray[np.float32]

_LEAST_PHOTOS = 2
_LEAST_SHARE = 0.5  # of a photo's shorter side that a crop covers; the most is all of it
_PLAIN_SHARE = 1 / 8  # of the crops that get a plain sky
_SKY_SHARE = (0.3, 1.2)  # of the crop that a plain sky covers; 1 and more is all of it
_ATTEMPTS = 100
_MOST_PIXELS = ApplyConfig.max_pixels


class PhotoSource(Protocol):
    """Photos by number."""

    names: Sequence[str]

    def open(self, index: int) -> BinaryIO:
        """Open the photo of this number for reading."""
        ...


class FolderSource:
    """The photos of a folder tree, hidden files and folders left out, in the order of their names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.names: Sequence[str] = sorted(self._walk())

    def _walk(self) -> Iterator[str]:
        for root, folders, files in os.walk(self._folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in files:
                if not name.startswith(".") and Path(name).suffix.lower() in READABLE_SUFFIXES:
                    yield (Path(root) / name).relative_to(self._folder).as_posix()

    def open(self, index: int) -> BinaryIO:
        """Open the photo of this number for reading."""
        return (self._folder / self.names[index]).open("rb")


class ZipSource:
    """The photos of a zip archive, read from it without unpacking."""

    def __init__(self, archive: Path) -> None:
        self._zip = zipfile.ZipFile(archive)
        self.names: Sequence[str] = sorted(filter(_names_a_photo, self._zip.namelist()))

    def open(self, index: int) -> BinaryIO:
        """Open the photo of this number for reading."""
        return self._zip.open(self.names[index])  # type: ignore[return-value]  # an IO[bytes], as good for Pillow


def _names_a_photo(member: str) -> bool:
    """Whether a zip's member may be a photo: no folder (they end in `/`), nothing hidden, no junk of macOS."""
    hidden = any(part.startswith((".", "__MACOSX")) for part in member.split("/"))
    return not hidden and not member.endswith("/") and Path(member).suffix.lower() in READABLE_SUFFIXES


def open_photos(content: str | os.PathLike[str], *, on_progress: Progress = lambda done, total: None) -> PhotoSource:
    """Find training photos.

    Args:
        content: a folder, a zip archive, or `coco` for COCO val2017, which is downloaded once into the cache.
        on_progress: called after each piece of that download.

    Raises:
        DatasetError: if there is no such folder or archive, or it cannot be read.
        DownloadError: if COCO is not in the cache and cannot be downloaded.
    """
    if content == "coco":
        archive = cache_dir() / "photos" / "val2017.zip"
        fetch(COCO_URL, archive, sha256=COCO_SHA256, on_progress=on_progress)
        return ZipSource(archive)
    path = Path(content)
    if path.is_dir():
        return FolderSource(path)
    if not path.is_file():
        raise DatasetError(f"There is no folder {path}.", "Name a folder of photos, or `coco` to download some.")
    try:
        return ZipSource(path)
    except (zipfile.BadZipFile, OSError):
        raise DatasetError(f"{path} is neither a folder nor a zip archive.", "Name a folder of photos.") from None


class CropSampler:
    """Random training crops.

    Args:
        source: the photos.
        crop_size: side of the crops in pixels.
        batch_size: crops a step.
        seed: with the step and the crop's number in it, all that a crop depends on.
        first: number of the first crop in each step.

    Attributes:
        unreadable: photos that could not be read so far, with the reason.
    """

    def __init__(self, source: PhotoSource, *, crop_size: int, batch_size: int, seed: int, first: int = 0) -> None:
        self._source = source
        self._crop_size = crop_size
        self._numbers = range(first, first + batch_size)
        self._seed = seed
        self.unreadable: dict[str, str] = {}
        self._require_photos()

    def _require_photos(self) -> None:
        usable = 0
        for index in range(len(self._source.names)):
            usable += self._load(index) is not None
            if usable == _LEAST_PHOTOS:
                return
        found = f"{usable} found, {len(self.unreadable)} unreadable"
        raise DatasetError(
            f"Training needs {_LEAST_PHOTOS} or more readable photos: {found}.",
            "Name a folder with some hundred photos of all sorts of things, or `coco` to download some.",
        )

    def _load(self, index: int) -> Image.Image | None:
        name = self._source.names[index]
        if name in self.unreadable:
            return None
        try:
            with read_errors(name), self._source.open(index) as file:
                photo = read_photo(file, name, max_pixels=_MOST_PIXELS, draft_size=2 * self._crop_size)
        except ImageError as error:
            self.unreadable[name] = error.message
            return None
        return Image.fromarray(photo.pixels)

    def batch(self, step: int) -> Crops:
        """Return the crops of a step: `(B, 3, S, S)`, RGB in [0, 1].

        Some get a plain sky, which may cover them all: a network that never saw an empty one paints blobs on it.
        """
        return self.crops(step, self._numbers)

    def crops(self, step: int, numbers: Iterable[int]) -> Crops:
        """Return the crops of these numbers in a step; see `batch`."""
        return np.stack([self._crop(np.random.default_rng((self._seed, step, number))) for number in numbers])

    def examples(self, number: int) -> list[Image.Image]:
        """Return the first readable photos, whole."""
        photos = (self._load(index) for index in range(len(self._source.names)))
        return list(itertools.islice((photo for photo in photos if photo is not None), number))

    def _crop(self, random: np.random.Generator) -> Crops:
        photo = self._draw_photo(random)
        side = max(1, round(min(photo.size) * random.uniform(_LEAST_SHARE, 1)))
        left, top = (int(random.integers(0, length - side + 1)) for length in photo.size)
        size = (self._crop_size, self._crop_size)
        image = photo.resize(size, Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
        if random.random() < 0.5:
            image = ImageOps.mirror(image)
        crop: Crops = np.asarray(image, np.float32).transpose(2, 0, 1) / np.float32(255)
        if random.random() < _PLAIN_SHARE:
            rows = min(self._crop_size, round(self._crop_size * random.uniform(*_SKY_SHARE)))
            crop = np.concatenate([_plain_sky(rows, self._crop_size, random), crop[:, rows:]], axis=1)
        return np.ascontiguousarray(crop)

    def _draw_photo(self, random: np.random.Generator) -> Image.Image:
        for _ in range(_ATTEMPTS):
            if (photo := self._load(int(random.integers(len(self._source.names))))) is not None:
                return photo
        raise DatasetError("Nearly all training photos are unreadable.", "Name a folder of photos that open.")


def _plain_sky(height: int, width: int, random: np.random.Generator) -> Crops:
    """A flat colour that may run into another, with noise between faint and strong.

    Never without any: instance norm divides by a deviation of zero then, layer by layer, and gradients explode.
    """
    start, end = random.random((2, 3, 1, 1))
    if random.random() < 0.5:
        end = start
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    colours = start + (end - start) * (down if random.random() < 0.5 else across)
    noisy = colours + random.normal(0, random.choice([0.01, 0.03, 0.2]), (3, height, width))
    sky: Crops = noisy.clip(0, 1).astype(np.float32)
    return sky
