"""Files cut off anywhere are rejected as such, or give every pixel."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylekit.errors import ImageError
from stylekit.images.reading import read_photo
from tests.image_material import make_tiff, need

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "baseline": ("JPEG", {}),
    "restarts": ("JPEG", {"restart_marker_rows": 1}),
    "progressive": ("JPEG", {"progressive": True}),
    "progressive with restarts": ("JPEG", {"progressive": True, "restart_marker_rows": 1}),
    "png": ("PNG", {}),
    "gif": ("GIF", {}),
    "webp": ("WEBP", {}),
    "lossless webp": ("WEBP", {"lossless": True}),
    "tiff": ("TIFF", {}),
    "lzw tiff": ("TIFF", {"compression": "tiff_lzw"}),
    "jpeg tiff": ("TIFF", {"compression": "jpeg"}),
    "avif": ("AVIF", {}),
    "heic": ("HEIF", {}),
}
SHORTEST = 16  # bytes with the signatures of all formats


def read(data):
    return read_photo(io.BytesIO(data), "a.jpg", max_pixels=10**6)


def cuts(data):
    """Return lengths at which a file is cut: across the whole file, and each byte of its end."""
    return sorted({*range(SHORTEST, len(data), max(1, len(data) // 120)), *range(len(data) - 16, len(data))})


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_off_anywhere_is_rejected_or_gives_every_pixel(kind, make_photo):
    format, options = KINDS[kind]
    if format == "HEIF":
        need("heic")
    file = io.BytesIO()
    image = Image.blend(make_photo(64, 48), Image.effect_noise((64, 48), 60).convert("RGB"), 0.3)
    image.save(file, format, **options)
    data = file.getvalue()
    whole = read(data)
    rejections = 0
    for length in cuts(data):
        try:
            photo = read(data[:length])
        except ImageError as error:
            assert error.message in (
                "a.jpg is truncated.",
                "a.jpg is truncated or corrupt.",
                "a.jpg is corrupt: decoder error -2.",  # libtiff's
            )
            rejections += 1
        else:
            assert np.array_equal(photo.pixels, whole.pixels), length
    assert rejections > 50


@pytest.mark.parametrize("planes", [False, True])
def test_a_tiff_with_alpha_cut_off_anywhere_is_rejected(planes):
    values = np.arange(48 * 64 * 2).reshape(48, 64, 2)
    data = make_tiff(values, bits=16, photometric=1, extra=(2,), planes=planes, compressed=True)
    assert read(data).pixels.shape == (48, 64, 3)
    for length in range(SHORTEST, len(data), 11):
        with pytest.raises(ImageError, match=r"truncated|corrupt"):
            read(data[:length])
