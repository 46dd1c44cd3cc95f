"""Color profiles, modes and transparency."""

import io
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.ExifTags import IFD, Base

from stylekit.images.formats import FORMATS
from stylekit.images.photo import Photo
from stylekit.images.reading import photo_from_image
from tests.image_material import (
    ADOBE_GAMMA,
    ADOBE_TO_XYZ,
    D50,
    SRGB,
    adobe_rgb,
    dull_inks,
    exif_of,
    gamma_tag,
    load,
    make_exif,
    make_profile,
    png_of,
    save,
    srgb_of_lab,
    srgb_of_xyz,
)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_wide_gamut_becomes_srgb_as_colorimetry_says_and_is_tagged_so(suffix, written, tmp_path):
    color = np.array([200, 120, 60], np.uint8)
    options = {} if suffix in (".png", ".tif") else {"quality": 100}
    exif = make_exif(details={IFD.Interop: {1: "R03"}})
    path = written(f"a{suffix}", np.tile(color, (32, 32, 1)), icc_profile=adobe_rgb(), exif=exif, **options)
    expected = srgb_of_xyz(ADOBE_TO_XYZ @ (color / 255) ** ADOBE_GAMMA)
    assert abs(expected - color).max() > 10  # or the test would prove nothing
    photo = load(path)
    assert photo.pixels[16, 16].tolist() == pytest.approx(expected, abs=3)
    assert photo.notes == ()
    target = tmp_path / f"b{suffix}"
    save(photo, target)
    with Image.open(target) as image:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    assert "sRGB" in ImageCms.getProfileDescription(profile)
    _, details, _, interoperability = exif_of(target)
    assert details[Base.ColorSpace] == 1
    assert interoperability == {1: "R98"}
    again = load(target)
    assert again.metadata.icc_profile == photo.metadata.icc_profile
    assert again.pixels[16, 16].tolist() == pytest.approx(expected, abs=4)


def test_colors_that_srgb_lacks_end_at_its_border(written):
    path = written("a.png", np.full((4, 4, 3), (0, 255, 0), np.uint8), icc_profile=adobe_rgb())
    assert tuple(load(path).pixels[0, 0]) == (0, 255, 0)  # Adobe's green is far outside


def test_srgb_profile_is_kept_as_it_is_and_changes_nothing(pixels, written, tmp_path):
    photo = load(written("a.png", pixels, icc_profile=SRGB, exif=make_exif()))
    assert np.array_equal(photo.pixels, pixels)
    assert photo.metadata.icc_profile == SRGB
    save(photo, tmp_path / "b.png")
    assert exif_of(tmp_path / "b.png")[1][Base.ColorSpace] == 65535  # not ours to correct


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff", "avif"])
def test_no_profile_gives_no_profile(format, pixels, tmp_path):
    path = tmp_path / f"a{FORMATS[format].suffix}"
    save(Photo(pixels), path)
    with Image.open(path) as image:
        assert not image.info.get("icc_profile")


def test_gray_profile_is_converted(written):
    linear = make_profile(b"GRAY", b"mntr", {b"kTRC": gamma_tag(1.0)})
    photo = load(written("a.png", np.full((4, 4), 55, np.uint8), icc_profile=linear))
    assert photo.pixels[0, 0].tolist() == pytest.approx(srgb_of_xyz(D50 * 55 / 255), abs=2)
    profile = ImageCms.ImageCmsProfile(io.BytesIO(photo.metadata.icc_profile))
    assert "sRGB" in ImageCms.getProfileDescription(profile)


def test_gray_picture_with_an_rgb_profile_is_converted(written):
    photo = load(written("a.png", np.full((4, 4), 100, np.uint8), icc_profile=adobe_rgb()))
    assert photo.pixels[0, 0].tolist() == pytest.approx(srgb_of_xyz(D50 * (100 / 255) ** ADOBE_GAMMA), abs=2)


def test_cmyk_jpeg_is_read_without_a_profile(written):
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    photo = load(written("a.jpg", image, quality=95))
    assert photo.pixels[8, 8].tolist() == pytest.approx((0, 255, 255), abs=6)
    assert photo.metadata.icc_profile is None


