"""Conversion between the frames of video files and RGB images."""

import math
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylekit.images.color_spaces import ColorSpace, declared_space
from stylekit.images.hdr import brightest_luminance, tone_map
from stylekit.images.pixels import Pixels
from stylekit.images.reading import photo_from_image
from stylekit.video.files import load_av
from stylekit.video.frames import ColorCoding, Video

if TYPE_CHECKING:
    from av.video.format import VideoFormat
    from av.video.frame import VideoFrame

_MATRIX = struct.Struct("=5i")  # of a display matrix, the two rows that turn and mirror
_RGB = 0  # as a matrix
_BT2020 = 9  # as primaries and as a matrix
_UNKNOWN = 2  # as primaries
_SWSCALE_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}  # by their code points in ITU-T H.273
_LARGEST_SD = 576  # rows; up to here, videos that do not declare a matrix are BT.601, as players assume
_FULL = 2  # as a range
# Without these, white becomes 253 in some sizes, and chroma is repeated instead of interpolated.
_EXACT = ("BICUBIC", "ACCURATE_RND", "FULL_CHR_H_INT", "FULL_CHR_H_INP")


class Converter:
    """Converts the frames of a video. Share it within the video, because building its tables takes longer than a frame.

    Args:
        video: The video.
    """

    def __init__(self, video: Video) -> None:
        library = load_av(video.path.name).video.reformatter
        self._video = video
        self._flags = sum(library.Interpolation[name] for name in _EXACT)
        self._from_file = library.VideoReformatter()
        self._to_file = library.VideoReformatter()

    def read(self, frame: "VideoFrame") -> tuple[Pixels, Pixels | None]:
        """Return a frame upright, in sRGB and in the video's size, even if the size changes within the video.

        Returns:
            The colors `(H, W, 3)` and the opacity `(H, W)`, which is None if the frame is opaque.
        """
        colors = self._video.colors
        if colors.is_hdr:
            mapped = tone_map(self._wide(frame), hdr_space(colors), self._video.brightest)
            return self._upright(mapped), None
        if not has_alpha(frame.format):
            return self._upright(self._converted(frame, "rgb24")), None
        image = self._upright(self._converted(frame, "rgba"))
        if image[..., 3].min() == 255:
            return np.ascontiguousarray(image[..., :3]), None
        photo = photo_from_image(Image.fromarray(image))  # continues the colors into hidden pixels
        return photo.pixels, photo.alpha

    def brightest(self, frame: "VideoFrame") -> float:
        """Return the luminance of an HDR frame's brightest pixels, in cd/m²."""
        return brightest_luminance(self._wide(frame), hdr_space(self._video.colors))

    def _wide(self, frame: "VideoFrame") -> NDArray[np.uint16]:
        """Return a frame with 16 bits per channel, in which 65535 is white."""
        depth = frame.format.components[0].bits
        if frame.format.is_rgb and depth > 8:
            white = 65535
        elif frame.format.is_rgb or self._video.colors.range != _FULL:
            white = 255 << 8
        else:  # FFmpeg shifts the bits of a full range
            white = (1 << depth) - 1 << 16 - depth
        values = np.minimum(self._converted(frame, "rgb48le"), white) * np.float32(65535 / white)
        return np.rint(values, out=values).astype(np.uint16)  # type: ignore[no-any-return]

    def _converted(self, frame: "VideoFrame", format: str) -> Any:
        video = self._video
        width, height = (video.height, video.width) if video.turns % 2 else (video.width, video.height)
        colors = {} if frame.format.is_rgb else _swscale_colors(video.colors, "src")
        return self._from_file.reformat(frame, width, height, format, interpolation=self._flags, **colors).to_ndarray()

    def _upright(self, image: Pixels) -> Pixels:
        return np.ascontiguousarray(np.rot90(image[:, ::-1] if self._video.is_mirrored else image, self._video.turns))

    def write(self, image: Pixels, alpha: Pixels | None, *, keeps_alpha: bool) -> "VideoFrame":
        """Return an image as a frame to encode, with an even number of rows and columns.

        Args:
            image: `(H, W, 3)` RGB.
            alpha: `(H, W)`; None if the image is opaque.
            keeps_alpha: Whether the frame has alpha, too.
        """
        height, width = image.shape[:2]
        if keeps_alpha:
            opaque = np.full((height, width), 255, np.uint8)
            image = np.dstack([image, opaque if alpha is None else alpha])
        source = load_av(self._video.path.name).VideoFrame.from_ndarray(image, "rgba" if keeps_alpha else "rgb24")
        frame: VideoFrame = self._to_file.reformat(
            source,
            *even_size(width, height),
            "yuva420p" if keeps_alpha else "yuv420p",
            interpolation=self._flags,
            **_swscale_colors(self._video.colors.written, "dst"),
        )
        return frame


def color_coding(frame: "VideoFrame") -> ColorCoding:
    """Return how a video encodes colors, as declared or else by its size; videos in RGB become BT.709."""
    primaries, transfer = frame.color_primaries, frame.color_trc
    is_hdr = ColorCoding(transfer=transfer).is_hdr
    if is_hdr and primaries == _UNKNOWN:
        primaries = _BT2020
    if frame.colorspace == _RGB or frame.format.is_rgb:
        return ColorCoding(1, 1, primaries, transfer)
    matrix = frame.colorspace
    if matrix not in _SWSCALE_MATRICES:
        matrix = _BT2020 if is_hdr else 6 if frame.height <= _LARGEST_SD else 1
    is_full = frame.color_range == _FULL or frame.format.name.startswith("yuvj")
    return ColorCoding(matrix, _FULL if is_full else 1, primaries, transfer)


def orientation(frame: "VideoFrame") -> tuple[int, bool]:
    """Return how to turn a frame upright.

    Returns:
        The number of quarter turns to the left, and whether to mirror the frame left to right first.
    """
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return 0, False
    a, b, _, c, d = _MATRIX.unpack_from(bytes(matrix))
    is_mirrored = a * d < b * c
    sign = -1 if is_mirrored else 1
    return round(-math.degrees(math.atan2(sign * b, sign * a)) / 90) % 4, is_mirrored


def hdr_space(colors: ColorCoding) -> ColorSpace:
    """Return the color space of an HDR video."""
    space = declared_space({"cicp": (colors.primaries, colors.transfer)}, [])
    assert space is not None  # the transfer function is declared
    return space


def has_alpha(format: "VideoFormat") -> bool:
    """Return whether a pixel format has alpha."""
    return any(component.is_alpha for component in format.components)


def even_size(width: int, height: int) -> tuple[int, int]:
    """Return the nearest size with an even number of rows and columns that is not larger, but at least 2 × 2."""
    return max(2, width // 2 * 2), max(2, height // 2 * 2)


def _swscale_colors(colors: ColorCoding, end: str) -> dict[str, Any]:
    """Return the arguments of `reformat` for the colors at one end of a conversion, `src` or `dst`."""
    return {f"{end}_colorspace": _SWSCALE_MATRICES[colors.matrix], f"{end}_color_range": colors.range}
