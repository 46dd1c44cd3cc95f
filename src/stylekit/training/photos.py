"""Training photos, and random crops of them.

A crop depends only on the seed, the step and its number. A resumed training run therefore sees the same crops as an
uninterrupted run, and several processes together see the same crops as a single process.
"""

import itertools
import os
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from stylekit.config.checks import MAX_PIXELS
from stylekit.downloads.announcement import Download, OnDownload, announced, ignore_download
from stylekit.downloads.download import fetch
from stylekit.errors import DatasetError, ImageError
from stylekit.images.errors import read_errors
from stylekit.images.formats import READABLE_SUFFIXES
from stylekit.images.pixels import to_floats
from stylekit.images.reading import read_photo
from stylekit.system.files import is_junk, walk_files
from stylekit.system.paths import cache_dir

COCO_URL = "https://s3.amazonaws.com/images.cocodataset.org/zips/val2017.zip"
COCO_SHA256 = "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05"
COCO_SIZE = 815_585_330  # bytes

Crops = NDArray[np.float32]

_MIN_PHOTOS = 2
_MIN_CROP = 0.7  # side of the smallest crops, relative to a photo's shorter side
_PLAIN_CROPS = 1 / 20  # share of the crops that get a plain sky
_SKY_HEIGHT = (0.3, 1.2)  # range of a plain sky's height, relative to the crop; 1 or more covers the whole crop
_ATTEMPTS = 100
_ANY_PHOTOS = "Pass a folder or zip archive of photos with --content, or `coco` to download some."


class PhotoSource(Protocol):
    """Photos that can be opened by number.

    Attributes:
        names: The photos' names, in order.
    """

    names: Sequence[str]

    def open(self, index: int) -> BinaryIO:
        """Open the photo with this index in `names` for reading."""
        ...


