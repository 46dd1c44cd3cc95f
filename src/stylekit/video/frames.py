"""Videos and frames, independent of the library that reads them."""

import dataclasses
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path

from stylekit.images.color_spaces import HLG, PQ
from stylekit.images.pixels import Pixels
from stylekit.video.clocks import Jump


@dataclass(frozen=True)
class ColorCoding:
    """How a video encodes colors, as code points of ITU-T H.273.

    Attributes:
        matrix: The matrix from RGB to luma and chroma; 1 is BT.709.
        range: The range of values; 1 is limited, 2 is full.
        primaries: The color primaries; 2 is unknown.
        transfer: The transfer function; 2 is unknown.
    """

    matrix: int = 1
    range: int = 1
    primaries: int = 2
    transfer: int = 2

    @property
    def is_hdr(self) -> bool:
        """Whether the transfer function is HLG or PQ."""
        return self.transfer in (PQ, HLG)

    @property
    def written(self) -> "ColorCoding":
        """The coding of the result, in which HDR becomes BT.709."""
        return ColorCoding(1, 1, 1, 1) if self.is_hdr else self


@dataclass(frozen=True)
class Video:
    """A video, as its file describes it, and the part of it that is painted. Times are in units of `time_base`.

    Attributes:
        path: The file.
        width: The width of an upright frame in pixels.
        height: The height of an upright frame in pixels.
        time_base: The unit of time, in seconds.
        rate: Frames per second, on average.
        length: The approximate number of frames in the part; 0 if unknown.
        seconds: The duration of the part according to the file; 0 if unknown.
        begin: When the part begins; None if it begins with the file.
        end: When the part ends, exclusive; None if it ends with the file.
        shift: The offset to subtract from all times, so that the result begins at 0.
        colors: How colors are encoded.
        brightest: The luminance of an HDR video's brightest pixels in cd/m², which becomes white.
        has_alpha: Whether the frames can be transparent.
        turns: Quarter turns to the left that make a frame upright.
        is_mirrored: Whether frames are mirrored left to right before they are turned.
        aspect: The width of a pixel relative to its height.
        jumps: The places at which the file's clock jumps, and how to mend it.
        is_animation: Whether the file is an animated image, which has no sound.
        loop: How many times an animation is played; 0 means forever.
        max_pixels: Frames with more pixels are not decoded.
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
    brightest: float = 0
    has_alpha: bool = False
    turns: int = 0
    is_mirrored: bool = False
    aspect: Fraction = Fraction(1)
    jumps: tuple[Jump, ...] = ()
    is_animation: bool = False
    loop: int = 0
    max_pixels: int = 2**31 - 1


@dataclass(frozen=True)
class Frame:
    """A frame of a video.

    Attributes:
        time: When it is shown, in units of the video's `time_base`.
        duration: How long it is shown, in the same units.
        pixels: Upright RGB values `(H, W, 3)`; None repeats the previous frame.
        alpha: Opacity `(H, W)`, 0 is transparent; None if the frame is opaque.
        is_broken: Whether the frame cannot be decoded, so that the previous frame is repeated.
        checksum: The checksum of pixels that have been dropped to save memory.
    """

    time: int
    duration: int
    pixels: Pixels | None
    alpha: Pixels | None = None
    is_broken: bool = False
    checksum: int | None = None

    def without_pixels(self) -> "Frame":
        """Return the frame without its pixels, but with their checksum."""
        checksum = None if self.pixels is None else zlib.crc32(self.pixels.data)
        return dataclasses.replace(self, pixels=None, checksum=checksum)


def until_next(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Yield frames that each last until the next one; the last frame keeps its duration."""
    waiting: Frame | None = None
    for frame in frames:
        if waiting is not None:
            yield dataclasses.replace(waiting, duration=frame.time - waiting.time)
        waiting = frame
    if waiting is not None:
        yield waiting


def trim(frames: Iterable[Frame], video: Video) -> Iterator[Frame]:
    """Yield the frames of the part to paint, starting with the frame on screen when the part begins.

    Args:
        frames: All frames, which each last until the next one.
        video: The video, with the times at which the part begins and ends.
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
    """Yield frames at a constant rate, by dropping surplus frames and repeating frames to fill gaps.

    Args:
        frames: Frames that each last until the next one.
        time_base: The unit of the frames' times, in seconds.
        rate: The rate in frames per second; its inverse is the unit of time of the frames that are yielded.
    """
    pending: Frame | None = None  # the latest decoded frame, until it has been shown
    is_broken = False  # whether any frame since the last one that was shown is broken
    for frame in frames:
        is_broken = is_broken or frame.is_broken
        if frame.pixels is not None:
            pending = frame
        first, end = (ceil(time * time_base * rate) for time in (frame.time, frame.time + frame.duration))
        for time in range(first, end):
            pixels, alpha = (None, None) if pending is None else (pending.pixels, pending.alpha)
            yield Frame(time, 1, pixels, alpha, is_broken)
            pending, is_broken = None, False
