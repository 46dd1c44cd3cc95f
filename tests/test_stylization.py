"""What a style does to a photo beyond its network: size, blending, colours, transparency."""

import numpy as np
import pytest
from PIL import Image

import stylekit
from stylekit.engines.blended import BlendedEngine
from stylekit.errors import ConfigError, DeviceUnavailable, StyleNotFound
from stylekit.stylization import Style, load_style


class Inverting:
    """An engine whose painting is the photo's negative, leaving [0, 1] a little as networks do."""

    device = "cpu"

    def run(self, pictures):
        return (1 - pictures) * 1.1 - 0.05


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


def test_half_strength_lies_halfway(style, pixels):
    halfway = (negative(pixels) + pixels) / 2
    assert np.abs(style.stylize(pixels, strength=0.5) - halfway).max() <= 1


def test_kept_colours_are_the_photos_chroma_under_the_paintings_luma(style, make_photo):
    photo = Image.new("RGB", (8, 8), (140, 120, 110))  # far enough from black and white that nothing is clipped
    result = style.stylize(np.asarray(photo), keep_colors=True)
    ours = np.asarray(Image.fromarray(result).convert("YCbCr")).astype(int)
    painting = Image.fromarray(style.stylize(np.asarray(photo)))
    assert np.abs(ours[..., 1:] - np.asarray(photo.convert("YCbCr"))[..., 1:]).max() <= 1
    assert np.abs(ours[..., 0] - np.asarray(painting.convert("YCbCr"))[..., 0]).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (64, 48), (301, 7)])
def test_a_picture_comes_back_at_its_size(style_path, make_photo, size):
    picture = load_style(str(style_path), device="cpu")(make_photo(*size))
    assert (picture.size, picture.mode) == (size, "RGB")


def test_transparency_comes_back_untouched(style_path, make_photo):
    photo = make_photo(24, 16).convert("RGBA")
    alpha = Image.linear_gradient("L").resize(photo.size)
    photo.putalpha(alpha)
    picture = load_style(str(style_path))(photo)
    assert picture.mode == "RGBA"
    assert np.array_equal(np.asarray(picture)[..., 3], np.asarray(alpha))


def test_a_rotated_photo_comes_back_upright(style, make_photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    make_photo(20, 10).save(tmp_path / "rotated.jpg", exif=exif)
    assert style(Image.open(tmp_path / "rotated.jpg")).size == (10, 20)


def test_grey_and_palette_photos_come_back_in_colour(style_path, make_photo):
    loaded = load_style(str(style_path))
    for mode in ("L", "P", "1", "CMYK"):
        assert loaded(make_photo(12, 12).convert(mode)).mode == "RGB"


def test_a_style_says_what_it_is(style_path):
    style = stylekit.load_style(str(style_path), device="cpu", threads=1)
    assert (style.metadata.name, style.engine.device) == ("small", "cpu")


def test_a_style_that_is_missing_or_a_device_that_is_missing_is_an_error(style_path, monkeypatch):
    monkeypatch.setattr("stylekit.device.cuda_may_exist", lambda: False)
    with pytest.raises(StyleNotFound):
        load_style("no-such-style")
    with pytest.raises(DeviceUnavailable):
        load_style(str(style_path), device="cuda")


# --- Blends


class Flat:
    """An engine that paints one value everywhere."""

    device = "cpu"

    def __init__(self, value):
        self.value = value

    def run(self, pictures):
        return np.full_like(pictures, self.value)


@pytest.mark.parametrize(("shares", "value"), [([1, 1], 0.5), ([3, 1], 0.25), ([0, 2], 1), ([0.7, 0.3], 0.3)])
def test_a_blend_is_the_weighted_mean_of_what_its_networks_paint(shares, value):
    painted = BlendedEngine([Flat(0.0), Flat(1.0)], shares).run(np.zeros((2, 3, 4, 3), np.float32))
    np.testing.assert_allclose(painted, value, rtol=1e-6)
    assert painted.dtype == np.float32


def test_blended_styles_of_one_file_paint_as_it_does(style_path, tmp_path, make_photo):
    other = tmp_path / "other.safetensors"
    other.write_bytes(style_path.read_bytes())
    photo = make_photo()
    alone = np.asarray(load_style(str(style_path))(photo), int)
    mixed = np.asarray(stylekit.blend_styles({str(style_path): 2, str(other): 1})(photo), int)
    assert np.abs(alone - mixed).max() <= 1


@pytest.mark.parametrize("shares", [(0, 0), (-1, 2), (float("nan"), 1), (float("inf"), 1)])
def test_shares_that_make_no_sense_are_refused(style_path, shares):
    with pytest.raises(ConfigError, match="shares"):
        stylekit.blend_styles({str(style_path): shares[0], "starry-night": shares[1]})
