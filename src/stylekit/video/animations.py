"""Animated GIF and WebP: read frame by frame in a worker process, and written."""

import struct
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial
from itertools import pairwise
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
_DEFAULT_DURATION = 100  # ms, for frames without a duration, as in browsers
_FORMATS = {".gif": "GIF", ".webp": "WEBP"}
_TIME_STEPS = {"GIF": 10, "WEBP": 1}  # ms, the formats' units of time
_SHORTEST = {"GIF": 20, "WEBP": 1}  # ms; browsers treat shorter frames of a GIF as frames without a duration
_OPAQUE_FROM = 128  # alpha; a GIF's pixel is either opaque or transparent
_TRANSPARENT = 255  # index in the palettes of GIFs
_CANVAS_HALVES = 2  # largest frame of a GIF that exceeds its canvas, in halves of the canvas
_WEBP_HEAD = struct.Struct("<4s4x4s4s4xB")  # RIFF, WEBP, the first chunk's name, the flags of VP8X
_WEBP_IS_ANIMATED = 2  # flag
_POOR_FIT = 6.0  # mean error, of 255, from which an image gets a new palette


def is_animation(path: Path) -> bool:
    """Return whether a file is a GIF or WebP with several frames; False for a corrupt file."""
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
    """Read the properties of an animation; see `reader.probe_video`."""
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
            has_alpha=info.has_alpha,
            is_animation=True,
            loop=info.loop,
            max_pixels=max_pixels,
        )


def animation_frames(video: Video) -> Iterator[Frame]:
    """Yield an animation's frames; see `reader.video_frames`.

    They are decoded in a worker process, so that a file that crashes its decoder fails alone.
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
    """The properties of an animation, as stated by its file."""

    size: tuple[int, int]
    duration: int  # of the first frame, in ms
    length: int  # in frames
    loop: int
    has_alpha: bool


@dataclass(frozen=True)
class _Decoded:
    """A decoded frame; without pixels if it cannot be decoded."""

    pixels: Pixels | None
    alpha: Pixels | None
    duration: int  # in ms


@contextmanager
def _decoder(path: Path, max_pixels: int, max_size: int | None) -> Iterator[Callable[[int | None], _Info | _Decoded]]:
    """Yield a function that decodes an animation in a worker process.

    It returns the frame with the number that it is called with, which must increase from call to call, or the
    animation's properties if called with None.
    """

    def crash(_: int | None) -> NoReturn:
        raise ImageError(
            f"{path.name} crashed or blocked its decoder: it is corrupt, or memory ran out.",
            "Save it again in another program, or scale it down.",
        )

    if path.is_file() and not path.stat().st_size:
        raise ImageError(f"{path.name} is empty (0 bytes).", "Copy or download it again.")
    with closing(WorkerPool(partial(_decode, path, max_pixels, max_size), crash)) as decode:
        yield decode


def _decode(path: Path, max_pixels: int, max_size: int | None, number: int | None) -> _Info | _Decoded:
    """Decode the frame with this number, or return the animation's properties if the number is None.

    This runs in a worker process that reads no other file.
    """
    image, canvas = _opened(path, max_pixels)
    if number is None:
        # A GIF without a loop count is shown once.
        length, loop = int(getattr(image, "n_frames", 1)), int(image.info.get("loop", 1))
        return _Info(canvas, _duration(image), length, loop, image.has_transparency_data)
    pixels = alpha = None
    try:
        image.seek(number)
        frame = image if image.size == canvas else image.crop((0, 0, *canvas))  # a GIF's frame may exceed its canvas
        photo = photo_from_image(frame, max_size=max_size)
        pixels, alpha = photo.pixels, photo.alpha
    except Exception:  # corrupt files can raise any exception
        if not number:
            raise
    return _Decoded(pixels, alpha, _duration(image))


def _duration(image: Image.Image) -> int:
    """Return how long browsers show an animation's current frame, in ms."""
    duration = int(image.info.get("duration", 0))
    return _DEFAULT_DURATION if duration < _SHORTEST[str(image.format)] else duration


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
) -> tuple[str, ...]:
    """Write frames as an animated GIF or WebP.

    Frames that follow one another faster than browsers can show them are dropped.

    Args:
        frames: One or more frames: the second at which the frame ends, its pixels `(H, W, 3)` in RGB, and its alpha
            `(H, W)` or None.
        path: The file to write, whole or not at all; its suffix sets the format.
        video: The video that the frames come from.
        quality: Quality of a WebP, 1 to 100.
        recipe: The recipe by which the animation was painted, as JSON; GIF cannot hold one.
        overwrite: Whether an existing file is replaced.

    Returns:
        A note on the frames that were dropped, if any.

    Raises:
        ImageError: If the file cannot be written.
        OutputExists: If the file exists and `overwrite` is false.
    """
    _check_memory(path, video)
    format = _FORMATS[path.suffix.lower()]
    dropped, images, durations, is_transparent = _prepare(frames, format)
    options: dict[str, Any] = {"loop": video.loop} if video.loop != 1 or format == "WEBP" else {}
    if format == "GIF" and is_transparent:
        options |= {"transparency": _TRANSPARENT, "disposal": 2}
    if format == "WEBP" and recipe:
        options["xmp"] = recipe_packet(recipe)
    with write_errors(path), atomic_write(path, overwrite=overwrite) as temporary:
        save_image(
            images[0],
            temporary,
            format,
            save_all=True,
            append_images=images[1:],
            duration=durations,
            quality=quality,
            optimize=False,
            **options,
        )
    most = f"{format.replace('WEBP', 'WebP')} animations show at most {1000 // _SHORTEST[format]} per second"
    return (f"{dropped} of {dropped + len(images)} frames dropped: {most}",) if dropped else ()


