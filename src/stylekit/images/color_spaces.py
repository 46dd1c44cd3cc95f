"""Color spaces that images declare without an ICC profile."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Primaries = tuple[tuple[float, float], ...]

PQ, HLG = 16, 18  # code points (ITU-T H.273) of HDR transfer functions

_D50 = np.array([0.9642, 1.0, 0.8249])  # the white point of ICC profiles in XYZ
_D65 = (0.3127, 0.3290)
_SRGB_PRIMARIES = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), _D65)
_PRIMARIES = {  # by code point
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), (0.310, 0.316)),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), (0.310, 0.316)),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6}  # by code point of the transfer function
_UNSPECIFIED = 2  # as a code point
_SRGB_PRIMARY_CODES = {1, _UNSPECIFIED}
# The functions of standard video differ from sRGB's, but browsers treat them alike.
_SRGB_TRANSFER_CODES = {1, _UNSPECIFIED, 6, 7, 11, 12, 13, 14, 15}
_GAMMA_RANGE = (0.2, 1.5)  # plausible values of PNG's gAMA
_SRGB_GAMMA = 0.45455  # the value of PNG's gAMA that stands for sRGB
_TOLERANCE = 0.01  # for chromaticity coordinates and gAMA
_CURVE_POINTS = 1024


@dataclass(frozen=True)
class ColorSpace:
    """An RGB color space.

    Attributes:
        primaries: Chromaticity coordinates x and y of red, green, blue and white.
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
        """Return an ICC profile (version 2) of an SDR color space."""
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
    """Convert sRGB values (0 to 1) to linear light."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(values: Values) -> Values:
    """Convert linear-light values (0 to 1) to sRGB."""
    return np.where(values <= 0.0031308, 12.92 * values, 1.055 * values ** (1 / 2.4) - 0.055)


ADOBE_RGB = ColorSpace(((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), _D65), gamma=563 / 256)
SRGB = ColorSpace()


def declared_space(info: Mapping[Any, Any], notes: list[str]) -> ColorSpace | None:
    """Return the color space that an image declares by code points (`cICP`, `nclx`) or by PNG's `gAMA` and `cHRM`.

    Args:
        info: Pillow's `info` of the image; `cicp` holds the code points of primaries and transfer function.
        notes: Receives a note about each unknown code point.

    Returns:
        The color space; None if the image declares none.
    """
    nclx = info.get("nclx_profile")  # of HEIC
    cicp = info.get("cicp")
    if isinstance(nclx, Mapping):
        cicp = nclx.get("color_primaries"), nclx.get("transfer_characteristics")
    if cicp and set(cicp) != {_UNSPECIFIED}:
        primaries, transfer = cicp
        return _coded_space(primaries, transfer, notes)
    return _png_space(info) if {"srgb", "gamma", "chromaticity"} & set(info) else None


def _coded_space(primaries: Any, transfer: Any, notes: list[str]) -> ColorSpace:
    if primaries not in {*_PRIMARIES, *_SRGB_PRIMARY_CODES}:
        notes.append(f"unknown color primaries (code {primaries}) treated as sRGB")
    if transfer not in {*_GAMMAS, PQ, HLG, *_SRGB_TRANSFER_CODES}:
        notes.append(f"unknown transfer function (code {transfer}) treated as sRGB")
    return ColorSpace(
        _PRIMARIES.get(primaries, _SRGB_PRIMARIES), _GAMMAS.get(transfer), transfer if transfer in (PQ, HLG) else None
    )


def _png_space(info: Mapping[Any, Any]) -> ColorSpace:
    """Return the space that `gAMA` and `cHRM` declare; sRGB for impossible values."""
    gamma, chromaticity = info.get("gamma"), info.get("chromaticity")
    if "srgb" in info:
        return SRGB
    exponent = None
    if (
        isinstance(gamma, float)
        and _GAMMA_RANGE[0] <= gamma <= _GAMMA_RANGE[1]
        and abs(gamma - _SRGB_GAMMA) > _TOLERANCE
    ):
        exponent = 1 / gamma
    primaries: Primaries = _SRGB_PRIMARIES
    if isinstance(chromaticity, tuple):
        white, *colors = zip(chromaticity[::2], chromaticity[1::2], strict=True)
        primaries = (*colors, white)
    space = ColorSpace(primaries, exponent)
    if np.abs(np.subtract(primaries, _SRGB_PRIMARIES)).max() <= _TOLERANCE or not _is_possible(space):
        space = ColorSpace(gamma=exponent)
    return space


def _is_possible(space: ColorSpace) -> bool:
    """Return whether the white of a color space is valid, and its primaries can be mixed to white and other colors."""
    *_, white = space.primaries
    if min(white) <= 0 or sum(white) >= 1:
        return False
    try:
        matrix = space.to_xyz()
    except (ArithmeticError, np.linalg.LinAlgError):
        return False
    return bool(np.isfinite(matrix).all() and (matrix[1] > 0).all() and np.linalg.cond(matrix) < 1000)
