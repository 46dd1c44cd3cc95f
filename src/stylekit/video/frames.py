"""What a video is made of, wherever its frames come from."""

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path

from stylekit.images.pixels import Pixels


@dataclass(frozen=True)
class Colors:
    """How a video codes colours, by the numbers of ITU-T H.273.

    Attributes:
        matrix: from RGB to luma and chroma; 1 is BT.709.
        range: 1 limited, 2 full.
        primaries: 2 for those that nobody knows.
        transfer: likewise.
    """

    matrix: int = 1
    range: int = 1
    primaries: int = 2
    transfer: int = 2


@dataclass(frozen=True)
class Video:
    """A video as its file describes it. Times are in units of `time_base`.

    Attributes:
        path: the file.
        width: of an upright frame, in pixels.
        height: likewise.
        time_base: a unit of time in seconds.
        rate: frames a second, on average.
        length: how many frames there are, as far as the file tells; 0 where it does not.
        seconds: when the wanted part ends, counted from its beginning, as far as the file tells; 0 where it does not.
        begin: the first moment that is wanted.
        end: the first one that is not wanted any more; None goes to the file's end.
        shift: what is to be subtracted from all times.
        colors: how colours are coded.
        turns: quarter turns to the left that make a frame upright.
        aspect: width of a pixel in units of its height.
        is_animation: whether it is an animated picture, which has no sound.
        loop: how often an animation is shown; 0 without end.
        max_pixels: pixels above which no frame is decoded.
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
    colors: Colors = Colors()
    turns: int = 0
    aspect: Fraction = Fraction(1)
    is_animation: bool = False
    loop: int = 0
    max_pixels: int = 2**31 - 1


@dataclass(frozen=True)
class Frame:
    """A frame of a video.

    Attributes:
        time: when it is shown, in units of the video's.
        duration: for how long.
        pixels: `(H, W, 3)`, upright RGB; None shows the frame before again.
        alpha: `(H, W)`; None where there is no transparency.
        is_broken: whether the frame before is shown because this one could not be read.
    """

    time: int
    duration: int
    pixels: Pixels | None
    alpha: Pixels | None = None
    is_broken: bool = False


def lasting(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Let each frame last until the next one is shown."""
    waiting: Frame | None = None
    for frame in frames:
        if waiting is not None:
            yield dataclasses.replace(waiting, duration=frame.time - waiting.time)
        waiting = frame
    if waiting is not None:
        yield waiting


def part(frames: Iterable[Frame], video: Video) -> Iterator[Frame]:
    """Take the wanted part of a video: what is on screen when it begins is shown from then on.

    Args:
        frames: each lasting until the next one.
        video: what tells the part.
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
    """Show the frames of a video at regular times: those in between are left out, and gaps are filled.

    Args:
        frames: each lasting until the next one.
        time_base: of the frames' times, in seconds.
        rate: frames a second; the result's times are in units of one of them.
    """
    unseen: Frame | None = None  # the last that could be read, until it has been shown
    is_broken = False  # whether one could not be read, until that has been told
    for frame in frames:
        is_broken = is_broken or frame.is_broken
        if frame.pixels is not None:
            unseen = frame
        first, end = (ceil(time * time_base * rate) for time in (frame.time, frame.time + frame.duration))
        for time in range(first, end):
            pixels, alpha = (None, None) if unseen is None else (unseen.pixels, unseen.alpha)
            yield Frame(time, 1, pixels, alpha, is_broken)
            unseen, is_broken = None, False
