"""Store the photos that the user uploaded."""

import re
import secrets
import shutil
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylekit.apply.repeats import read_painting
from stylekit.errors import ImageError
from stylekit.images.photo import Photo
from stylekit.studio.decoding import Decoder
from stylekit.video.animations import is_animation
from stylekit.video.formats import VIDEO_SUFFIXES

LARGE = 1200  # longer side of large previews in pixels
MOST_PHOTOS = 100
MOST_PHOTO_BYTES = 400_000_000
MOST_BYTES = 4_000_000_000  # of all photos together

_MOST_REDUCED_BYTES = 150_000_000  # of reduced photos in memory
_MOST_NAME_BYTES = 180
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]' if sys.platform == "win32" else r"[\x00-\x1f\x7f/\\]")


class UnknownUpload(ImageError):
    """No upload has this id, because it was removed or the studio was restarted."""


@dataclass(frozen=True)
class Upload:
    """An uploaded photo.

    Attributes:
        id: The photo's id on the page.
        name: The name of the photo's file.
        path: The photo's file in the private folder.
        width: The photo's width in pixels, after the EXIF orientation is applied.
        height: The photo's height in pixels, after the EXIF orientation is applied.
        notes: Notes on what was dropped or changed when the photo was read.
        is_painted: Whether the photo is a painting by stylekit.
    """

    id: str
    name: str
    path: Path
    width: int
    height: int
    notes: tuple[str, ...]
    is_painted: bool

    def document(self) -> dict[str, Any]:
        """Return what the page shows about the photo, as JSON-serializable values."""
        return {"id": self.id, "name": self.name, "width": self.width, "height": self.height, "notes": self.notes}


class Photos:
    """The uploaded photos, stored in a private folder. Thread-safe.

    Args:
        folder: The folder for the photos.
        decoder: Decodes photos.
    """

    def __init__(self, folder: Path, decoder: Decoder) -> None:
        """Start without photos."""
        self._folder = folder
        self._decoder = decoder
        self._lock = threading.Lock()
        self._photos: dict[str, Upload] = {}
        self._files: dict[str, tuple[str, int]] = {}  # names and sizes, including unfinished uploads
        self._reduced: OrderedDict[str, Photo] = OrderedDict()

    def begin(self, name: str, size: int) -> Path:
        """Return the path to which to write an upload, in a new folder that does not exist yet.

        Args:
            name: The file's name.
            size: The file's size in bytes.

        Raises:
            ImageError: If the studio has too many photos, or the photos are too large.
        """
        id = secrets.token_hex(8)
        with self._lock:
            if len(self._files) >= MOST_PHOTOS:
                raise ImageError(
                    f"The studio holds up to {MOST_PHOTOS} photos.", "Use `stylekit apply` for whole folders."
                )
            if sum(used for _, used in self._files.values()) + size > MOST_BYTES:
                raise ImageError(
                    f"The studio is full: it holds up to {MOST_BYTES // 10**9} GB.", "Remove some photos first."
                )
            name = _unused(clean_name(name), {taken for taken, _ in self._files.values()})
            self._files[id] = name, size
        return self._folder / id / name

    def discard(self, path: Path) -> None:
        """Delete an upload that failed."""
        shutil.rmtree(path.parent, ignore_errors=True)
        with self._lock:
            self._files.pop(path.parent.name, None)

    def add(self, path: Path) -> Upload:
        """Add an uploaded file as a photo.

        Raises:
            ImageError: If the file cannot be read, or is a video or an animation.
        """
        if path.suffix.lower() in VIDEO_SUFFIXES or is_animation(path):
            kind = "video" if path.suffix.lower() in VIDEO_SUFFIXES else "animation"
            raise ImageError(
                f"{path.name} is a{'n' * (kind[0] == 'a')} {kind}; the studio paints only photos.",
                f"Paint all its frames with `stylekit apply {path.name}`.",
            )
        decoded = self._decoder(path, LARGE)
        id = path.parent.name
        is_painted = read_painting(path) is not None
        upload = Upload(id, path.name, path, decoded.width, decoded.height, decoded.photo.notes, is_painted)
        with self._lock:
            self._photos[id] = upload
            self._keep(id, decoded.photo)
        return upload

    def all(self) -> list[Upload]:
        """Return all photos, oldest first."""
        with self._lock:
            return list(self._photos.values())

    def get(self, id: str) -> Upload:
        """Return the photo with this id.

        Raises:
            UnknownUpload: If the photo does not exist.
        """
        with self._lock:
            if id not in self._photos:
                raise UnknownUpload("This photo is no longer in the studio.", "Drop it in again.")
            return self._photos[id]

    def remove(self, id: str) -> None:
        """Delete a photo.

        Raises:
            UnknownUpload: If the photo does not exist.
        """
        path = self.get(id).path
        with self._lock:
            self._photos.pop(id, None)
            self._reduced.pop(id, None)
        self.discard(path)

    def reduced(self, id: str) -> Photo:
        """Return a photo, reduced to `LARGE` pixels on its longer side.

        Raises:
            ImageError: If the photo does not exist, or cannot be read.
        """
        upload = self.get(id)
        with self._lock:
            if id in self._reduced:
                self._reduced.move_to_end(id)
                return self._reduced[id]
        photo = self._decoder(upload.path, LARGE).photo
        with self._lock:
            if id in self._photos:  # the user may have removed the photo in the meantime
                self._keep(id, photo)
        return photo

    def _keep(self, id: str, photo: Photo) -> None:
        self._reduced[id] = photo
        while len(self._reduced) > 1 and sum(p.pixels.nbytes for p in self._reduced.values()) > _MOST_REDUCED_BYTES:
            self._reduced.popitem(last=False)


def clean_name(name: str) -> str:
    """Return a file name without forbidden characters, not empty and of limited length."""
    name = _FORBIDDEN.sub("_", name.encode(errors="replace").decode()).strip(" .") or "photo"
    stem, suffix = Path(name).stem, Path(name).suffix[:16]
    while len(stem.encode()) > _MOST_NAME_BYTES:
        stem = stem[:-1]
    return stem + suffix


def _unused(name: str, names: set[str]) -> str:
    """Return a name, with a number if another photo already has the name."""
    path, number = Path(name), 1
    while name in names:
        number += 1
        name = f"{path.stem}-{number}{path.suffix}"
    return name
