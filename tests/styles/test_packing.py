"""Kernels in 8 bits: small, near, and stored without loss once rounded."""

import numpy as np
import pytest

from stylekit.styles.packing import eight_bit, pack, unpack
from stylekit.styles.style_file import StyleFile, load_style_file, save_style_file


@pytest.fixture
def weights():
    random = np.random.default_rng(0)
    return {
        "first.weight": random.normal(size=(7, 5, 3, 3)).astype(np.float32)
        * np.geomspace(1e-6, 1e3, 7)[:, None, None, None],
        "first.bias": random.normal(size=7).astype(np.float32),
        "dead.weight": np.zeros((2, 2, 3, 3), np.float32),
        "half.weight": random.normal(size=(3, 2, 1, 1)).astype(np.float16),
    }


def test_rounded_kernels_differ_by_half_a_step_at_most(weights):
    for name, array in eight_bit(weights).items():
        assert array.dtype == np.float32
        if array.ndim == 4:
            step = np.abs(weights[name]).max(axis=(1, 2, 3), keepdims=True) / 127
            assert (np.abs(array - weights[name]) <= step * 0.502 + 1e-30).all()
        else:
            np.testing.assert_array_equal(array, weights[name])


def test_rounding_twice_changes_nothing(weights):
    once = eight_bit(weights)
    for name, array in eight_bit(once).items():
        np.testing.assert_array_equal(array, once[name])


def test_rounded_kernels_are_stored_in_8_bits_without_loss(weights):
    rounded = eight_bit(weights)
    packed = pack(rounded)
    assert packed["first.weight"].dtype == np.int8
    assert sum(array.nbytes for array in packed.values()) < 0.4 * sum(array.nbytes for array in rounded.values())
    unpacked = unpack(packed)
    assert unpacked.keys() == rounded.keys()
    for name, array in unpacked.items():
        np.testing.assert_array_equal(array, rounded[name], strict=True)


def test_other_kernels_are_stored_as_they_are(weights):
    packed = pack({"first.weight": weights["first.weight"].astype(np.float32), "half.weight": weights["half.weight"]})
    assert {name: array.dtype for name, array in packed.items()} == {
        "first.weight": np.float32,
        "half.weight": np.float16,
    }


def test_a_style_file_of_8_bits_loads_as_it_was(small_style, tmp_path):
    rounded = StyleFile(small_style.metadata, eight_bit(small_style.weights))
    save_style_file(small_style, tmp_path / "float.safetensors")
    save_style_file(rounded, tmp_path / "small.safetensors")
    assert (tmp_path / "small.safetensors").stat().st_size < (tmp_path / "float.safetensors").stat().st_size
    for name, array in load_style_file(tmp_path / "small.safetensors").weights.items():
        np.testing.assert_array_equal(array, rounded.weights[name])


@pytest.mark.parametrize(
    "stored",
    [
        {"a": np.ones((2, 1, 1, 1), np.int8)},
        {"a": np.ones((2, 1, 1, 1), np.int8), "a#scale": np.ones(3, np.float32)},
        {"a#scale": np.ones(3, np.float32)},
    ],
    ids=["no scale", "scale of another shape", "scale alone"],
)
def test_what_cannot_have_been_packed_stays_recognizably_wrong(stored):
    (name, array), *_ = unpack(stored).items()
    assert array.dtype == stored[name].dtype
