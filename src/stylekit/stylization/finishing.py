"""What is done with the painted image at last: strength and colors."""

import numpy as np

from stylekit.images.pixels import Pixels, to_bytes

_BAND = 256  # rows finished at a time

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def finished(picture: Pixels, photo: Pixels, *, strength: float = 1.0, keep_colors: bool = False) -> Pixels:
    """Give a painted picture, in place, the photo's colours, or blend it with the photo, as far as asked for.

    Args:
        picture: `(H, W, 3)` RGB values.
        photo: likewise.
        strength: share of the painted picture, 0 to 1.
        keep_colors: whether the photo's chroma is kept under the painting's luma.
    """
    if keep_colors or strength < 1:
        for top in range(0, len(picture), _BAND):
            rows = slice(top, top + _BAND)
            change = picture[rows].astype(np.float32) - photo[rows]
            if keep_colors:  # the change of luma on all three channels leaves chroma as it was
                change = np.broadcast_to((change @ _LUMA)[..., None], change.shape)
            picture[rows] = to_bytes(photo[rows] + np.float32(strength) * change)
    return picture
