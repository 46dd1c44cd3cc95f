"""Tone mapping of HDR images to sRGB."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylekit.images.color_spaces import HLG, ColorSpace, Values, linear_to_srgb
from stylekit.images.pixels import Pixels

WHITE = 203.0  # cd/m², of paper in HDR (ITU-R BT.2408); it becomes sRGB's white where nothing is brighter
_PQ_PEAK = 10_000.0  # cd/m²
_HLG_PEAK, _HLG_GAMMA = 1000.0, 1.2  # of the display that HLG is seen on (ITU-R BT.2100)
_BRIGHT_SHARE = 0.001  # of the pixels, which may be brighter than what counts as the brightest
_BAND = 128  # rows at a time, to bound memory
_STEPS = 4096  # of linear light, in the table of sRGB's code values


def tone_map(pixels: Pixels, space: ColorSpace) -> Pixels:
    """Return an HDR image in sRGB.

    Luminance up to a knee stays, above it is compressed by the curve of ITU-R BT.2390 (section 5.4.1), which is applied
    to the largest channel, so that hues stay. The curve depends on the image's brightest pixels.

    Args:
        pixels: Code values `(H, W, 3)`.
        space: Their color space.
    """
    table = _luminance(np.arange(256) / 255, space)
    counts = np.bincount(pixels.max(axis=2).ravel(), minlength=256)
    brightest = float(table[np.searchsorted(np.cumsum(counts), counts.sum() * (1 - _BRIGHT_SHARE))])
    if space.hdr == HLG:
        brightest *= (brightest / _HLG_PEAK) ** (_HLG_GAMMA - 1)
    luminances = _pq_luminance(np.linspace(0, 1, _STEPS))
    gains = np.ones(_STEPS)
    np.divide(_compressed(luminances, max(brightest, WHITE)), luminances, out=gains, where=luminances > 0)
    to_srgb = np.linalg.solve(ColorSpace().to_xyz(), space.to_xyz()) / WHITE
    weights = space.to_xyz()[1]
    codes = np.rint(255 * linear_to_srgb(np.linspace(0, 1, _STEPS) ** 2)).astype(np.uint8)
    result = np.empty_like(pixels)
    for top in range(0, len(pixels), _BAND):
        light = table[pixels[top : top + _BAND]]
        if space.hdr == HLG:
            relative = (light @ weights) / _HLG_PEAK
            light = light * (np.maximum(relative, 1e-9) ** (_HLG_GAMMA - 1))[..., None]
        gain = np.interp(light.max(axis=2), luminances, gains)
        linear = (light * gain[..., None]) @ to_srgb.T
        result[top : top + _BAND] = codes[np.rint(np.sqrt(linear.clip(0, 1)) * (_STEPS - 1)).astype(np.intp)]
    return result


def _luminance(codes: Values, space: ColorSpace) -> Values:
    """Return code values as luminance in cd/m²; of HLG, as light of the scene, on the same scale."""
    if space.hdr != HLG:
        return _pq_luminance(codes)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - c) / a) + b) / 12)
    return _HLG_PEAK * scene


def _pq_luminance(codes: Values) -> Values:
    """Return code values of PQ (SMPTE ST 2084) as luminance in cd/m²."""
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
    """Return luminances compressed so that the brightest one becomes white."""
    scale = _pq_code(brightest)
    codes, white = np.minimum(_pq_code(luminance) / scale, 1), _pq_code(WHITE) / scale
    knee = 1.5 * white - 0.5
    if knee >= 1:
        return luminance
    t = (codes - knee) / (1 - knee)
    curve = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * white
    return _pq_luminance(np.where(codes < knee, codes, curve) * scale)