def test_cmyk_jpeg_is_converted_by_its_profile(written):
    photo = load(written("a.jpg", Image.new("CMYK", (16, 16), (255, 0, 0, 0)), quality=95, icc_profile=dull_inks()))
    assert photo.notes == ()
    assert photo.pixels[8, 8].tolist() == pytest.approx(srgb_of_lab(55, -37, -50), abs=6)
    assert photo.metadata.icc_profile != dull_inks()


def test_black_of_a_paler_medium_becomes_black(written):
    profile = dull_inks(b"scnr")  # of a printer, its black would be sought by the way back, which ours has not
    photo = load(written("a.jpg", Image.new("CMYK", (16, 16), (255,) * 4), quality=100, icc_profile=profile))
    assert srgb_of_lab(5, 0, 0).min() > 14  # what it would be without black-point compensation
    assert photo.pixels.max() <= 6


def test_cmyk_with_an_rgb_profile_is_read_without_it(written):
    photo = load(written("a.jpg", Image.new("CMYK", (16, 16), (255, 0, 0, 0)), quality=95, icc_profile=SRGB))
    assert photo.pixels[8, 8].tolist() == pytest.approx((0, 255, 255), abs=6)
    assert photo.metadata.icc_profile is None
    assert photo.notes == ("color profile ignored: corrupt, or for another color mode",)


@pytest.mark.parametrize("profile", [b"garbage", SRGB[:200], SRGB[:128] + b"\xff" * 300, dull_inks()])
def test_unusable_profile_is_ignored_with_a_note(profile, pixels, written):
    photo = load(written("a.png", pixels, icc_profile=profile))
    assert np.array_equal(photo.pixels, pixels)
    assert photo.metadata.icc_profile is None
    assert photo.notes == ("color profile ignored: corrupt, or for another color mode",)


def test_equal_photos_give_equal_files(written, pixels, tmp_path):
    path = written("a.png", pixels, icc_profile=adobe_rgb())
    code = (
        "import sys, pathlib, stylekit.images.reading as r, stylekit.images.writing as w\n"
        "w.save_photo(r.load_photo(pathlib.Path(sys.argv[1]), max_pixels=10**6), pathlib.Path(sys.argv[2]),"
        " format='png', quality=90)"
    )
    subprocess.run([sys.executable, "-c", code, path, tmp_path / "b.png"], check=True)
    save(load(path), tmp_path / "c.png")
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "c.png").read_bytes()


def gray_photo(image):
    photo = photo_from_image(image)
    assert photo.pixels.shape == (*image.size[::-1], 3)
    assert (photo.pixels == photo.pixels[..., :1]).all()
    return photo


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_gray_is_scaled_not_clipped(suffix, written):
    values = np.array([[0, 257, 128 * 257, 65535]], np.uint16)
    photo = load(written(f"a{suffix}", values))
    assert photo.pixels[0, :, 0].tolist() == [0, 1, 128, 255]


def test_16_bit_gray_of_the_other_byte_order_is_scaled():
    image = Image.frombytes("I;16B", (2, 1), struct.pack(">HH", 257, 65535))
    assert gray_photo(image).pixels[0, :, 0].tolist() == [1, 255]


def test_16_bit_gray_that_is_transparent_at_one_value_is_so(written):
    image = Image.fromarray(np.array([[1000, 1001]], np.uint16))
    photo = load(written("a.png", image, transparency=1000))
    assert photo.alpha.tolist() == [[0, 255]]


def test_16_bit_rgb_png_keeps_its_upper_bytes(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png_of(2, 16, struct.pack(">B6H", 0, 0, 0x80FF, 0xFFFF, 0x1234, 0, 0x0100), (2, 1)))
    assert load(path).pixels.tolist() == [[[0, 0x80, 0xFF], [0x12, 0, 1]]]


