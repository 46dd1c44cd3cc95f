"""Convert every color mode and profile to sRGB, and fill transparent pixels with smooth colors."""

import io
import struct
from functools import cache
from typing import Any, cast

import numpy as np
from PIL import Image

from stylekit.images.color_spaces import SRGB, ColorSpace
from stylekit.images.errors import UnsupportedKindError
from stylekit.images.hdr import tone_map
from stylekit.images.tiff_kinds import GRAY_KEY, DeepGray

HIDDEN_BELOW = 16  # alpha below which a pixel's color is invisible and thus arbitrary


def to_basic_mode(image: Image.Image) -> Image.Image:
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
    """Scale a gray image with more than 8 bits (`I;16`, `I`, `F`) to L, or to LA if one gray value is transparent."""
    meaning = image.info.get(GRAY_KEY) or DeepGray(None if image.mode == "F" else 65535, False, False)
    values = np.asarray(image)
    if meaning.is_unsigned and values.dtype == np.int32:
        values = values.view(np.uint32)
    if meaning.white is not None and values.min() < 0 and GRAY_KEY in image.info:
        raise UnsupportedKindError("TIFF", "signed gray with negative values")
    values = np.nan_to_num(values.astype(np.float32), posinf=0, neginf=0)
    scaled = np.rint(values.clip(0) * (255 / _white(float(values.max()), meaning.white))).astype(np.uint8)
    gray = Image.fromarray(~scaled if meaning.is_inverted else scaled)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        gray.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return gray


def _white(peak: float, white: int | None) -> float:
    """Return the value that stands for white.

    Floats have no largest value, and 32-bit integers rarely use their full range. White is the smallest of the usual
    white values that no pixel exceeds or, if all are exceeded (for example in telescope data), the largest pixel value.

    Args:
        peak: The largest value.
        white: The largest possible value of integers; None for floats.
    """
    usual = [1, 255, 65535] if white is None else [min(white, 65535)] + [white] * (peak > white / 256)
    return next((value for value in usual if peak <= value), peak)


def to_full_range(colors: Image.Image) -> Image.Image:
    """Expand the values of an L or RGB image from the video range (16 to 235) to the full range (0 to 255)."""
    return colors.point([min(max(round((value - 16) * 255 / 219), 0), 255) for value in range(256)] * len(colors.mode))


def to_srgb(
    colors: Image.Image, profile: bytes | None, space: ColorSpace, notes: list[str]
) -> tuple[Image.Image, bytes | None]:
    """Convert an L, RGB, CMYK or LAB image to sRGB.

    Args:
        colors: The image.
        profile: The ICC profile of the image, if any; an invalid profile is ignored.
        space: The color space of an L or RGB image without a profile.
        notes: Receives a note if the profile is ignored or HDR is tone-mapped.

    Returns:
        The image as RGB, and the profile to tag it with; None if it had no valid profile.
    """
    if profile:
        try:
            return _converted(colors, profile)
        except Exception:
            notes.append("color profile ignored: corrupt, or for another color mode")
    elif space.hdr and colors.mode in ("L", "RGB"):
        notes.append("HDR tone-mapped to sRGB")
        return Image.fromarray(tone_map(np.asarray(colors.convert("RGB")), space)), _srgb_profile()
    elif space != SRGB and colors.mode in ("L", "RGB"):
        made = space.to_profile()
        colors, profile = _converted(colors, made)
        return colors, None if profile == made else profile
    return colors if colors.mode == "RGB" else colors.convert("RGB"), None  # `convert` would copy the image


def _converted(colors: Image.Image, profile: bytes) -> tuple[Image.Image, bytes]:
    """Convert an image as `to_srgb` does; an invalid profile can raise any exception."""
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
        # Unlike perceptual tables, this leaves colors within sRGB unchanged, and black stays black.
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if mode == "RGB" and _changes_nothing(transform):
        return colors, profile
    converted = cast("Image.Image", ImageCms.applyTransform(colors, transform))  # the result is None only in place
    return converted, _srgb_profile()


def _changes_nothing(transform: Any) -> bool:
    """Return whether a transform keeps RGB colors, apart from rounding."""
    from PIL import ImageCms

    cube = np.indices((6, 6, 6), dtype=np.uint8).reshape(3, 1, -1).transpose(1, 2, 0) * 51
    result = ImageCms.applyTransform(Image.fromarray(np.ascontiguousarray(cube)), transform)
    return bool(np.abs(np.asarray(result, dtype=np.int16) - cube).max() <= 2)


@cache
def _srgb_profile() -> bytes:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    midnight = struct.pack(
        ">6H", 2026, 1, 1, 0, 0, 0
    )  # not the current time, because equal photos should give equal files
    return profile[:24] + midnight + profile[36:]


def fill_hidden(rgb: Image.Image, mask: Image.Image) -> Image.Image:
    """Continue colors smoothly into hidden pixels, to keep invisible colors from reaching a network.

    This is pull-push (Gortler et al. 1996, section 3.4): known colors are averaged to an image of half the size, which
    has fewer hidden pixels. These are filled recursively, and the enlarged result fills the gaps.

    Args:
        rgb: The colors.
        mask: An L image, 255 where the colors are known and 0 where they are hidden.
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
    """Return an RGBA image composited onto white, with the same `info`."""
    flat = Image.new("RGB", image.size, (255, 255, 255))
    flat.paste(image, mask=image.getchannel("A"))
    flat.info = image.info
    return flat
