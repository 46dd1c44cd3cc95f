"""Animated GIF and WebP: read frame by frame in a worker process, and written."""

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
from stylekit.images.recipes import recipe_packet
from stylekit.system.files import atomic_write
from stylekit.system.memory import free_memory
from stylekit.system.processes import WorkerPool
from stylekit.video.formats import ANIMATION_SUFFIXES
from stylekit.video.frames import Frame, Video

_MILLISECOND = Fraction(1, 1000)
_DEFAULT_DURATION = 100  # ms, of frames that state none, as in browsers
_FORMATS = {".gif": "GIF", ".webp": "WEBP"}
_TIME_STEPS = {".gif": 10, ".webp": 1}  # ms, the formats' units of time
_OPAQUE_FROM = 128  # alpha; a GIF's pixel is either opaque or transparent
_TRANSPARENT = 255  # index in the palettes of GIFs
_CANVAS_HALVES = 2  # limit on a GIF's frames beyond its canvas, in halves of the canvas
_WEBP_HEAD = struct.Struct("<4s4x4s4s4xB")  # RIFF, WEBP, the first chunk's name, the flags of VP8X
_WEBP_IS_ANIMATED = 2  # flag
_POOR_FIT = 6.0  # of 255, mean error at which an image gets a palette of its own


def is_animation(path: Path) -> bool:
    """Return whether a file is a GIF or WebP of several frames; a corrupt one is not."""
    if path.suffix.lower() not in ANIMATION_SUFFIXES or not path.is_file():
        return False
    try:
        with read_errors(path.name), path.open("rb") as file:
            head = file.read(_WEBP_HEAD.size)
            if head.startswith(b"RIFF"):  # opening a WebP would allocate memory for its frames
                _, webp, chunk, flags = _WEBP_HEAD.unpack(head)
                return (webp, chunk) == (b"WEBP", b"VP8X") and bool(flags & _WEBP_IS_ANIMATED)
            file.seek(0)
            with pillow.set_for(0), Image.open(file, formats=formats_of(["Gif"])) as image:
                return bool(getattr(image, "is_animated", False))  # scans the GIF's blocks without decoding them
    except (ImageError, struct.error):
        return False


def probe_animation(path: Path, *, start: float, end: float | None, max_size: int | None, max_pixels: int) -> Video:
    """Read what an animation says about itself; see `reader.probe_video`."""
    with _decoder(path, max_pixels, max_size) as decode:
        info = decode(None)
        assert isinstance(info, _Info)
        width, height = reduced_size(info.size, max_size)
        return Video(
            path=path,
            width=width,
            height=height,
            time_base=_MILLISECOND,
            rate=Fraction(1000, info.duration),
            length=info.length,
            begin=round(start * 1000),
            end=None if end is None else round(end * 1000),
            shift=round(start * 1000),
            is_animation=True,
            loop=info.loop,
            max_pixels=max_pixels,
        )


def animation_frames(video: Video) -> Iterator[Frame]:
    """Yield an animation's frames; see `reader.video_frames`.

    A worker process decodes them, so that a hostile file fails alone.
    """
    with _decoder(video.path, video.max_pixels, max(video.width, video.height)) as decode:
        time = 0
        for number in range(video.length):
            decoded = decode(number)
            assert isinstance(decoded, _Decoded)
            yield Frame(
                time - video.shift, decoded.duration, decoded.pixels, decoded.alpha, is_broken=decoded.pixels is None
            )
            time += decoded.duration


@dataclass(frozen=True)
class _Info:
    """What an animation's file says about itself."""

    size: tuple[int, int]
    duration: int  # of the first frame, in ms
    length: int  # in frames
    loop: int


@dataclass(frozen=True)
class _Decoded:
    """A decoded frame; without pixels if it cannot be decoded."""

    pixels: Pixels | None
    alpha: Pixels | None
    duration: int  # in ms


@contextmanager
def _decoder(path: Path, max_pixels: int, max_size: int | None) -> Iterator[Callable[[int | None], _Info | _Decoded]]:
    """Yield a function that decodes an animation in a worker process: its frames by number in order, or its info."""

    def crash(_: int | None) -> NoReturn:
        raise ImageError(
            f"{path.name} crashed its decoder: it is corrupt, or memory ran out.",
            "Save it again in another program, or reduce it.",
        )

    if path.is_file() and not path.stat().st_size:
        raise ImageError(f"{path.name} is empty (0 bytes).", "Copy or download it again.")
    with closing(WorkerPool(partial(_decode, path, max_pixels, max_size), crash)) as decode:
        yield decode


