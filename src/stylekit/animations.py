"""Animated GIF and WebP: pictures that move, between files and frames."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stylekit.colors import Pixels
from stylekit.device import free_memory
from stylekit.errors import ImageError
from stylekit.films import Film, Frame
from stylekit.formats import ANIMATION_SUFFIXES
from stylekit.images import photo_from_image, reduced_size
from stylekit.paths import atomic_write
from stylekit.pillow_guard import RAISE_LIMIT, pillow, read_errors, write_errors

_MILLISECOND = Fraction(1, 1000)
_USUAL_DURATION = 100  # ms, of frames that tell none, as browsers have it
_FORMATS = {".gif": "GIF", ".webp": "WEBP"}
_STEPS = {".gif": 10, ".webp": 1}  # ms, the formats' units of time
_OPAQUE_FROM = 128  # alpha; GIF knows no more than whether
_TRANSPARENT = 255  # its place in GIF's palettes
_UNFIT = 6.0  # of 255, mean error from which a picture gets a palette of its own


def is_animation(path: Path) -> bool:
    """Tell whether a file is a GIF or WebP of several frames; a damaged one is none."""
    if path.suffix.lower() not in ANIMATION_SUFFIXES or not path.is_file():
        return False
    try:
        with _opened(path, 2**62) as image:
            return bool(getattr(image, "is_animated", False))
    except ImageError:
        return False


def probe_animation(path: Path, *, start: float, end: float | None, max_size: int | None, max_pixels: int) -> Film:
    """Look at an animation; see `video_reader.probe_video`."""
    with _opened(path, max_pixels) as image:
        if image.width * image.height > max_pixels:
            sides = f"{image.width:,} × {image.height:,}"
            raise ImageError(f"{path.name} has {sides} pixels, over the limit of {max_pixels:,}.", RAISE_LIMIT)
        width, height = reduced_size(image.size, max_size)
        return Film(
            path=path,
            width=width,
            height=height,
            time_base=_MILLISECOND,
            rate=Fraction(1000, int(image.info.get("duration", 0)) or _USUAL_DURATION),
            length=int(getattr(image, "n_frames", 1)),
            begin=round(start * 1000),
            end=None if end is None else round(end * 1000),
            shift=round(start * 1000),
            is_animation=True,
            loop=int(image.info.get("loop", 1)),  # a GIF that does not speak of loops is shown once
        )


def animation_frames(film: Film) -> Iterator[Frame]:
    """Read an animation's frames; see `video_reader.video_frames`."""
    with _opened(film.path, 2**62) as image:
        time = 0
        for number in range(film.length):
            pixels = alpha = None
            try:
                image.seek(number)
                photo = photo_from_image(image, max_size=max(film.width, film.height))
                pixels, alpha = photo.pixels, photo.alpha
            except Exception:  # whatever hostile files make decoders raise
                if not number:
                    raise
            duration = int(image.info.get("duration", 0)) or _USUAL_DURATION
            yield Frame(time - film.shift, duration, pixels, alpha, is_broken=pixels is None)
            time += duration


def write_animation(
    pictures: Iterable[tuple[Fraction, Pixels, Pixels | None]], path: Path, film: Film, quality: int
) -> None:
    """Write pictures as an animated GIF or WebP.

    Args:
        pictures: one or more, each with the second in which it ends, `(H, W, 3)` RGB values, and `(H, W)` alpha or
            None.
        path: the file to write, whole or not at all; its suffix sets the format.
        film: what they come from.
        quality: of WebP, 1 to 100.

    Raises:
        ImageError: if it cannot be written.
    """
    _check_memory(path, film)
    suffix = path.suffix.lower()
    images: list[Image.Image] = []
    durations: list[int] = []
    transparent = False
    palette: Image.Image | None = None
    for end, pixels, alpha in pictures:
        image = Image.fromarray(pixels)
        if suffix == ".gif":
            palette = _fitting(image, palette)
            image = image.quantize(palette=palette, dither=Image.Dither.NONE)
        if alpha is not None:
            image, transparent = _cut_out(image, alpha), True
        images.append(image)
        durations.append(round(end * 1000 / _STEPS[suffix]) * _STEPS[suffix] - sum(durations))
    options: dict[str, Any] = {"loop": film.loop} if film.loop != 1 or suffix == ".webp" else {}
    if suffix == ".gif" and transparent:
        options |= {"transparency": _TRANSPARENT, "disposal": 2}
    with write_errors(path), atomic_write(path) as temporary:
        images[0].save(
            temporary,
            _FORMATS[suffix],
            save_all=True,
            append_images=images[1:],
            duration=durations,
            quality=quality,
            optimize=False,
            **options,
        )


def _check_memory(path: Path, film: Film) -> None:
    """Make sure that all of an animation fits into memory, as Pillow has it."""
    if film.length * film.width * film.height * 4 > free_memory("cpu") / 2:
        raise ImageError(f"{path.name} would be too large: animations are held in memory.", "Write it as .mp4.")


def _fitting(image: Image.Image, palette: Image.Image | None) -> Image.Image:
    """Return an image with a palette for this one: the last one as long as it fits, lest still parts flicker."""
    if palette is not None:
        mapped = image.quantize(palette=palette, dither=Image.Dither.NONE).convert("RGB")
        if np.abs(np.asarray(mapped, np.int16) - np.asarray(image)).mean() < _UNFIT:
            return palette
    return image.quantize(_TRANSPARENT)


def _cut_out(image: Image.Image, alpha: Pixels) -> Image.Image:
    if image.mode == "P":
        image.paste(_TRANSPARENT, mask=Image.fromarray(np.where(alpha < _OPAQUE_FROM, 255, 0).astype(np.uint8)))
    else:
        image.putalpha(Image.fromarray(alpha))
    return image


@contextmanager
def _opened(path: Path, max_pixels: int) -> Iterator[Image.Image]:
    """Open an animation, with the errors of pictures."""
    with read_errors(path.name), pillow.set_for(max_pixels), Image.open(path, formats=list(_FORMATS.values())) as image:
        yield image