def test_32_bit_integers_are_scaled():
    assert gray_photo(Image.fromarray(np.array([[0, 65535]], np.int32))).pixels[0, :, 0].tolist() == [0, 255]
    assert gray_photo(Image.fromarray(np.array([[0, 2**20]], np.int32))).pixels[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBX", "CMYK", "YCbCr", "HSV", "LAB", "P"])
def test_opaque_modes_become_rgb(mode, pixels):
    image = Image.fromarray(pixels).convert(mode if mode != "LAB" else "RGB")
    if mode == "LAB":
        transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
        converted = ImageCms.applyTransform(image, transform)
        assert converted is not None
        image = converted
    photo = photo_from_image(image)
    assert photo.alpha is None
    assert photo.pixels.shape == (16, 24, 3)
    expected = np.asarray(image.convert("RGB") if mode in ("1", "L", "P") else Image.fromarray(pixels)).astype(int)
    assert np.abs(photo.pixels - expected).mean() < (5 if mode in ("HSV", "LAB", "YCbCr") else 0.01)


@pytest.mark.parametrize("mode", ["LA", "La", "PA", "RGBA", "RGBa"])
def test_modes_with_transparency_keep_it_untouched(mode, pixels):
    alpha = np.linspace(0, 255, 16 * 24).reshape(16, 24).astype(np.uint8)
    image = Image.fromarray(pixels)
    image.putalpha(Image.fromarray(alpha))
    if mode == "PA":
        image = image.convert("RGB").convert("P").convert("PA")
        image.putalpha(Image.fromarray(alpha))
    elif mode == "La":
        image = image.convert("LA").convert("La")
    else:
        image = image.convert(mode)
    photo = photo_from_image(image)
    assert photo.alpha is not None
    assert np.array_equal(photo.alpha, alpha)
    opaque = alpha > 200
    shown = (
        image.convert("RGB") if mode == "PA" else Image.fromarray(pixels).convert("L" if "L" in mode.upper() else "RGB")
    )
    expected = np.asarray(shown.convert("RGB")).astype(int)
    assert np.abs(photo.pixels - expected)[opaque].max() <= 2


@pytest.mark.parametrize("name", ["a.png", "a.gif"])
def test_palette_with_a_transparent_entry_gives_transparency(name, written):
    image = Image.new("P", (4, 2), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((0, 0), 0)
    photo = load(written(name, image, transparency=0))
    assert photo.alpha.tolist() == [[0, 255, 255, 255], [255] * 4]
    assert (photo.pixels == (0, 0, 255)).all()  # the red of the transparent pixel is gone


def test_transparent_color_of_a_gray_png_gives_transparency(written):
    photo = load(written("a.png", np.array([[10, 20]], np.uint8), transparency=10))
    assert photo.alpha.tolist() == [[0, 255]]


def test_hidden_colors_do_not_bleed_and_visible_ones_are_untouched(pixels):
    alpha = np.zeros((16, 24), np.uint8)
    alpha[4:12, 6:18] = 255
    alpha[4:12, 6] = 64  # an edge
    alpha[0, 0] = 5  # all but invisible
    dirty = np.where(alpha[..., None] > 5, pixels, np.array([255, 0, 255], np.uint8))
    photo = photo_from_image(Image.fromarray(np.dstack([dirty, alpha])))
    assert photo.alpha is not None
    assert np.array_equal(photo.alpha, alpha)
    assert np.array_equal(photo.pixels[alpha > 5], pixels[alpha > 5])
    visible = pixels[alpha > 5]
    hidden = photo.pixels[alpha <= 5]
    assert (hidden >= visible.min(axis=0) - 2).all()
    assert (hidden <= visible.max(axis=0) + 2).all()


def test_hidden_colors_continue_smoothly(make_photo):
    image = make_photo(64, 48)
    alpha = Image.new("L", image.size, 0)
    alpha.paste(255, (16, 12, 48, 36))
    image.putalpha(alpha)
    filled = photo_from_image(image).pixels.astype(int)
    steps = np.abs(np.diff(filled[:, :14], axis=1)).max()
    assert steps <= 12
    assert np.abs(filled[12:36, 15] - filled[12:36, 16]).mean() < 12


def test_a_wholly_transparent_image_is_mid_gray(pixels):
    photo = photo_from_image(Image.fromarray(np.dstack([pixels, np.zeros((16, 24), np.uint8)])))
    assert (photo.pixels == 128).all()
    assert photo.alpha is not None
    assert (photo.alpha == 0).all()


def test_opaque_transparency_is_kept_and_changes_nothing(pixels):
    photo = photo_from_image(Image.fromarray(np.dstack([pixels, np.full((16, 24), 255, np.uint8)])))
    assert np.array_equal(photo.pixels, pixels)
    assert photo.alpha is not None
    assert (photo.alpha == 255).all()


def test_reduction_does_not_mix_hidden_colors_in():
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[..., 1] = 255  # invisible green
    pixels[16:48, 16:48] = (255, 0, 0, 255)
    photo = photo_from_image(Image.fromarray(pixels), max_size=16)
    assert photo.pixels[..., 1].max() <= 2
