"""What a style does to a photo beyond its network: size, blending, colors, transparency, kinds of images."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import stylekit
from stylekit.config.look import Look
from stylekit.engines.blended import BlendedEngine
from stylekit.errors import ConfigError, DeviceUnavailable, ImageError, StyleNotFound
from stylekit.styles.style_file import StyleFile, save_style_file
from stylekit.stylization.style import Style, load_style
from tests.fake_engine import FakeEngine


class Inverting(FakeEngine):
    """An engine that paints the photo's negative, slightly beyond [0, 1] as networks do."""

    def run(self, images):
        return (1 - images) * 1.1 - 0.05


@pytest.fixture
def style(small_style):
    return Style(small_style.metadata, Inverting())


@pytest.fixture
def pixels(make_photo):
    return np.asarray(make_photo(20, 14))


def negative(pixels):
    return np.rint(((1 - pixels / 255) * 1.1 - 0.05).clip(0, 1) * 255)


def test_full_strength_is_the_painting_clipped(style, pixels):
    assert np.abs(style.stylize(pixels) - negative(pixels)).max() <= 1


def test_no_strength_is_the_photo(style, pixels):
    assert np.array_equal(style.stylize(pixels, strength=0), pixels)


def test_half_strength_is_halfway(style, pixels):
    halfway = (negative(pixels) + pixels) / 2
    assert np.abs(style.stylize(pixels, strength=0.5) - halfway).max() <= 1


def test_kept_colors_are_the_photos_chroma_with_the_paintings_luma(style, make_photo):
    photo = Image.new("RGB", (8, 8), (140, 120, 110))  # far enough from black and white that nothing is clipped
    result = style.stylize(np.asarray(photo), keep_colors=True)
    ours = np.asarray(Image.fromarray(result).convert("YCbCr")).astype(int)
    painting = Image.fromarray(style.stylize(np.asarray(photo)))
    assert np.abs(ours[..., 1:] - np.asarray(photo.convert("YCbCr"))[..., 1:]).max() <= 1
    assert np.abs(ours[..., 0] - np.asarray(painting.convert("YCbCr"))[..., 0]).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (64, 48), (301, 7)])
def test_an_image_keeps_its_size(style_path, make_photo, size):
    image = load_style(str(style_path), device="cpu")(make_photo(*size))
    assert (image.size, image.mode) == (size, "RGB")


def test_transparency_is_kept(style_path, make_photo):
    photo = make_photo(24, 16).convert("RGBA")
    alpha = Image.linear_gradient("L").resize(photo.size)
    photo.putalpha(alpha)
    image = load_style(str(style_path))(photo)
    assert image.mode == "RGBA"
    assert np.array_equal(np.asarray(image)[..., 3], np.asarray(alpha))