class FolderSource:
    """The photos in a folder and its subfolders, sorted by path; `walk_files` documents what is skipped.

    Args:
        folder: The folder to search.

    Raises:
        OSError: If the folder cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        os.scandir(folder).close()  # `walk_files` skips folders that cannot be read
        self._folder = folder
        photos = walk_files(folder, READABLE_SUFFIXES)
        self.names: Sequence[str] = sorted(photo.relative_to(folder).as_posix() for photo in photos)

    def open(self, index: int) -> BinaryIO:
        """See `PhotoSource`."""
        return (self._folder / self.names[index]).open("rb")


class ZipSource:
    """The photos in a zip archive, sorted by path, and read without unpacking the archive.

    Args:
        archive: The zip archive.

    Raises:
        OSError: If the archive cannot be read.
        BadZipFile: If the file is not a zip archive.
    """

    def __init__(self, archive: Path) -> None:
        self._zip = zipfile.ZipFile(archive)
        self.names: Sequence[str] = sorted(filter(_is_photo, self._zip.namelist()))

    def open(self, index: int) -> BinaryIO:
        """See `PhotoSource`."""
        return self._zip.open(self.names[index])  # type: ignore[return-value]  # an IO[bytes], which Pillow takes as well


def _is_photo(member: str) -> bool:
    """Return whether a member of a zip archive may be a photo, not a folder (whose name ends in `/`) or junk."""
    in_junk = any(is_junk(part) for part in member.split("/"))
    return not in_junk and not member.endswith("/") and Path(member).suffix.lower() in READABLE_SUFFIXES


def open_photos(content: str | os.PathLike[str], *, on_download: OnDownload = ignore_download) -> PhotoSource:
    """Open a collection of training photos.

    Args:
        content: A folder, a zip archive, or `coco` for COCO val2017, which is downloaded once into the cache.
        on_download: Called before COCO is downloaded.

    Raises:
        DatasetError: If the folder or archive does not exist or cannot be read.
        DownloadError: If COCO is not cached and cannot be downloaded.
    """
    path = Path(content)
    if content == "coco":
        path = cache_dir() / "photos" / "val2017.zip"
        on_progress = announced(Download("COCO val2017", COCO_SIZE, path), on_download)
        fetch(COCO_URL, path, sha256=COCO_SHA256, on_progress=on_progress)
    try:
        return FolderSource(path) if path.is_dir() else ZipSource(path)
    except FileNotFoundError as error:
        raise DatasetError(f"{path} does not exist.", _ANY_PHOTOS) from error
    except (zipfile.BadZipFile, ValueError) as error:
        raise DatasetError(f"{path} is neither a folder nor a zip archive.", _ANY_PHOTOS) from error
    except OSError as error:
        raise DatasetError(f"Cannot read {path}: {error.strerror or error}.", "Check its permissions.") from error


class CropSampler:
    """Random training crops of photos.

    Args:
        source: The photos.
        crop_size: Side of a crop in pixels.
        batch_size: Crops per step.
        seed: The seed of all crops.
        first: Number of the first crop in each step.

    Attributes:
        unreadable: The reason each unreadable photo failed, by file name, for all photos tried so far.

    Raises:
        DatasetError: If fewer than two photos can be read.
    """

    def __init__(self, source: PhotoSource, *, crop_size: int, batch_size: int, seed: int, first: int = 0) -> None:
        self._source = source
        self._crop_size = crop_size
        self._numbers = range(first, first + batch_size)
        self._seed = seed
        self.unreadable: dict[str, str] = {}
        self._require_photos()

    def _require_photos(self) -> None:
        readable = 0
        for index in range(len(self._source.names)):
            readable += self._load(index) is not None
            if readable == _MIN_PHOTOS:
                return
        raise DatasetError(
            f"Training needs {_MIN_PHOTOS} or more readable photos: "
            f"{readable} found, {len(self.unreadable)} unreadable.",
            "Pass a folder with a hundred or more varied photos with --content, or `coco` to download some.",
        )

    def _load(self, index: int) -> Image.Image | None:
        name = self._source.names[index]
        if name in self.unreadable:
            return None
        try:
            with read_errors(name), self._source.open(index) as file:
                photo = read_photo(file, name, max_pixels=MAX_PIXELS, draft_size=2 * self._crop_size)
        except ImageError as error:
            self.unreadable[name] = error.message
            return None
        return Image.fromarray(photo.pixels)

    def batch(self, step: int) -> Crops:
        """Return the crops of a step, `(B, 3, S, S)`, RGB in [0, 1].

        Some crops get a plain sky, which may cover them entirely, because a network that has never seen plain areas
        paints blobs on them.
        """
        return self.crops(step, self._numbers)

    def crops(self, step: int, numbers: Iterable[int]) -> Crops:
        """Return the crops with these numbers in a step; see `batch`."""
        return np.stack([self._crop(np.random.default_rng((self._seed, step, number))) for number in numbers])

    def examples(self, number: int) -> list[Image.Image]:
        """Return the first `number` readable photos, uncropped."""
        photos = (self._load(index) for index in range(len(self._source.names)))
        return list(itertools.islice((photo for photo in photos if photo is not None), number))

    def _crop(self, random: np.random.Generator) -> Crops:
        photo = self._draw_photo(random)
        side = max(1, round(min(photo.size) * random.uniform(_MIN_CROP, 1)))
        left, top = (int(random.integers(0, length - side + 1)) for length in photo.size)
        size = (self._crop_size, self._crop_size)
        image = photo.resize(size, Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
        if random.random() < 0.5:
            image = ImageOps.mirror(image)
        crop: Crops = to_floats(np.asarray(image).transpose(2, 0, 1))
        if random.random() < _PLAIN_CROPS:
            rows = min(self._crop_size, round(self._crop_size * random.uniform(*_SKY_HEIGHT)))
            crop = np.concatenate([_plain_sky(rows, self._crop_size, random), crop[:, rows:]], axis=1)
        return np.ascontiguousarray(crop)

    def _draw_photo(self, random: np.random.Generator) -> Image.Image:
        for _ in range(_ATTEMPTS):
            if (photo := self._load(int(random.integers(len(self._source.names))))) is not None:
                return photo
        raise DatasetError("Nearly all training photos are unreadable.", _ANY_PHOTOS)


def _plain_sky(height: int, width: int, random: np.random.Generator) -> Crops:
    """Return a flat color, or a gradient between two colors, with faint to strong noise.

    Without noise, instance normalization would divide by a deviation of zero in every layer, and gradients would
    explode.
    """
    start, end = random.random((2, 3, 1, 1))
    if random.random() < 0.5:
        end = start
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    colors = start + (end - start) * (down if random.random() < 0.5 else across)
    noisy = colors + random.normal(0, random.choice([0.01, 0.03, 0.2]), (3, height, width))
    sky: Crops = noisy.clip(0, 1).astype(np.float32)
    return sky
