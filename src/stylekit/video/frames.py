"""Videos and frames, independent of the library that reads them."""

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path

from stylekit.images.pixels import Pixels


@dataclass(frozen=True)
class ColorCoding:
    """How a video encodes colors, in the numbers of ITU-T H.273.

    Attributes:
        matrix: From RGB to luma and chroma; 1 is BT.709.
        range: 1 limited, 2 full.
        primaries: Of RGB; 2 is unknown.
        transfer: The transfer function; 2 is unknown.
    """

    matrix: int = 1
    range: int = 1
    primaries: int = 2
    transfer: int = 2


@dataclass(frozen=True)
class Video:
    """A video, as its file describes it, and the part of it that is painted. Times are in units of `time_base`.

    Attributes:
        path: The file.
        width: Of an upright frame, in pixels.
        height: Of an upright frame, in pixels.
        time_base: The unit of time, in seconds.
        rate: Frames per second, on average.
        length: About how many frames the part has; 0 if the file does not say.
        seconds: How long the part is, by what the file says; 0 if it does not.
        begin: When the part begins; None if it begins with the file.
        end: When the part ends, exclusive; None if it ends with the file.
        shift: What is subtracted from all times, so that the result begins at 0.
        colors: How colors are encoded.
        turns: Quarter turns to the left that make a frame upright.
        aspect: Width of a pixel relative to its height.
        is_animation: Whether the file is an animated image, which has no sound.
        loop: How often an animation is shown; 0 is forever.
        max_pixels: Frames of more pixels are not decoded.
    """

    path: Path
    width: int
    height: int
    time_base: Fraction
    rate: Fraction
    length: int = 0
    seconds: float = 0
    begin: int | None = None
    end: int | None = None
    shift: int = 0
    colors: ColorCoding = ColorCoding()
    turns: int = 0
    aspect: Fraction = Fraction(1)
    is_animation: bool = False
    loop: int = 0
    max_pixels: int = 2**31 - 1


@dataclass(frozen=True)
class Frame:
    """A frame of a video.

    Attributes:
        time: When it is shown, in units of the video's `time_base`.
        duration: How long it is shown, in the same units.
        pixels: `(H, W, 3)`, upright RGB; None shows the previous frame again.
        alpha: `(H, W)`, 0 is transparent; None if the frame is opaque.
        is_broken: Whether the previous frame is shown because this one cannot be decoded.
    """

    time: int
    duration: int
    pixels: Pixels | None
    alpha: Pixels | None = None
    is_broken: bool = False


def until_next(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Yield frames whose durations reach to the next frame; the last one keeps its own."""
    waiting: Frame | None = None
    for frame in frames:
        if waiting is not None:
            yield dataclasses.replace(waiting, duration=frame.time - waiting.time)
        waiting = frame
    if waiting is not None:
        yield waiting


def trim(frames: Iterable[Frame], video: Video) -> Iterator[Frame]:
    """Yield the frames of the part of a video that is painted; the first is the one on screen when the part begins.

    Args:
        frames: All frames, each lasting until the next one.
        video: The video, which says when the part begins and ends.
    """
    end = None if video.end is None else video.end - video.shift
    on_screen: Frame | None = None
    for frame in frames:
        stop = frame.time + frame.duration
        if end is not None:
            if frame.time >= end:
                return
            stop = min(stop, end)
        if video.begin is None or frame.time > 0:
            yield dataclasses.replace(frame, duration=stop - frame.time)
            continue
        if frame.pixels is not None:
            on_screen = frame
        if on_screen is not None and stop > 0:
            yield dataclasses.replace(frame, time=0, duration=stop, pixels=on_screen.pixels, alpha=on_screen.alpha)


def at_rate(frames: Iterable[Frame], time_base: Fraction, rate: Fraction) -> Iterator[Frame]:
    """Yield frames at a constant rate: surplus ones are dropped, and gaps are filled by showing the previous one again.

    Args:
        frames: Each lasting until the next one.
        time_base: The unit of the frames' times, in seconds.
        rate: Frames per second. The results' times are counted in frames.
    """
    pending: Frame | None = None  # the latest decoded frame, until it has been shown
    is_broken = False  # whether a frame since the last one shown was broken
    for frame in frames:
        is_broken = is_broken or frame.is_broken
        if frame.pixels is not None:
            pending = frame
        first, end = (ceil(time * time_base * rate) for time in (frame.time, frame.time + frame.duration))
        for time in range(first, end):
            pixels, alpha = (None, None) if pending is None else (pending.pixels, pending.alpha)
            yield Frame(time, 1, pixels, alpha, is_broken)
            pending, is_broken = None, False
