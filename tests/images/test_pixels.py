"""Values and sizes of pixels."""

import numpy as np
import pytest

from stylekit.images.pixels import reduced_size, round_to_bytes, to_bytes, to_floats


def test_bytes_survive_the_way_to_floats_and_back():
    pixels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    floats = to_floats(pixels)
    assert floats.dtype == np.float32
    assert (floats.min(), floats.max()) == (0, 1)
    np.testing.assert_array_equal(to_bytes(floats), pixels)
    planes = np.ascontiguousarray(floats.transpose(2, 0, 1)).transpose(1, 2, 0)  # as networks return them
    np.testing.assert_array_equal(to_bytes(planes), pixels)


def test_values_are_rounded_and_clipped():
    assert round_to_bytes(np.array([-3.0, 0.4, 0.6, 254.6, 300])).tolist() == [0, 0, 1, 255, 255]
    assert to_bytes(np.array([[[-0.1, 0.5, 1.1]]], np.float32)).tolist() == [[[0, 128, 255]]]


@pytest.mark.parametrize(
    ("size", "max_size", "reduced"),
    [((40, 30), None, (40, 30)), ((40, 30), 40, (40, 30)), ((40, 30), 20, (20, 15)), ((1000, 1), 10, (10, 1))],
)
def test_a_reduced_size_keeps_its_shape_and_a_pixel(size, max_size, reduced):
    assert reduced_size(size, max_size) == reduced
