"""Modes and colours of pictures: everything becomes RGB in sRGB, and what transparency hides is filled."""

import io
import struct
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

HIDDEN_BELOW = 16  # alpha below which nobody sees a pixel's own colour, so that it may be anything


def plain(image: Image.Image) -> Image.Image:
    """Return the image as L, LA, RGB, RGBA, CMYK or LAB."""
    if image.mode in ("CMYK", "LAB"):
        return image
    if image.mode == "F" or image.mode.startswith("I"):
        return _eight_bits(image)
    mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    if image.has_transparency_data:
        mode += "A"
    return image if image.mode == mode else image.convert(mode)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale an image of one deep channel (`I;16`, `I`, `F`) to L, or to LA where it names one grey as transparent.

    Nothing says what white is in floats: it is taken to be the first of 1, 255, 65535 that no value exceeds. What is
    neither, such as the measurements of a telescope, is scaled to its largest value.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0, neginf=0)
    peak = float(values.max())
    whites = (1, 255, 65535) if image.mode == "F" else (65535,)
    white = next((white for white in whites if peak <= white), peak)
    grey = Image.fromarray(np.rint(values.clip(0) * (255 / white)).astype(np.uint8))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return grey


def to_srgb(colors: Image.Image, profile: bytes | None, notes: list[str]) -> tuple[Image.Image, bytes | None]:
    """Convert an L, RGB, CMYK or LAB image from its colour profile to sRGB.

    Returns:
        The image as RGB, and the profile to tag it with: None without a (sound) one.
    """
    if profile:
        try:
            return _converted(colors, profile)
        except Exception:
            notes.append("colour profile ignored: damaged, or made for other pictures")
    return colors if colors.mode == "RGB" else colors.convert("RGB"), None  # Pillow would copy it


def _converted(colors: Image.Image, profile: bytes) -> tuple[Image.Image, bytes]:
    """Do what `to_srgb` does with a profile that may be unsound, and then raises."""
    from PIL import ImageCms

    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    mode = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}[source.profile.xcolor_space.strip()]
    if colors.mode == "L" and mode == "RGB":
        colors = colors.convert("RGB")
    if colors.mode != mode:
        raise ValueError("The profile is for another mode.")
    transform = ImageCms.buildTransform(
        source,
        ImageCms.ImageCmsProfile(io.BytesIO(_srgb_profile())),
        mode,
        "RGB",
        # Keeps the colours that sRGB has as they are, which perceptual tables do not; black stays black.
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if mode == "RGB" and _changes_nothing(transform):
        return colors, profile
    converted = ImageCms.applyTransform(colors, transform)
    assert converted is not None  # as it was not asked to work in place
    return converted, _srgb_profile()


def _changes_nothing(transform: Any) -> bool:
    """Tell whether a transform leaves RGB colours where they are, but for rounding."""
    from PIL import ImageCms

    cube = np.indices((6, 6, 6), dtype=np.uint8).reshape(3, 1, -1).transpose(1, 2, 0) * 51
    result = ImageCms.applyTransform(Image.fromarray(np.ascontiguousarray(cube)), transform)
    return bool(np.abs(np.asarray(result, dtype=np.int16) - cube).max() <= 2)


@cache
def _srgb_profile() -> bytes:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    midnight = struct.pack(">6H", 2026, 1, 1, 0, 0, 0)  # instead of now: equal photos give equal files
    return profile[:24] + midnight + profile[36:]


def fill_hidden(rgb: Image.Image, mask: Image.Image) -> Image.Image:
    """Continue colours smoothly to where the mask hides them, so that nothing invisible reaches a network.

    This is pull-push (Gortler et al. 1996, section 3.4): known colours are averaged at half the size, where fewer are
    missing; these are filled in the same way, and enlarged they give what is missing here.

    Args:
        rgb: the colours.
        mask: L, 255 where they are known and 0 where they are not.
    """
    if mask.getextrema()[0] == 255:
        return rgb
    if rgb.size == (1, 1):
        return Image.new("RGB", (1, 1), (128, 128, 128))
    known = rgb.copy()
    known.putalpha(mask)
    coarse = known.convert("RGBa").reduce(2).convert("RGBA")
    coarse_mask = coarse.getchannel("A").point(lambda value: 255 * (value > 0))
    behind = fill_hidden(coarse.convert("RGB"), coarse_mask)
    return Image.composite(rgb, behind.resize(rgb.size, Image.Resampling.BILINEAR), mask)


def on_white(image: Image.Image) -> Image.Image:
    """Lay an RGBA image on white; `info` is kept."""
    flat = Image.new("RGB", image.size, (255, 255, 255))
    flat.paste(image, mask=image.getchannel("A"))
    flat.info = image.info
    return flat
