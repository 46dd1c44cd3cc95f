"""The last step of stylization: strength and original colors."""

import numpy as np

from stylekit.images.pixels import Pixels, round_to_bytes

_BAND = 256  # rows at a time, to save memory

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def finish(image: Pixels, photo: Pixels, *, strength: float = 1.0, keep_colors: bool = False) -> Pixels:
    """Blend a stylized image with its photo, or give it the photo's colors, in place.

    Args:
        image: The stylized image, `(H, W, 3)` RGB; it is changed and returned.
        photo: The photo, `(H, W, 3)` RGB.
        strength: Share of the stylized image, 0 to 1.
        keep_colors: Whether to combine the photo's chroma with the stylized luma.
    """
    if keep_colors or strength < 1:
        for top in range(0, len(image), _BAND):
            rows = slice(top, top + _BAND)
            change = image[rows].astype(np.float32) - photo[rows]
            if keep_colors:  # the same change in all three channels leaves chroma as it is
                change = np.broadcast_to((change @ _LUMA)[..., None], change.shape)
            image[rows] = round_to_bytes(photo[rows] + np.float32(strength) * change)
    return image
