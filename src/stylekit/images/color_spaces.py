"""Color spaces that images declare in other ways than by an ICC profile."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Primaries = tuple[tuple[float, float], ...]

PQ, HLG = 16, 18  # code points (ITU-T H.273) of the transfer functions of HDR

_D50 = np.array([0.9642, 1.0, 0.8249])  # the white of ICC profiles, as XYZ
_D65 = (0.3127, 0.3290)
_SRGB_PRIMARIES = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), _D65)
_PRIMARIES = {  # by code point
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), (0.310, 0.316)),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
}
_UNSPECIFIED = (2, 2)
# By code point. The functions of standard video (1, 6, 14, 15) are taken for sRGB's, as in browsers.
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6}
_GAMMA_RANGE = (0.2, 1.5)  # of PNG's gAMA; values outside of it are errors
_SRGB_GAMMA = 0.45455  # with which PNG's gAMA stands for sRGB
_NEARLY = 0.01  # a difference of coordinates or of gAMA that does not count
_CURVE_POINTS = 1024


@dataclass(frozen=True)
class ColorSpace:
    """A color space of RGB.

    Attributes:
        primaries: Coordinates x and y of red, green, blue and white.
        gamma: The exponent that makes code values linear; None if the transfer function is sRGB's.
        hdr: The code point of an HDR transfer function, `PQ` or `HLG`; None for SDR.
    """

    primaries: Primaries = _SRGB_PRIMARIES
    gamma: float | None = None
    hdr: int | None = None

    def to_xyz(self) -> Values:
        """Return the matrix from linear RGB to XYZ, adapted to D50 (Bradford)."""
        *colors, white = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in self.primaries)
        matrix = np.stack(colors, axis=1)
        matrix = matrix * np.linalg.solve(matrix, white)
        cones = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
        gains = (cones @ _D50) / (cones @ white)
        adapted: Values = np.linalg.solve(cones, gains[:, None] * cones) @ matrix
        return adapted

    def to_profile(self) -> bytes:
        """Return an SDR space as an ICC profile of version 2."""
        codes = np.linspace(0, 1, _CURVE_POINTS)
        linear = srgb_to_linear(codes) if self.gamma is None else codes**self.gamma
        curve = b"curv\0\0\0\0" + struct.pack(">I", _CURVE_POINTS) + np.rint(65535 * linear).astype(">u2").tobytes()
        tags = {b"wtpt": _xyz(_D50)}
        for name, column in zip((b"r", b"g", b"b"), self.to_xyz().T, strict=True):
            tags |= {name + b"XYZ": _xyz(column), name + b"TRC": curve}
        table, data = struct.pack(">I", len(tags)), b""
        for name, value in tags.items():
            table += struct.pack(">4sII", name, 132 + 12 * len(tags) + len(data), len(value))
            data += value
        length = 128 + len(table) + len(data)
        head = struct.pack(">I4xI4s4s4s12x4s28x", length, 0x02400000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
        return (head + _xyz(_D50)[8:]).ljust(128, b"\0") + table + data


def _xyz(values: Values) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(value) * 65536) for value in values))


def srgb_to_linear(values: Values) -> Values:
    """Return code values of sRGB, from 0 to 1, as linear light."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(values: Values) -> Values:
    """Return linear light, from 0 to 1, as code values of sRGB."""
    return np.where(values <= 0.0031308, 12.92 * values, 1.055 * values ** (1 / 2.4) - 0.055)


ADOBE_RGB = ColorSpace(((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), _D65), gamma=563 / 256)


SRGB = ColorSpace()


def declared_space(info: Mapping[Any, Any]) -> ColorSpace | None:
    """Return the color space that an image declares by code points (`cICP`, `nclx`) or by PNG's `gAMA` and `cHRM`.

    Args:
        info: What Pillow has read of the image; `cicp` holds the code points of primaries and transfer function.

    Returns:
        The space; None if it declares none that is known.
    """
    nclx = info.get("nclx_profile")  # of HEIC
    cicp = info.get("cicp")
    if isinstance(nclx, Mapping):
        cicp = nclx.get("color_primaries"), nclx.get("transfer_characteristics")
    if cicp and cicp != _UNSPECIFIED:
        return _coded_space(*cicp)
    return _png_space(info) if {"srgb", "gamma", "chromaticity"} & set(info) else None


def _coded_space(primaries: Any, transfer: Any) -> ColorSpace:
    return ColorSpace(
        _PRIMARIES.get(primaries, _SRGB_PRIMARIES), _GAMMAS.get(transfer), transfer if transfer in (PQ, HLG) else None
    )


def _png_space(info: Mapping[Any, Any]) -> ColorSpace:
    """Return the space that `gAMA` and `cHRM` declare; sRGB for impossible values."""
    gamma, chromaticity = info.get("gamma"), info.get("chromaticity")
    if "srgb" in info:
        return SRGB
    exponent = None
    if isinstance(gamma, float) and _GAMMA_RANGE[0] <= gamma <= _GAMMA_RANGE[1] and abs(gamma - _SRGB_GAMMA) > _NEARLY:
        exponent = 1 / gamma
    primaries: Primaries = _SRGB_PRIMARIES
    if isinstance(chromaticity, tuple):
        white, *colors = zip(chromaticity[::2], chromaticity[1::2], strict=True)
        primaries = (*colors, white)
    space = ColorSpace(primaries, exponent)
    if np.abs(np.subtract(primaries, _SRGB_PRIMARIES)).max() <= _NEARLY or not _is_possible(space):
        space = ColorSpace(gamma=exponent)
    return space


def _is_possible(space: ColorSpace) -> bool:
    """Return whether a space's white is a color, and its primaries mix to it and to others."""
    *_, white = space.primaries
    if min(white) <= 0 or sum(white) >= 1:
        return False
    try:
        matrix = space.to_xyz()
    except (ArithmeticError, np.linalg.LinAlgError):
        return False
    return bool(np.isfinite(matrix).all() and (matrix[1] > 0).all() and np.linalg.cond(matrix) < 1000)
