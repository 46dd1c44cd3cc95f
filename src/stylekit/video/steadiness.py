"""Pictures of a video that do not boil: where the scene is still the same, the last result stays.

Each photo is compared with what is remembered of those before, once that has been moved as the scene has. Where they
agree to within the noise, the last result, moved likewise, goes into the new one; where they do not, as behind a moving
edge, nothing of it does; and after a cut all begins anew. What is remembered of the photos is blended as the results
are, so that a change too slow to be noticed from one photo to the next is noticed all the same.

This costs no second network and looks at nothing to come. (Ruder et al. 2016, section 3, weigh warped results by
consistency of the flow in an optimisation; here the photos themselves say where the flow is right.)
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from stylekit.images.pixels import Pixels
from stylekit.video.motion import Floats, flow, moved

_SIDE = 320  # px, longer side at which photos are compared
_LEAST_NOISE = 1.5  # of 255, mean difference of photos of one scene
_ALIKE, _DIFFERENT = 2.0, 5.0  # times the noise
_REACH = 4  # px at that size: about as far as a changed spot changes the strokes around it
_STROKE = 2  # px at that size, half of its width
_ANOTHER = 40.0  # of 255, difference over a stroke's width at which half is let go
_CUT = 0.6  # share of the photo that has changed


@dataclass(frozen=True)
class Change:
    """How one photo of a video follows the one before.

    Attributes:
        shifts: how the scene has moved; see `motion.flow`.
        kept: `(h, w)`, how much of the last result goes into the new one, from 0 to 255; zero everywhere after a cut.
        seen: what is remembered of the photos, at the size at which they are compared.
    """

    shifts: Floats
    kept: Pixels
    seen: Pixels

    @property
    def is_cut(self) -> bool:
        """Whether nothing of the last result is kept."""
        return not self.kept.any()


def watched(photo: Pixels, seen: Pixels | None, steady: float) -> Change:
    """Compare a photo with what is remembered of those before.

    Args:
        photo: `(H, W, 3)` RGB values.
        seen: of the last change; None at the beginning.
        steady: how much of the last result may stay, 0 to 1.
    """
    small = _small(photo)
    if seen is None or seen.shape != small.shape:
        return Change(np.zeros((1, 1, 2), np.float32), np.zeros(small.shape[:2], np.uint8), small)
    shifts = flow(seen, small)
    old = moved(seen, shifts)
    kept = _kept(old, small, steady)
    return Change(shifts, kept, _blended(old, small, kept))


def steadied(picture: Pixels, last: Pixels | None, change: Change) -> Pixels:
    """Let what has not changed stay as it was painted.

    Args:
        picture: the photo, painted; `(H, W, 3)` RGB values.
        last: the last result, of the same size; None at the beginning.
        change: how the photo follows the one before.
    """
    if last is None or change.is_cut:
        return picture
    old = moved(last, change.shifts)
    return _blended(old, picture, (change.kept * _trust(old, picture)).astype(np.uint8))


def _trust(old: Pixels, new: Pixels) -> Floats:
    """Tell how much of the last result may stay where the new one differs, 0 to 1: all of what is but boiling, little
    of what has become another stroke."""
    smooth = [
        np.asarray(Image.fromarray(_small(picture)).filter(ImageFilter.BoxBlur(_STROKE)), np.float32)
        for picture in (old, new)
    ]
    difference = np.abs(smooth[0] - smooth[1]).max(axis=-1)
    result: Floats = 1 / (1 + (difference / np.float32(_ANOTHER)) ** 2)
    return result


def _small(photo: Pixels) -> Pixels:
    height, width = photo.shape[:2]
    scale = max(1, max(height, width) / _SIDE)
    size = max(1, round(width / scale)), max(1, round(height / scale))
    return np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.BOX))


def _kept(old: Pixels, new: Pixels, steady: float) -> Pixels:
    """Tell how much of the old may stay; see `Change`."""
    eighths = (8 * np.abs(new.astype(np.int16) - old).max(axis=-1)).clip(0, 255).astype(np.uint8)
    difference = np.asarray(Image.fromarray(eighths).filter(ImageFilter.BoxBlur(1)), np.float32) / 8
    noise = max(_LEAST_NOISE, float(np.median(difference)))
    alike = (_DIFFERENT - difference / noise) / (_DIFFERENT - _ALIKE)
    if np.mean(alike < 0) > _CUT or noise > 8:
        return np.zeros(difference.shape, np.uint8)
    least = _least_around((alike.clip(0, 1) * (255 * steady)).astype(np.uint8))
    return np.asarray(Image.fromarray(least).filter(ImageFilter.BoxBlur(_REACH // 2)))


def _least_around(values: Pixels) -> Pixels:
    """Return the least value in reach of each; Pillow's filter takes many times as long."""
    padded = np.pad(values, _REACH, mode="edge")
    height, width = values.shape
    rows = np.minimum.reduce([padded[top : top + height] for top in range(2 * _REACH + 1)])
    least: Pixels = np.minimum.reduce([rows[:, left : left + width] for left in range(2 * _REACH + 1)])
    return least


def _blended(old: Pixels, new: Pixels, kept: Pixels) -> Pixels:
    mask = Image.fromarray(kept)
    image = Image.fromarray(new)
    if mask.size != image.size:
        mask = mask.resize(image.size, Image.Resampling.BILINEAR)
    return np.asarray(Image.composite(Image.fromarray(old), image, mask))
