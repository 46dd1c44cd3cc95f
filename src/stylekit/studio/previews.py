"""Paint previews for the page, with strokes as large in proportion as in the full-size result."""

import io
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from PIL import Image

from stylekit.config.look import Look
from stylekit.errors import StylekitError
from stylekit.images.photo import Photo
from stylekit.images.pixels import Pixels, reduced_size
from stylekit.studio.choices import Choice
from stylekit.studio.photos import LARGE, Upload
from stylekit.stylization.strokes import stroke_scale
from stylekit.stylization.style import Style

SIZES = {"small": 640, "large": LARGE}  # longer side in pixels

_LONGEST_PAINTED = {"small": 640, "large": 1600}  # side in pixels, which limits how fine the strokes can be
_MOST_BYTES = 150_000_000


@dataclass(frozen=True)
class Preview:
    """An image for the page.

    Attributes:
        content: The content of the image file.
        media_type: The media type of the image file.
        is_coarse: Whether the strokes are coarser than those of the full-size result.
        error: Why the preview could not be painted; the other attributes are then empty. None on success.
    """

    content: bytes = b""
    media_type: str = ""
    is_coarse: bool = False
    error: StylekitError | None = None


def paint_preview(style: Style, upload: Upload, photo: Photo, choice: Choice, size: str) -> Preview:
    """Paint a preview at full strength: the page blends it with the photo.

    Args:
        style: The style to apply.
        upload: The photo to paint.
        photo: The pixels of the photo, reduced to `LARGE` pixels on the longer side.
        choice: The chosen look.
        size: A key of `SIZES`.

    Raises:
        OutOfMemory: If the device has too little memory.
    """
    pixels, alpha = _resized(photo, SIZES[size])
    full = upload.width, upload.height
    scale = stroke_scale(choice.stroke_size, *full) * max(pixels.shape[:2]) / max(full)
    finest = max(pixels.shape[:2]) / max(_LONGEST_PAINTED[size], *pixels.shape[:2])
    look = Look(min(max(scale, finest), 100), 1.0, choice.keep_colors)
    (painted,) = style.stylize_batch([pixels], look)
    content, media_type = encode(painted, alpha)
    return Preview(content, media_type, scale < 0.9 * finest)


def show_photo(photo: Photo) -> Preview:
    """Return a photo, not stylized, as an image for the page."""
    return Preview(*encode(photo.pixels, photo.alpha))


def _resized(photo: Photo, max_size: int) -> tuple[Pixels, Pixels | None]:
    size = reduced_size((photo.pixels.shape[1], photo.pixels.shape[0]), max_size)
    pixels, alpha = (
        None if array is None else np.asarray(Image.fromarray(array).resize(size, Image.Resampling.LANCZOS))
        for array in (photo.pixels, photo.alpha)
    )
    assert pixels is not None
    return pixels, alpha


def encode(pixels: Pixels, alpha: Pixels | None) -> tuple[bytes, str]:
    """Encode an image for a browser as JPEG, or as WebP if it has transparency; return the file and its media type."""
    image, buffer = Image.fromarray(pixels), io.BytesIO()
    if alpha is None:
        image.save(buffer, "JPEG", quality=90)
        return buffer.getvalue(), "image/jpeg"
    image.putalpha(Image.fromarray(alpha))
    image.save(buffer, "WEBP", quality=90, method=2)
    return buffer.getvalue(), "image/webp"


class PreviewCache:
    """The most recently used previews that fit in a fixed amount of memory."""

    def __init__(self) -> None:
        """Start empty."""
        self._previews: OrderedDict[str, Preview] = OrderedDict()

    def get(self, key: str) -> Preview | None:
        """Return a preview; None if it is not cached."""
        if key in self._previews:
            self._previews.move_to_end(key)
        return self._previews.get(key)

    def put(self, key: str, preview: Preview) -> None:
        """Cache a preview, and drop the least recently used previews if memory runs short."""
        self._previews[key] = preview
        while sum(max(len(preview.content), 1_000) for preview in self._previews.values()) > _MOST_BYTES:
            self._previews.popitem(last=False)
