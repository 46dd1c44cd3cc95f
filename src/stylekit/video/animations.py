"""Animated GIF and WebP: pictures that move, between files and frames."""

import struct
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from PIL import Image

from stylekit.errors import ImageError
from stylekit.images.errors import read_errors, write_errors
from stylekit.images.pillow import formats_of, pillow, save_image
from stylekit.images.pixels import Pixels, reduced_size
from stylekit.images.reading import photo_from_image
from stylekit.system.files import atomic_write
from stylekit.system.memory import free_memory
from stylekit.system.processes import Processes
from stylekit.video.formats import ANIMATION_SUFFIXES
from stylekit.video.frames import Frame, Video

_MILLISECOND = Fraction(1, 1000)
_USUAL_DURATION = 100  # ms, of frames that tell none, as browsers have it
_FORMATS = {".gif": "GIF", ".webp": "WEBP"}
_STEPS = {".gif": 10, ".webp": 1}  # ms, the formats' units of time
_OPAQUE_FROM = 128  # alpha; GIF knows no more than whether
_TRANSPARENT = 255  # its place in GIF's palettes
_MOST_GROWTH = 2  # of a GIF by frames beyond its canvas, in halves of it
_WEBP_HEAD = struct.Struct("<4s4x4s4s4xB")  # RIFF, WEBP, the first chunk's name, VP8X's flags
_WEBP_IS_ANIMATED = 2
_UNFIT = 6.0  # of 255, mean error from which a picture gets a palette of its own


def is_animation(path: Path) -> bool:
    """Tell whether a file is a GIF or WebP of several frames; a damaged one is none."""
    if path.suffix.lower() not in ANIMATION_SUFFIXES or not path.is_file():
        return False
    try:
        with read_errors(path.name), path.open("rb") as file:
            head = file.read(_WEBP_HEAD.size)
            if head.startswith(b"RIFF"):  # whose decoder would make room for the whole animation
                _, webp, chunk, flags = _WEBP_HEAD.unpack(head)
                return (webp, chunk) == (b"WEBP", b"VP8X") and bool(flags & _WEBP_IS_ANIMATED)
            file.seek(0)
            with pillow.set_for(0), Image.open(file, formats=formats_of(["Gif"])) as image:
                return bool(getattr(image, "is_animated", False))  # goes through GIF's blocks, and decodes nothing
    except (ImageError, struct.error):
        return False


def probe_animation(path: Path, *, start: float, end: float | None, max_size: int | None, max_pixels: int) -> Video:
    """Look at an animation; see `video_reader.probe_video`."""
    with _decoder(path, max_pixels, max_size) as decode:
        about = decode(None)
        assert isinstance(about, _About)
        width, height = reduced_size(about.size, max_size)
        return Video(
            path=path,
            width=width,
            height=height,
            time_base=_MILLISECOND,
            rate=Fraction(1000, about.duration),
            length=about.length,
            begin=round(start * 1000),
            end=None if end is None else round(end * 1000),
            shift=round(start * 1000),
            is_animation=True,
            loop=about.loop,
            max_pixels=max_pixels,
        )


def animation_frames(video: Video) -> Iterator[Frame]:
    """Read an animation's frames; see `video_reader.video_frames`.

    A worker process decodes them, so that a hostile file costs no more than itself.
    """
    with _decoder(video.path, video.max_pixels, max(video.width, video.height)) as decode:
        time = 0
        for number in range(video.length):
            read = decode(number)
            assert isinstance(read, _Read)
            is_broken = read.pixels is None
            yield Frame(time - video.shift, read.duration, read.pixels, read.alpha, is_broken=is_broken)
            time += read.duration


@dataclass(frozen=True)
class _About:
    """What an animation's file says of it."""

    size: tuple[int, int]
    duration: int
    length: int
    loop: int


@dataclass(frozen=True)
class _Read:
    """A decoded frame; without pixels where it cannot be decoded."""

    pixels: Pixels | None
    alpha: Pixels | None
    duration: int


