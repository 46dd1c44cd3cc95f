"""Colors that are declared without an ICC profile: by code points, by PNG's gamma and chromaticities, by EXIF."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.ExifTags import IFD, Base

from stylekit.images.color_spaces import ColorSpace
from stylekit.images.hdr import tone_map
from stylekit.images.heif_boxes import declared_colors
from stylekit.images.reading import photo_from_image
from tests.image_material import (
    ADOBE_GAMMA,
    ADOBE_TO_XYZ,
    SRGB,
    adobe_rgb,
    exif_of,
    load,
    make_exif,
    need,
    png_chunk,
    save,
    srgb_of_xyz,
)

P3_TO_XYZ = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
BT2020_TO_SRGB = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
COLOR = np.array([200, 120, 60], np.uint8)
P3, BT2020, SRGB_CURVE, PQ, HLG = 12, 9, 13, 16, 18
HDR_NOTE = ("HDR tone-mapped to sRGB",)


def linear(values):
    values = np.asarray(values) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def encoded(values):
    values = np.clip(values, 0, 1)
    return 255 * np.where(values <= 0.0031308, 12.92 * values, 1.055 * values ** (1 / 2.4) - 0.055)


def pq_code(luminance):
    """Return the code value, from 0 to 255, of a luminance in cd/m² (SMPTE ST 2084)."""
    power = (np.asarray(luminance) / 10_000) ** (2610 / 16384)
    return 255 * ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def image_of(color):
    return np.tile(np.asarray(color, np.uint8), (32, 32, 1))


def png_with(written, image, name, data, **options):
    """Write a PNG with a chunk before its pixels."""
    path = written("a.png", image, **options)
    content = path.read_bytes()
    path.write_bytes(content[:33] + png_chunk(name, data) + content[33:])
    return path


def coded(written, suffix, color, primaries, transfer):
    """Write an image that declares its color space by code points."""
    if suffix == ".png":
        return png_with(written, image_of(color), b"cICP", bytes([primaries, transfer, 0, 1]))
    path = written(f"a{suffix}", image_of(color), quality=100)
    content = path.read_bytes()
    start = content.index(b"nclx") + 4
    path.write_bytes(content[:start] + struct.pack(">HH", primaries, transfer) + content[start + 4 :])
    return path


@pytest.mark.parametrize("suffix", [".png", ".avif", ".heic"])
def test_display_p3_by_code_points_becomes_srgb(suffix, written, tmp_path):
    need(suffix[1:])
    photo = load(coded(written, suffix, COLOR, P3, SRGB_CURVE))
    expected = srgb_of_xyz(P3_TO_XYZ @ linear(COLOR))
    assert abs(expected - COLOR).max() > 10
    assert photo.pixels[16, 16].tolist() == pytest.approx(expected, abs=4)
    assert photo.notes == ()
    profile = ImageCms.ImageCmsProfile(io.BytesIO(photo.metadata.icc_profile))
    assert "sRGB" in ImageCms.getProfileDescription(profile)


@pytest.mark.parametrize("suffix", [".png", ".avif", ".heic"])
def test_pq_becomes_srgb_with_a_note(suffix, written):
    need(suffix[1:])
    photo = load(coded(written, suffix, [round(pq_code(50))] * 3, BT2020, PQ))
    assert photo.notes == HDR_NOTE
    assert photo.pixels[16, 16].tolist() == pytest.approx([encoded(50 / 203)] * 3, abs=4)


def test_hlg_becomes_srgb_with_a_note(written):
    code = 255 * np.sqrt(3 * 0.05)  # of 5 % of the scene's light
    photo = load(coded(written, ".png", [round(code)] * 3, BT2020, HLG))
    assert photo.notes == HDR_NOTE
    assert photo.pixels[16, 16].tolist() == pytest.approx([encoded(1000 * 0.05**1.2 / 203)] * 3, abs=2)


def test_colors_of_hdr_keep_their_hue(written):
    light = np.array([90.0, 40, 20])
    photo = load(coded(written, ".png", np.rint(pq_code(light)), BT2020, PQ))
    assert photo.pixels[16, 16].tolist() == pytest.approx(encoded(BT2020_TO_SRGB @ light / 203), abs=4)


@pytest.mark.parametrize("brightest", [400, 1000, 4000])
def test_highlights_are_compressed_and_shadows_stay(brightest):
    luminances = np.geomspace(1, brightest, 100)
    pixels = np.rint(pq_code(luminances)).astype(np.uint8)[None, :, None].repeat(3, axis=2)
    result = tone_map(pixels, ColorSpace(hdr=PQ))[0, :, 0].astype(int)
    dark = luminances < 20
    assert np.abs(result - encoded(luminances / 203))[dark].max() <= 3
    assert (np.diff(result) >= 0).all()
    assert result[-1] >= 253
    paper = result[np.searchsorted(luminances, 203)]
    assert 190 < paper < 250  # darker than white, but bright


def test_a_wide_image_is_tone_mapped_alike_in_all_its_bands():
    column = np.rint(pq_code(np.linspace(1, 500, 300))).astype(np.uint8)[:, None, None].repeat(3, axis=2)
    whole = tone_map(column, ColorSpace(hdr=PQ))
    assert np.array_equal(whole[::-1], tone_map(column[::-1], ColorSpace(hdr=PQ)))


def test_gray_hdr_is_tone_mapped(written):
    path = png_with(written, np.full((4, 4), round(pq_code(50)), np.uint8), b"cICP", bytes([BT2020, PQ, 0, 1]))
    assert load(path).pixels[0, 0].tolist() == pytest.approx([encoded(50 / 203)] * 3, abs=2)


@pytest.mark.parametrize(
    ("primaries", "transfer", "notes"),
    [
        (1, 13, ()),
        (1, 1, ()),
        (2, 2, ()),
        (1, 2, ()),
        (2, 6, ()),
        (99, 13, ("unknown color primaries (code 99) treated as sRGB",)),
        (1, 9, ("unknown transfer function (code 9) treated as sRGB",)),
        (
            *(0, 0),
            ("unknown color primaries (code 0) treated as sRGB", "unknown transfer function (code 0) treated as sRGB"),
        ),
    ],
)
@pytest.mark.parametrize("suffix", [".png", ".avif"])
def test_srgb_and_unknown_code_points_change_nothing(suffix, primaries, transfer, notes, written):
    photo = load(coded(written, suffix, COLOR, primaries, transfer))
    assert photo.pixels[16, 16].tolist() == pytest.approx(COLOR, abs=0 if suffix == ".png" else 3)
    assert photo.metadata.icc_profile is None
    assert photo.notes == notes


def test_a_known_transfer_function_is_followed_beside_unknown_primaries(written):
    photo = load(coded(written, ".png", [round(pq_code(50))] * 3, 99, PQ))
    assert photo.notes == ("unknown color primaries (code 99) treated as sRGB", *HDR_NOTE)
    assert photo.pixels[16, 16].tolist() == pytest.approx([encoded(50 / 203)] * 3, abs=4)


NARROW_NOTE = "narrow-range (video) values expanded to full range"


@pytest.mark.parametrize("code_points", [(1, 13), (1, 1), (2, 2)])
def test_narrow_range_of_a_png_is_expanded(code_points, written):
    values = np.array([[[0, 16, 235], [255, 126, 60]]], np.uint8)
    photo = load(png_with(written, values, b"cICP", bytes([*code_points, 0, 0])))
    assert photo.pixels.tolist() == [[[0, 0, 255], [255, 128, 51]]]
    assert photo.notes == (NARROW_NOTE,)


def test_narrow_range_spares_alpha(written):
    photo = load(png_with(written, np.array([[[16, 235]]], np.uint8), b"cICP", bytes([1, 13, 0, 0])))
    assert photo.alpha is not None
    assert (photo.pixels.tolist(), photo.alpha.tolist()) == ([[[0, 0, 0]]], [[235]])


def test_narrow_range_is_expanded_before_colors_are_converted(written):
    narrow = np.rint(16 + pq_code(50) * 219 / 255)
    photo = load(png_with(written, image_of([narrow] * 3), b"cICP", bytes([BT2020, PQ, 0, 0])))
    assert photo.notes == (NARROW_NOTE, *HDR_NOTE)
    assert photo.pixels[16, 16].tolist() == pytest.approx([encoded(50 / 203)] * 3, abs=4)


@pytest.mark.parametrize("rest", [(1, 1), (0, 2)])
def test_an_invalid_chunk_of_code_points_is_ignored_with_a_note(rest, written):
    path = png_with(written, image_of(COLOR), b"cICP", bytes([BT2020, PQ, *rest]), icc_profile=SRGB)
    photo = load(path)
    assert photo.pixels[0, 0].tolist() == COLOR.tolist()
    assert photo.metadata.icc_profile == SRGB
    assert photo.notes == ("color space ignored: invalid cICP chunk",)


def test_a_profile_is_kept_beside_unspecified_code_points(written):
    path = png_with(written, image_of(COLOR), b"cICP", bytes([2, 2, 0, 1]), icc_profile=SRGB)
    assert load(path).metadata.icc_profile == SRGB


def test_code_points_of_a_png_precede_its_profile_and_those_of_avif_do_not(written):
    path = png_with(written, image_of(COLOR), b"cICP", bytes([1, 13, 0, 1]), icc_profile=adobe_rgb())
    assert load(path).pixels[0, 0].tolist() == COLOR.tolist()
    path = written("b.avif", image_of(COLOR), quality=100, icc_profile=SRGB)
    content = path.read_bytes().replace(b"nclx" + struct.pack(">HH", 1, 13), b"nclx" + struct.pack(">HH", P3, PQ))
    path.write_bytes(content)
    photo = load(path)
    assert photo.pixels[16, 16].tolist() == pytest.approx(COLOR, abs=3)
    assert photo.notes == ()


def test_a_damaged_avif_declares_nothing(written):
    path = coded(written, ".avif", COLOR, P3, SRGB_CURVE)
    content = path.read_bytes()
    place = content.index(b"ipma")
    for damaged in (content[:place], content[: place + 6], content.replace(b"ipma", b"xxxx"), content[:40], b""):
        assert declared_colors(io.BytesIO(damaged)) is None


# --- PNG's gAMA and cHRM


def chromaticities(*values):
    return struct.pack(">8I", *(round(100_000 * value) for value in values))


@pytest.mark.parametrize("gamma", [1.0, 0.55556, 0.35])
def test_gamma_of_a_png_is_followed(gamma, written):
    photo = load(png_with(written, image_of(COLOR), b"gAMA", struct.pack(">I", round(gamma * 100_000))))
    assert photo.pixels[0, 0].tolist() == pytest.approx(encoded((COLOR / 255) ** (1 / gamma)), abs=2)
    assert photo.metadata.icc_profile is not None


def test_chromaticities_of_a_png_are_followed(written):
    adobe = chromaticities(0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
    path = png_with(written, image_of(COLOR), b"cHRM", adobe)
    expected = srgb_of_xyz(ADOBE_TO_XYZ @ linear(COLOR))
    assert load(path).pixels[0, 0].tolist() == pytest.approx(expected, abs=2)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        (b"gAMA", struct.pack(">I", 45455)),
        (b"gAMA", struct.pack(">I", 0)),
        (b"gAMA", struct.pack(">I", 2**32 - 1)),
        (b"cHRM", chromaticities(0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)),
        (b"cHRM", bytes(32)),
        (b"cHRM", chromaticities(*[0.3, 0.3] * 4)),
        (b"cHRM", chromaticities(0.9, 0.9, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)),
    ],
)
def test_usual_and_impossible_values_of_a_png_change_nothing(name, data, written):
    photo = load(png_with(written, image_of(COLOR), name, data))
    assert photo.pixels[0, 0].tolist() == COLOR.tolist()
    assert photo.metadata.icc_profile is None


def test_a_png_that_says_srgb_is_srgb(written):
    path = png_with(written, image_of(COLOR), b"gAMA", struct.pack(">I", 100_000))
    content = path.read_bytes()
    path.write_bytes(content[:33] + png_chunk(b"sRGB", b"\0") + content[33:])
    assert load(path).pixels[0, 0].tolist() == COLOR.tolist()


# --- EXIF


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_adobe_rgb_by_exif_becomes_srgb(suffix, written, tmp_path):
    exif = make_exif(details={IFD.Interop: {1: "R03"}})
    options = {"quality": 100} if suffix in (".jpg", ".webp") else {}
    photo = load(written(f"a{suffix}", image_of(COLOR), exif=exif, **options))
    expected = srgb_of_xyz(ADOBE_TO_XYZ @ (COLOR / 255) ** ADOBE_GAMMA)
    assert photo.pixels[16, 16].tolist() == pytest.approx(expected, abs=3)
    save(photo, tmp_path / "b.png")
    _, details, _, interoperability = exif_of(tmp_path / "b.png")
    assert details[Base.ColorSpace] == 1
    assert interoperability == {1: "R98"}
    assert load(tmp_path / "b.png").pixels[16, 16].tolist() == photo.pixels[16, 16].tolist()


def test_exif_that_contradicts_itself_or_a_profile_is_not_followed(written):
    for exif, options in (
        (make_exif(details={IFD.Interop: {1: "R03"}, Base.ColorSpace: 1}), {}),
        (make_exif(details={IFD.Interop: {1: "R03"}}), {"icc_profile": SRGB}),
        (make_exif(details={IFD.Interop: {1: "R98"}}), {}),
    ):
        photo = load(written("a.png", image_of(COLOR), exif=exif, **options))
        assert photo.pixels[0, 0].tolist() == COLOR.tolist()


def test_an_image_that_a_program_has_opened_is_converted_too(written):
    path = png_with(written, image_of(COLOR), b"gAMA", struct.pack(">I", 100_000))
    with Image.open(path) as image:
        photo = photo_from_image(image)
    assert photo.pixels[0, 0].tolist() == pytest.approx(encoded(COLOR / 255), abs=2)
