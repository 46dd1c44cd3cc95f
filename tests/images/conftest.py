"""A small image, and a maker of files."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def pixels():
    """A smooth image of 24 × 16 pixels whose corners all differ."""
    rows, columns = np.mgrid[0:16, 0:24]
    return np.stack([columns * 10, rows * 15, 255 - columns * 5 - rows * 5], axis=-1).astype(np.uint8)


@pytest.fixture
def written(tmp_path):
    """A maker of files: `written("a.png", image, **options)` saves by Pillow and returns the path."""

    def write(name, image, format=None, **options):
        image = image if isinstance(image, Image.Image) else Image.fromarray(image)
        image.save(tmp_path / name, format, **options)
        return tmp_path / name

    return write
