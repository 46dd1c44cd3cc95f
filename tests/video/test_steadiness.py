"""The flow of known motion, and results that stay where nothing has changed and nowhere else."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from stylekit.video.motion import estimate_flow, warp
from stylekit.video.steadiness import _least_around, compare_frame, keep_still_parts
from tests.video_material import photo

SIZE = (192, 128)


def scene(right=0.0, down=0.0, zoom=1.0, size=SIZE):
    """A cloudy image, seen from further to the right and down, or nearer."""
    random = np.random.default_rng(0)
    image = Image.fromarray(random.integers(0, 256, (24, 36, 3), dtype=np.uint8))
    image = image.resize((size[0] * 2, size[1] * 2), Image.Resampling.BICUBIC)
    matrix = (zoom, 0, size[0] / 2 + right, 0, zoom, size[1] / 2 + down)
    return np.asarray(image.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC))


@pytest.mark.parametrize("size", [(64, 48), (7, 3), (1, 1)])
def test_the_least_value_around_is_that_of_a_filter(size):
    values = Image.fromarray(np.random.default_rng(0).integers(0, 256, size[::-1], dtype=np.uint8))
    np.testing.assert_array_equal(_least_around(np.asarray(values)), values.filter(ImageFilter.MinFilter(9)))


def test_nothing_moves_between_equal_images():
    assert not estimate_flow(scene(), scene()).any()
    assert warp(scene(), estimate_flow(scene(), scene())) is not None


@pytest.mark.parametrize(("right", "down"), [(3, 0), (0, -2.5), (9.3, 4.1)])
def test_a_pan_is_found_everywhere(right, down):
    found = estimate_flow(scene(), scene(right, down)) * SIZE
    inner = found[2:-2, 2:-2]
    assert np.abs(inner - (right, down)).mean() < 0.2
    assert np.abs(inner - (right, down)).max() < 1


def test_a_zoom_is_found():
    found = estimate_flow(scene(), scene(zoom=0.97)) * SIZE
    columns = (np.arange(found.shape[1]) + 0.5) * SIZE[0] / found.shape[1]
    assert np.abs(found[4:-4, 3:-3, 0] - (0.97 - 1) * columns[3:-3]).max() < 0.5


def test_a_warped_image_looks_like_the_new_one():
    found = warp(scene(), estimate_flow(scene(), scene(4.5, 2)))
    error = np.abs(found[12:-12, 12:-12].astype(int) - scene(4.5, 2)[12:-12, 12:-12])
    assert error.mean() < 2


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (17, 9)])
def test_tiny_images_can_be_compared_too(size):
    previous, image = photo(0, size), photo(1, size)
    change = change_between(previous, image, 0.9)
    assert keep_still_parts(image, previous, change).shape == image.shape


def change_between(before, after, steady=1.0):
    return compare_frame(after, compare_frame(before, None, steady).reference, steady)


def test_in_a_still_scene_the_previous_result_stays():
    previous, new = np.full_like(scene(), 100), np.full_like(scene(), 110)
    assert (keep_still_parts(new, previous, change_between(scene(), scene())) <= 102).all()
    half = keep_still_parts(new, previous, change_between(scene(), scene(), 0.5))
    assert np.abs(half - 105.0).max() < 1.5


def test_at_the_start_and_after_a_cut_nothing_stays():
    previous, new = np.zeros_like(scene()), np.full_like(scene(), 255)
    assert compare_frame(scene(), None, 1.0).is_cut
    change = change_between(scene(), 255 - scene(60, 50))
    assert change.is_cut
    assert (keep_still_parts(new, previous, change) == 255).all()
    assert (change.reference == 255 - scene(60, 50)).all()


def test_nothing_is_left_behind_a_moving_edge():
    """What was covered is painted afresh, and far from it the previous result stays."""
    before, after = scene().copy(), scene().copy()
    before[40:80, 30:60] = after[40:80, 60:90] = (250, 30, 30)
    keep = change_between(before, after).keep
    assert keep[40:80, 30:60].max() == 0
    assert keep[100:, 130:].min() == 255


def test_another_stroke_is_not_held_back():
    """Where the network paints something quite different, the new result is used although the frame is the same."""
    previous, new = np.full_like(scene(), 40), np.full_like(scene(), 200)
    assert keep_still_parts(new, previous, change_between(scene(), scene(), 0.9)).min() > 180


def test_a_change_too_slow_to_see_is_followed():
    previous, reference = np.zeros_like(scene()), None
    for brightness in range(0, 60, 2):
        image = np.full_like(scene(), 80 + brightness)
        change = compare_frame(image, reference, 0.9)
        reference, previous = change.reference, keep_still_parts(image, previous, change)
    assert np.abs(previous.astype(int) - image).max() <= 12