@contextmanager
def _decoder(path: Path, max_pixels: int, max_size: int | None) -> Iterator[Callable[[int | None], _About | _Read]]:
    """Give a function that decodes an animation's frames, by number and in order, in a process of its own."""

    def died(_: int | None) -> NoReturn:
        raise ImageError(
            f"{path.name} crashed its decoder: the file is damaged, or there is too little memory.",
            "Save it again with another program, or make it smaller.",
        )

    if path.is_file() and not path.stat().st_size:
        raise ImageError(f"{path.name} is empty (0 bytes).", "Copy or download it again.")
    with closing(Processes(partial(_decode, path, max_pixels, max_size), died)) as decode:
        yield decode


def _decode(path: Path, max_pixels: int, max_size: int | None, number: int | None) -> _About | _Read:
    """Decode a frame, or tell what the file says of itself; runs in a process that reads nothing else."""
    image, canvas = _opened(path, max_pixels)
    if number is None:
        duration = int(image.info.get("duration", 0)) or _USUAL_DURATION
        # a GIF that does not speak of loops is shown once
        return _About(canvas, duration, int(getattr(image, "n_frames", 1)), int(image.info.get("loop", 1)))
    pixels = alpha = None
    try:
        image.seek(number)
        frame = image if image.size == canvas else image.crop((0, 0, *canvas))  # a GIF's may reach beyond its canvas
        photo = photo_from_image(frame, max_size=max_size)
        pixels, alpha = photo.pixels, photo.alpha
    except Exception:  # whatever hostile files make decoders raise
        if not number:
            raise
    return _Read(pixels, alpha, int(image.info.get("duration", 0)) or _USUAL_DURATION)


@cache
def _opened(path: Path, max_pixels: int) -> tuple[Image.Image, tuple[int, int]]:
    """Open an animation, and limit what any of its frames can make of it; return it with its size."""
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    with read_errors(path.name):
        Image.MAX_IMAGE_PIXELS = -(-max_pixels // 2)  # Pillow refuses what has more than twice as many
        image = Image.open(path, formats=formats_of(["Gif", "WebP"]))
        if image.width * image.height > max_pixels:
            raise Image.DecompressionBombError
        Image.MAX_IMAGE_PIXELS = min(Image.MAX_IMAGE_PIXELS, _MOST_GROWTH * image.width * image.height)
        return image, image.size


def write_animation(
    pictures: Iterable[tuple[Fraction, Pixels, Pixels | None]],
    path: Path,
    video: Video,
    quality: int,
    *,
    overwrite: bool = True,
) -> None:
    """Write pictures as an animated GIF or WebP.

    Args:
        pictures: one or more, each with the second in which it ends, `(H, W, 3)` RGB values, and `(H, W)` alpha or
            None.
        path: the file to write, whole or not at all; its suffix sets the format.
        video: what they come from.
        quality: of WebP, 1 to 100.
        overwrite: whether an existing file is replaced.

    Raises:
        ImageError: if it cannot be written.
        OutputExists: if the file exists and `overwrite` is false.
    """
    _check_memory(path, video)
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
    options: dict[str, Any] = {"loop": video.loop} if video.loop != 1 or suffix == ".webp" else {}
    if suffix == ".gif" and transparent:
        options |= {"transparency": _TRANSPARENT, "disposal": 2}
    with write_errors(path), atomic_write(path, overwrite=overwrite) as temporary:
        save_image(
            images[0],
            temporary,
            _FORMATS[suffix],
            save_all=True,
            append_images=images[1:],
            duration=durations,
            quality=quality,
            optimize=False,
            **options,
        )


def _check_memory(path: Path, video: Video) -> None:
    """Make sure that all of an animation fits into memory, as Pillow has it."""
    if video.length * video.width * video.height * 4 > free_memory("cpu") / 2:
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
