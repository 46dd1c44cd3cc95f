"""Large photos are stylized at a reduced size, then brought back to full size with their fine edges."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image

from stylekit.stylization import strokes
from stylekit.stylization.strokes import reduced, restored, stroke_scale


def photo(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    ("height", "width", "scale"),
    [(700, 900, 1), (1399, 4000, 1), (1400, 1400, 1.4), (4000, 3000, 3), (3000, 4000, 3), (1, 1, 1)],
)
def test_auto_fits_strokes_to_a_shorter_side_of_a_thousand_pixels_and_never_enlarges(height, width, scale):
    assert stroke_scale(None, width, height) == pytest.approx(scale)


@pytest.mark.parametrize("stroke_size", [1, 0.5, 2.5])
def test_a_given_stroke_size_is_the_scale(stroke_size):
    assert stroke_scale(stroke_size, 30, 20) == stroke_size


@pytest.mark.parametrize(("scale", "size"), [(2, (10, 15, 3)), (3, (7, 10, 3)), (0.5, (40, 60, 3)), (100, (1, 1, 3))])
def test_reducing_divides_both_sides(scale, size):
    assert reduced(photo(20, 30), scale).shape == size


def edge(height=120, width=120, dark=50, bright=200):
    """An edge that three-pixel cells cannot hold."""
    pixels = np.full((height, width, 3), dark, np.uint8)
    pixels[:, width // 2 + 1 :] = bright
    return pixels


def test_a_painting_that_changed_nothing_returns_the_photos_edges():
    pixels = edge(301, 603)  # more than one band of rows
    small = reduced(pixels, 3)
    assert np.abs(restored(small, small, pixels).astype(int) - pixels).max() <= 8
    blurred = np.asarray(Image.fromarray(small).resize((603, 301), Image.Resampling.BICUBIC), int)
    assert np.abs(blurred - pixels).max() > 30


def large_images(height=1500, width=700, scale=1.1):
    pixels = np.repeat(np.repeat(photo(height // 20, width // 20), 20, 0), 20, 1)
    small = reduced(pixels, scale)
    return np.roll(small, 3, 1) // 2 + np.uint8(40), small, pixels


@pytest.mark.parametrize("scale", [0.7, 1.1, 3.3])
def test_contrast_compared_in_bands_of_rows_is_that_of_all_rows_at_once(monkeypatch, scale):
    painted, small, _ = large_images(scale=scale)
    banded = strokes._kept_contrast(painted, small)
    monkeypatch.setattr(strokes, "_BAND", 10**6)
    np.testing.assert_array_equal(banded, strokes._kept_contrast(painted, small))
    assert banded.max() - banded.min() > 150


@pytest.mark.parametrize("scale", [1.1, 3.3])
def test_bands_of_rows_match_all_rows_at_once_to_within_rounding(monkeypatch, scale):
    images = large_images(scale=scale)
    banded = restored(*images).astype(int)
    monkeypatch.setattr(strokes, "_BAND", 10**6)
    difference = np.abs(banded - restored(*images))  # Pillow rounds where bands begin to float32
    assert (difference.max(), (difference > 0).mean() < 1e-4) == (1, True)


def test_floats_are_held_for_a_band_of_rows_only():
    images = large_images(height=4000, width=1000)
    tracemalloc.start()
    restored(*images)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * images[2][..., 0].size  # the result takes three bytes a pixel, one plane of floats four


def test_a_change_is_enlarged_while_edges_stay_in_place():
    pixels = edge(dark=60, bright=160)
    small = reduced(pixels, 3)
    result = restored(small + np.uint8(40), small, pixels).astype(int)
    assert np.abs(result - pixels - 40).max() <= 6


def test_contrast_is_kept_in_its_place_though_sides_are_not_multiples_of_blocks():
    pixels = edge(height=9 * 101, width=9 * 101)
    small = reduced(pixels, 9)
    painted = small.copy()
    painted[:, 92:] = 128  # painted over from there on
    pixels[:, 9 * 96 :: 2] = 0
    result = restored(painted, small, pixels)[:, 9 * 98 :]
    assert np.abs(result.astype(int) - 128).max() <= 3


@pytest.mark.parametrize("painted", ["flat", "inverted"])
def test_an_edge_that_was_painted_over_does_not_return(painted):
    pixels = edge()
    small = reduced(pixels, 3)
    image = np.full_like(small, 128) if painted == "flat" else 255 - small
    enlarged = np.asarray(Image.fromarray(image).resize((120, 120), Image.Resampling.BICUBIC), int)
    assert np.abs(restored(image, small, pixels) - enlarged).max() <= 3


def test_the_photos_grain_does_not_return_on_flat_paint():
    random = np.random.default_rng(0)
    pixels = random.normal(128, 12, (240, 240, 3)).clip(0, 255).astype(np.uint8)
    small = reduced(pixels, 3)
    assert restored(np.full_like(small, 90), small, pixels).std() < 1


def test_values_beyond_the_range_are_clipped():
    pixels = photo(64, 64)
    small = reduced(pixels, 2)
    assert restored(np.full_like(small, 255), small, pixels).dtype == np.uint8
    bright = restored(np.full_like(small, 255), np.zeros_like(small), np.full_like(pixels, 255))
    assert (bright == 255).all()


def test_a_style_reduces_a_large_photo(small_style, monkeypatch):
    from stylekit.stylization.style import Style

    style = Style.from_file(small_style, device="cpu")
    seen = []
    run = style.engine.run
    monkeypatch.setattr(style.engine, "run", lambda images: seen.append(images.shape) or run(images))
    large = Image.fromarray(photo(1500, 1600))
    assert style(large).size == (1600, 1500)
    assert style(large, stroke_size=10).size == (1600, 1500)
    assert style(Image.fromarray(photo(40, 30)), stroke_size=0.5).size == (30, 40)
    assert seen == [(1, 1000, 1067, 3), (1, 150, 160, 3), (1, 80, 60, 3)]


def test_stroke_size_one_is_the_raw_network(small_style):
    from stylekit.stylization.style import Style

    style = Style.from_file(small_style, device="cpu")
    pixels = photo(1400, 1400)
    raw = np.rint(style.engine.run(np.divide(pixels, 255, dtype=np.float32)[None])[0].clip(0, 1) * 255)
    np.testing.assert_array_equal(style.stylize(pixels, stroke_size=1), raw.astype(np.uint8))
    assert np.abs(style.stylize(pixels).astype(int) - raw).mean() > 1
