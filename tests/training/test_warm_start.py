"""The bundled style that a training starts from."""

import numpy as np
import pytest

from stylekit import load_style
from stylekit.images.pixels import to_floats
from stylekit.styles.locations import bundled_styles_dir
from stylekit.training.warm_start import nearest_style

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def photos(make_photo):
    crops = [np.asarray(make_photo(96, 96, seed), np.float32).transpose(2, 0, 1) / 255 for seed in (1, 2)]
    return np.stack(crops)


@pytest.mark.parametrize("name", ["starry-night", "red-chalk", "tableau"])
def test_the_style_that_made_an_image_is_the_nearest_to_it(make_photo, photos, name):
    painted = load_style(name)(make_photo(96, 96, seed=3))
    compared = []
    nearest = nearest_style(
        to_floats(np.asarray(painted)), photos, "fast", lambda number, of: compared.append((number, of))
    )
    assert compared == [(number, len(compared)) for number in range(len(compared))]
    assert len(compared) > 1
    assert nearest is not None
    assert nearest.file == bundled_styles_dir() / f"{name}.safetensors"


def test_a_network_without_bundled_styles_has_none(photos):
    assert nearest_style(np.zeros((64, 64, 3), np.float32), photos, "johnson") is None
