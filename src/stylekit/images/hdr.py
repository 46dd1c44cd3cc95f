"""Tone mapping of HDR images to sRGB."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylekit.images.color_spaces import HLG, ColorSpace, Values, linear_to_srgb
from stylekit.images.pixels import Floats, Pixels

Codes = NDArray[np.uint8] | NDArray[np.uint16]

WHITE = 203.0  # cd/m², of white paper in HDR (ITU-R BT.2408); becomes sRGB white if nothing is brighter
_PQ_PEAK = 10_000.0  # cd/m²
_HLG_PEAK, _HLG_GAMMA = 1000.0, 1.2  # of the reference display for HLG (ITU-R BT.2100)
_BRIGHT_SHARE = 0.001  # share of pixels that are ignored when the brightest luminance is measured
_BAND = 32  # rows at a time, which fit in the processor's cache
_STEPS = 4096  # entries of the table from linear light to sRGB
_GAIN_STEPS = 65536  # entries of the table from luminance to gain


def tone_map(pixels: Codes, space: ColorSpace, brightest: float | None = None) -> Pixels:
    """Convert an HDR image to sRGB.

    Luminance is kept up to a knee, and compressed above the knee by the curve in ITU-R BT.2390 (section 5.4.1). The
    curve depends on the brightest pixels, and is applied to the largest channel to keep hues.

    Args:
        pixels: Code values `(H, W, 3)`, in the full range of their type.
        space: The color space of the pixels.
        brightest: The luminance that becomes white, from `brightest_luminance`; None measures it in the image.
    """
    if brightest is None:
        brightest = brightest_luminance(pixels, space)
    table = _code_luminances(space.hdr, _levels(pixels))
    gains = _gains(max(brightest, WHITE))
    to_srgb = (np.linalg.solve(ColorSpace().to_xyz(), space.to_xyz()).T / WHITE).astype(np.float32)
    weights = (space.to_xyz()[1] / _HLG_PEAK).astype(np.float32)
    codes = _srgb_codes()
    result = np.empty(pixels.shape, np.uint8)
    for top in range(0, len(pixels), _BAND):
        band = pixels[top : top + _BAND]
        light = table[band.reshape(-1, 3)]
        if space.hdr == HLG:
            light *= (np.maximum(light @ weights, np.float32(1e-9)) ** np.float32(_HLG_GAMMA - 1))[:, None]
        peak = np.maximum(np.maximum(light[:, 0], light[:, 1]), light[:, 2])  # several times as fast as max(axis=1)
        light *= gains[_gain_index(peak)][:, None]
        linear = np.clip(light @ to_srgb, 0, 1)
        steps = np.rint(np.sqrt(linear, out=linear) * np.float32(_STEPS - 1)).astype(np.uint16)
        result[top : top + _BAND] = codes[steps].reshape(band.shape)
    return result


def brightest_luminance(pixels: Codes, space: ColorSpace) -> float:
    """Return the luminance of an HDR image's brightest pixels in cd/m², ignoring a small share of outliers.

    Args:
        pixels: Code values `(H, W, 3)`, in the full range of their type.
        space: The color space of the pixels.
    """
    counts = np.bincount(pixels.max(axis=2).ravel(), minlength=_levels(pixels))
    code = np.searchsorted(np.cumsum(counts), counts.sum() * (1 - _BRIGHT_SHARE))
    brightest = float(_code_luminances(space.hdr, _levels(pixels))[code])
    return brightest * (brightest / _HLG_PEAK) ** (_HLG_GAMMA - 1) if space.hdr == HLG else brightest


def _levels(pixels: Codes) -> int:
    return int(np.iinfo(pixels.dtype).max) + 1


@lru_cache(maxsize=4)
def _code_luminances(hdr: int | None, levels: int) -> Floats:
    """Return `_luminance` of each code value."""
    return _luminance(np.arange(levels) / (levels - 1), hdr).astype(np.float32)


@lru_cache(maxsize=4)
def _gains(brightest: float) -> Floats:
    """Return the factors that compress luminances, by `_gain_index`."""
    luminances = _PQ_PEAK * (np.arange(_GAIN_STEPS) / (_GAIN_STEPS - 1)) ** 2
    gains = np.ones(_GAIN_STEPS)
    np.divide(_compressed(luminances, brightest), luminances, out=gains, where=luminances > 0)
    return gains.astype(np.float32)


def _gain_index(luminances: Floats) -> NDArray[np.uint16]:
    roots = np.sqrt(luminances * np.float32(1 / _PQ_PEAK))
    result: NDArray[np.uint16] = np.rint(np.minimum(roots, 1) * np.float32(_GAIN_STEPS - 1)).astype(np.uint16)
    return result


@lru_cache(maxsize=1)
def _srgb_codes() -> Pixels:
    """Return the sRGB values of linear light, by its square root."""
    return np.rint(255 * linear_to_srgb(np.linspace(0, 1, _STEPS) ** 2)).astype(np.uint8)


def _luminance(codes: Values, hdr: int | None) -> Values:
    """Convert PQ values to luminance in cd/m², or HLG values to scene light on the same scale."""
    if hdr != HLG:
        return _pq_luminance(codes)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - c) / a) + b) / 12)
    return _HLG_PEAK * scene


def _pq_luminance(codes: Values) -> Values:
    """Convert PQ values (SMPTE ST 2084) to luminance in cd/m²."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    power = codes ** (1 / m2)
    result: Values = _PQ_PEAK * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    return result


def _pq_code(luminance: NDArray[Any] | float) -> Values:
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    power = np.power(np.asarray(luminance, np.float64) / _PQ_PEAK, m1)
    result: Values = ((c1 + c2 * power) / (1 + c3 * power)) ** m2
    return result


def _compressed(luminance: Values, brightest: float) -> Values:
    """Compress luminances so that the brightest becomes white."""
    scale = _pq_code(brightest)
    codes, white = np.minimum(_pq_code(luminance) / scale, 1), _pq_code(WHITE) / scale
    knee = 1.5 * white - 0.5
    if knee >= 1:
        return luminance
    t = (codes - knee) / (1 - knee)
    curve = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * white
    return _pq_luminance(np.where(codes < knee, codes, curve) * scale)