def _check_memory(path: Path, video: Video) -> None:
    """Raise an error if an animation does not fit in memory: Pillow holds all its frames at once."""
    if video.length * video.width * video.height * 4 > free_memory("cpu") / 2:
        raise ImageError(
            f"Cannot write {path.name}: the animation would not fit in memory.", "Write it as .mp4 instead."
        )


def _prepare(
    frames: Iterable[tuple[Fraction, Pixels, Pixels | None]], format: str
) -> tuple[int, list[Image.Image], list[int], bool]:
    """Return the number of frames that are too short to write, and what to write for the others.

    Returns:
        The number, the images, their durations in ms, and whether any of them has transparency.
    """
    step, shortest = _TIME_STEPS[format], _SHORTEST[format]
    kept: list[tuple[int, Image.Image, bool]] = []  # when each begins in ms, its image, and whether it has alpha
    palette: Image.Image | None = None
    end = dropped = 0
    for stop, pixels, alpha in frames:
        begin, end = end, round(stop * 1000 / step) * step  # rounding times, not durations, keeps the total right
        if kept and begin - kept[-1][0] < shortest:
            dropped += 1
            continue
        image = Image.fromarray(pixels)
        if format == "GIF":
            palette = _palette_for(image, palette)
            image = image.quantize(palette=palette, dither=Image.Dither.NONE)
        kept.append((begin, image if alpha is None else _with_alpha(image, alpha), alpha is not None))
    end = max(end, shortest)
    if len(kept) > 1 and end - kept[-1][0] < shortest:
        kept.pop()
        dropped += 1
    begins, images, has_alpha = zip(*kept, strict=True)
    durations = [after - before for before, after in pairwise((*begins, end))]
    return dropped, list(images), durations, any(has_alpha)


def _palette_for(image: Image.Image, palette: Image.Image | None) -> Image.Image:
    """Return an image whose palette suits another image.

    The previous palette is returned while it fits, so that colors do not change where nothing moves.
    """
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