@pytest.mark.parametrize("kind", [str, Path, Image.open, lambda path: np.asarray(Image.open(path))])
def test_an_image_may_be_a_path_a_pillow_image_or_an_array(style, pixels, kind, tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    expected = style.stylize(pixels, strength=0.7)
    image = style(kind(path), strength=0.7)
    assert isinstance(image, Image.Image)
    np.testing.assert_array_equal(np.asarray(image), expected)
    np.testing.assert_array_equal(style.stylize(kind(path), strength=0.7), expected)


@pytest.mark.parametrize(("shape", "dtype"), [((8, 8), "uint8"), ((8, 8, 4), "uint8"), ((8, 8, 3), "float32")])
def test_an_array_of_another_kind_is_rejected(style, shape, dtype):
    with pytest.raises(ImageError, match=f"Invalid image array: {dtype} of shape"):
        style(np.zeros(shape, dtype))


def test_an_array_without_pixels_is_rejected(style):
    with pytest.raises(ImageError, match="no pixels"):
        style(np.zeros((0, 8, 3), np.uint8))


def test_a_file_that_is_not_an_image_is_rejected(style, tmp_path):
    with pytest.raises(ImageError, match=r"gone\.jpg does not exist"):
        style(str(tmp_path / "gone.jpg"))


def test_a_batch_of_photos_comes_out_as_one_by_one(style, pixels):
    photos = [pixels, pixels[::-1].copy()]
    for image, photo in zip(style.stylize_batch(photos, Look(strength=0.5)), photos, strict=True):
        np.testing.assert_array_equal(image, style.stylize(photo, strength=0.5))


def test_a_rotated_photo_is_turned_upright(style, make_photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    make_photo(20, 10).save(tmp_path / "rotated.jpg", exif=exif)
    assert style(Image.open(tmp_path / "rotated.jpg")).size == (10, 20)


def test_gray_and_palette_photos_become_rgb(style_path, make_photo):
    loaded = load_style(str(style_path))
    for mode in ("L", "P", "1", "CMYK"):
        assert loaded(make_photo(12, 12).convert(mode)).mode == "RGB"


def test_a_style_says_what_it_is(style_path):
    style = stylekit.load_style(str(style_path), device="cpu", threads=1)
    assert (style.metadata.name, style.engine.facts.device) == ("small", "cpu")
    assert repr(style) == "<Style 'small': network fast, onnxruntime on cpu>"


def test_a_style_that_is_missing_or_a_device_that_is_missing_is_an_error(style_path, monkeypatch):
    monkeypatch.setattr("stylekit.system.devices.cuda_may_exist", lambda: False)
    with pytest.raises(StyleNotFound):
        load_style("no-such-style")
    with pytest.raises(DeviceUnavailable):
        load_style(str(style_path), device="cuda")


# --- Blends


class Flat(FakeEngine):
    """An engine that paints one value everywhere."""

    def __init__(self, value):
        self.value = value

    def run(self, images):
        return np.full_like(images, self.value)


@pytest.mark.parametrize(("shares", "value"), [([1, 1], 0.5), ([3, 1], 0.25), ([0, 2], 1), ([0.7, 0.3], 0.3)])
def test_a_blend_is_the_weighted_mean_of_what_its_networks_paint(shares, value):
    painted = BlendedEngine([Flat(0.0), Flat(1.0)], shares).run(np.zeros((2, 3, 4, 3), np.float32))
    np.testing.assert_allclose(painted, value, rtol=1e-6)
    assert painted.dtype == np.float32


@pytest.fixture
def two_styles(small_style, tmp_path):
    """The files of two styles that paint differently."""
    bright = {**small_style.weights, "out.bias": small_style.weights["out.bias"] + 2}
    paths = {"dark": small_style.weights, "bright": bright}
    for name, weights in paths.items():
        metadata = dataclasses.replace(small_style.metadata, name=name, artist=name.title(), licence="MIT")
        save_style_file(StyleFile(metadata, weights), tmp_path / f"{name}.safetensors")
    return [str(tmp_path / f"{name}.safetensors") for name in paths]


def test_blended_styles_paint_in_their_shares(two_styles, make_photo):
    photo = make_photo()
    dark, bright = (np.asarray(load_style(path)(photo), float) for path in two_styles)
    style = stylekit.blend_styles(dict(zip(two_styles, (3, 1), strict=True)))
    assert np.abs(np.asarray(style(photo)) - (0.75 * dark + 0.25 * bright)).max() <= 1.5
    assert np.abs(dark - bright).mean() > 20


def test_a_blend_names_all_that_went_into_it(two_styles):
    about = stylekit.blend_styles(dict.fromkeys(two_styles, 1)).metadata
    assert (about.name, about.artist, about.licence) == ("dark-bright", "Dark and Bright", "MIT")
    assert about.trained_with == {}


@pytest.mark.parametrize("values", [{"stroke_size": 0}, {"stroke_size": -1}, {"strength": 3}])
def test_settings_out_of_range_are_rejected(style, values):
    with pytest.raises(ConfigError, match=r"^--(strength|stroke-size) must be .*between"):
        style(Image.new("RGB", (8, 8)), **values)


def test_a_batch_of_blends_needs_a_share_for_each_style(two_styles, tmp_path, make_photo):
    make_photo().save(tmp_path / "lion.png")
    with pytest.raises(ConfigError, match="2 styles needs 2 shares"):
        stylekit.apply_styles([tmp_path / "lion.png"], None, two_styles, blend=[1.0])


@pytest.mark.parametrize("shares", [(0, 0), (-1, 2), (float("nan"), 1), (float("inf"), 1), (1e308, 1e308)])
def test_invalid_shares_are_rejected(style_path, shares):
    with pytest.raises(ConfigError, match="shares"):
        stylekit.blend_styles({str(style_path): shares[0], "starry-night": shares[1]})