def _decode(path: Path, max_pixels: int, max_size: int | None, number: int | None) -> _Info | _Decoded:
    """Decode a frame, or without a number return the animation's info. Runs in a worker that reads no other file."""
    image, canvas = _opened(path, max_pixels)
    if number is None:
        duration = int(image.info.get("duration", 0)) or _DEFAULT_DURATION
        # A GIF without a loop count is shown once.
        return _Info(canvas, duration, int(getattr(image, "n_frames", 1)), int(image.info.get("loop", 1)))
    pixels = alpha = None
    try:
        image.seek(number)
        frame = image if image.size == canvas else image.crop((0, 0, *canvas))  # a GIF's may exceed its canvas
        photo = photo_from_image(frame, max_size=max_size)
        pixels, alpha = photo.pixels, photo.alpha
    except Exception:  # hostile files can raise every kind
        if not number:
            raise
    return _Decoded(pixels, alpha, int(image.info.get("duration", 0)) or _DEFAULT_DURATION)


@cache
def _opened(path: Path, max_pixels: int) -> tuple[Image.Image, tuple[int, int]]:
    """Open an animation, limit the size of its later frames, and return it with its own size."""
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    with read_errors(path.name):
        Image.MAX_IMAGE_PIXELS = -(-max_pixels // 2)  # Pillow rejects images of more than twice as many
        image = Image.open(path, formats=formats_of(["Gif", "WebP"]))
        if image.width * image.height > max_pixels:
            raise Image.DecompressionBombError
        Image.MAX_IMAGE_PIXELS = min(Image.MAX_IMAGE_PIXELS, _CANVAS_HALVES * image.width * image.height)
        return image, image.size


def write_animation(
    frames: Iterable[tuple[Fraction, Pixels, Pixels | None]],
    path: Path,
    video: Video,
    quality: int,
    *,
    recipe: str | None = None,
    overwrite: bool = True,
) -> None:
    """Write frames as an animated GIF or WebP.

    Args:
        frames: One or more, each with the second at which it ends, `(H, W, 3)` RGB, and `(H, W)` alpha or None.
        path: The file to write, whole or not at all; its suffix sets the format.
        video: The video that the frames come from.
        quality: Of WebP, 1 to 100.
        recipe: How the animation was painted, as JSON; a GIF cannot hold it.
        overwrite: Whether an existing file is replaced.

    Raises:
        ImageError: If it cannot be written.
        OutputExists: If the file exists and `overwrite` is false.
    """
    _check_memory(path, video)
    suffix = path.suffix.lower()
    images, durations, is_transparent = _prepare(frames, suffix)
    options: dict[str, Any] = {"loop": video.loop} if video.loop != 1 or suffix == ".webp" else {}
    if suffix == ".gif" and is_transparent:
        options |= {"transparency": _TRANSPARENT, "disposal": 2}
    if suffix == ".webp" and recipe:
        options["xmp"] = recipe_packet(recipe)
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
    """Raise an error if an animation does not fit into memory, where Pillow holds all of it."""
    if video.length * video.width * video.height * 4 > free_memory("cpu") / 2:
        raise ImageError(
            f"Cannot write {path.name}: animations of that size do not fit into memory.", "Write it as .mp4."
        )


def _prepare(
    frames: Iterable[tuple[Fraction, Pixels, Pixels | None]], suffix: str
) -> tuple[list[Image.Image], list[int], bool]:
    """Return the images and durations (in ms) to write for frames, and whether any frame has transparency."""
    images: list[Image.Image] = []
    durations: list[int] = []
    is_transparent = False
    palette: Image.Image | None = None
    for end, pixels, alpha in frames:
        image = Image.fromarray(pixels)
        if suffix == ".gif":
            palette = _palette_for(image, palette)
            image = image.quantize(palette=palette, dither=Image.Dither.NONE)
        if alpha is not None:
            image, is_transparent = _with_alpha(image, alpha), True
        images.append(image)
        durations.append(round(end * 1000 / _TIME_STEPS[suffix]) * _TIME_STEPS[suffix] - sum(durations))
    return images, durations, is_transparent


def _palette_for(image: Image.Image, palette: Image.Image | None) -> Image.Image:
    """Return an image with a palette for this one: the previous one while it fits, so that still parts stay."""
    if palette is not None:
        mapped = image.quantize(palette=palette, dither=Image.Dither.NONE).convert("RGB")
        if np.abs(np.asarray(mapped, np.int16) - np.asarray(image)).mean() < _POOR_FIT:
            return palette
    return image.quantize(_TRANSPARENT)


def _with_alpha(image: Image.Image, alpha: Pixels) -> Image.Image:
    if image.mode == "P":
        colors = image.getpalette() or []
        image.putpalette(colors + [0] * (3 * (_TRANSPARENT + 1) - len(colors)))  # few colors have a short palette
        image.paste(_TRANSPARENT, mask=Image.fromarray(np.where(alpha < _OPAQUE_FROM, 255, 0).astype(np.uint8)))
    else:
        image.putalpha(Image.fromarray(alpha))
    return image
