"""Results that do not flicker: where the scene is still, the previous result is kept.

Each frame is compared with a reference made from the previous frames and warped to follow the motion of the scene.
Where both agree within the noise, the previous result, warped likewise, is blended into the new one; where they differ,
for example behind a moving edge, only the new result is used. After a cut, nothing is kept. The reference is blended
like the results, so that changes that are too slow to be seen from one frame to the next add up and are detected.

This needs no second network and no later frames. (Ruder et al. 2016, section 3, weight warped results by the
consistency of the flow in an optimization; here the frames themselves show where the flow is right.)
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from stylekit.images.pixels import Floats, Pixels
from stylekit.video.motion import estimate_flow, warp

_SIDE = 320  # px, longer side at which frames are compared
_LEAST_NOISE = 1.5  # of 255, mean difference between frames of one scene
_ALIKE, _DIFFERENT = 2.0, 5.0  # times the noise
_INFLUENCE = 4  # px at that size: about how far a change affects the strokes around it
_HALF_STROKE = 2  # px at that size
_HALF_TRUST = 40.0  # of 255, difference over the width of a stroke at which half of the previous result is kept
_CUT = 0.6  # share of the frame that has changed


@dataclass(frozen=True)
class Change:
    """How a frame differs from the previous ones.

    Attributes:
        shifts: How the scene has moved; see `motion.estimate_flow`.
        keep: `(h, w)`, how much of the previous result goes into the new one, 0 to 255; 0 everywhere after a cut.
        reference: `(h, w, 3)` RGB, the image with which to compare the next frame.
    """

    shifts: Floats
    keep: Pixels
    reference: Pixels

    @property
    def is_cut(self) -> bool:
        """Whether nothing of the previous result is kept."""
        return not self.keep.any()


def compare_frame(frame: Pixels, reference: Pixels | None, steady: float) -> Change:
    """Compare a frame with the previous ones.

    Args:
        frame: `(H, W, 3)` RGB.
        reference: `Change.reference` as returned for the previous frame; None for the first frame.
        steady: The largest share of the previous result to keep, 0 to 1.
    """
    small = _reduced(frame)
    if reference is None or reference.shape != small.shape:
        return Change(np.zeros((1, 1, 2), np.float32), np.zeros(small.shape[:2], np.uint8), small)
    shifts = estimate_flow(reference, small)
    old = warp(reference, shifts)
    keep = _keep(old, small, steady)
    return Change(shifts, keep, _blended(old, small, keep))


def keep_still_parts(image: Pixels, previous: Pixels | None, change: Change) -> Pixels:
    """Return a result in which the parts that have not changed are taken from the previous result.

    Args:
        image: The stylized frame; `(H, W, 3)` RGB.
        previous: The previous result, of the same size; None for the first frame.
        change: How the frame differs from the previous ones.
    """
    if previous is None or change.is_cut:
        return image
    old = warp(previous, change.shifts)
    return _blended(old, image, (change.keep * _trust(old, image)).astype(np.uint8))


def _trust(old: Pixels, new: Pixels) -> Floats:
    """Return how much of the previous result may stay where the new one differs, 0 to 1.

    Nearly all of it may stay where strokes only flicker, and little where the network paints different strokes.
    """
    smooth = [
        np.asarray(Image.fromarray(_reduced(image)).filter(ImageFilter.BoxBlur(_HALF_STROKE)), np.float32)
        for image in (old, new)
    ]
    difference = np.abs(smooth[0] - smooth[1]).max(axis=-1)
    result: Floats = 1 / (1 + (difference / np.float32(_HALF_TRUST)) ** 2)
    return result


def _reduced(image: Pixels) -> Pixels:
    height, width = image.shape[:2]
    scale = max(1, max(height, width) / _SIDE)
    size = max(1, round(width / scale)), max(1, round(height / scale))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))


def _keep(old: Pixels, new: Pixels, steady: float) -> Pixels:
    """Return how much of the previous image to keep; see `Change.keep`."""
    eighths = (8 * np.abs(new.astype(np.int16) - old).max(axis=-1)).clip(0, 255).astype(np.uint8)
    difference = np.asarray(Image.fromarray(eighths).filter(ImageFilter.BoxBlur(1)), np.float32) / 8
    noise = max(_LEAST_NOISE, float(np.median(difference)))
    alike = (_DIFFERENT - difference / noise) / (_DIFFERENT - _ALIKE)
    if np.mean(alike < 0) > _CUT or noise > 8:
        return np.zeros(difference.shape, np.uint8)
    least = _least_around((alike.clip(0, 1) * (255 * steady)).astype(np.uint8))
    return np.asarray(Image.fromarray(least).filter(ImageFilter.BoxBlur(_INFLUENCE // 2)))


def _least_around(values: Pixels) -> Pixels:
    """Return the minimum within `_INFLUENCE` of each pixel, much faster than Pillow's filter."""
    padded = np.pad(values, _INFLUENCE, mode="edge")
    height, width = values.shape
    rows = np.minimum.reduce([padded[top : top + height] for top in range(2 * _INFLUENCE + 1)])
    least: Pixels = np.minimum.reduce([rows[:, left : left + width] for left in range(2 * _INFLUENCE + 1)])
    return least


def _blended(old: Pixels, new: Pixels, keep: Pixels) -> Pixels:
    mask = Image.fromarray(keep)
    image = Image.fromarray(new)
    if mask.size != image.size:
        mask = mask.resize(image.size, Image.Resampling.BILINEAR)
    return np.asarray(Image.composite(Image.fromarray(old), image, mask))
