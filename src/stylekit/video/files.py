"""Open video files with PyAV, which the extra `[video]` installs."""

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylekit.errors import ImageError
from stylekit.images.errors import read_errors
from stylekit.system.extras import install_hint

if TYPE_CHECKING:
    from av.container import InputContainer

# Only local files, and only videos: a playlist with a video suffix could make FFmpeg fetch any URL.
_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": "mov,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,nut,mxf,dv,rm",
}

ALPHA_KEY = "alpha_mode"  # in the metadata of a stream of VP8 or VP9


def load_av(name: str) -> Any:
    """Import PyAV.

    Args:
        name: The file that needs it.

    Raises:
        ImageError: If it is not installed.
    """
    try:
        return importlib.import_module("av")
    except ImportError:
        raise ImageError(f"{name} is a video, which needs an extra.", install_hint("video")) from None


@contextmanager
def open_video(path: Path) -> Iterator["InputContainer"]:
    """Open a video file for the block, and turn every error inside it into an `ImageError`."""
    av = load_av(path.name)
    with read_errors(path.name):
        if path.is_file() and not path.stat().st_size:
            raise ImageError(f"{path.name} is empty (0 bytes).", "Copy or download it again.")
        try:
            container = av.open(f"file:{path}", options=_OPTIONS, metadata_errors="replace")
        except (av.error.InvalidDataError, av.error.ArgumentError):
            raise ImageError(f"{path.name} is not a readable video.", _hint(path)) from None
        with container:
            yield container


def _hint(path: Path) -> str:
    """Return what to do about a file that cannot be opened."""
    if _lacks_index(path):
        return "It is truncated: its index, which comes last, is missing. Copy or download it again, to its end."
    return "It is corrupt, or not a video in spite of its suffix. Copy or download it again."


def _lacks_index(path: Path) -> bool:
    """Return whether a file is an MP4 or MOV whose index is cut off."""
    with path.open("rb") as file:
        size, position = path.stat().st_size, 0
        while position < size:
            file.seek(position)
            head = file.read(16)
            kind, length = head[4:8], int.from_bytes(head[:4])
            if kind == b"moov" or (not position and kind != b"ftyp"):
                return False
            if length == 1:  # a 64-bit length follows
                length = int.from_bytes(head[8:])
            if length < 8:
                return kind == b"mdat"  # up to the end of the file
            position += length
    return True


def declares_alpha(metadata: Mapping[str, str]) -> bool:
    """Return whether the metadata of a stream declares alpha; its key is in upper case in some files."""
    return any(key.lower() == ALPHA_KEY and value == "1" for key, value in metadata.items())
