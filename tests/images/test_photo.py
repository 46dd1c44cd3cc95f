"""Pictures of every kind in and out; each test's file is real and has the awkward property."""

import dataclasses
import io
import random
import struct
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.ExifTags import IFD, Base

from stylekit.errors import ConfigError, ImageError
from stylekit.images.formats import FORMATS, READABLE_SUFFIXES, format_of_suffix, output_format, output_suffix
from stylekit.images.photo import Metadata, Photo, photo_to_image
from stylekit.images.reading import load_photo, photo_from_image
from stylekit.images.writing import save_photo

LOSSLESS = ("png", "tiff", "bmp")
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF tiff:Orientation="6">bridge</rdf:RDF></x:xmpmeta>'


def load(path, **options):
    return load_photo(path, **{"max_pixels": 10**7, **options})


def save(photo, path, format=None, quality=95, **options):
    return save_photo(photo, path, format=format or format_of_suffix(path.suffix), quality=quality, **options)


def need(format):
    """Skip the test where the format's extra is absent; otherwise make Pillow know it."""
    if format == "heic":
        pytest.importorskip("pillow_heif", reason="the extra for HEIC is not installed").register_heif_opener()


@pytest.fixture
def pixels():
    """A smooth picture of 24 × 16 in which no two corners are alike."""
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


# --- EXIF for the tests, made by hand, in either byte order, with a thumbnail


def make_exif(orientation=1, order="<", thumbnail=b"", details=None):
    """Return EXIF of a camera: make, artist beyond ASCII, exposure, size, GPS, colour space, interoperability."""
    exif = Image.Exif()
    exif.endian = order
    exif[Base.Make] = "Pentacon"
    exif[Base.Artist] = "Änne".encode()
    exif[Base.Orientation] = orientation
    exif[IFD.Exif] = {
        Base.ExposureTime: (1, 125),
        Base.ExposureBiasValue: (-1, 3),
        Base.ExifVersion: b"0232",
        Base.UserComment: b"ASCII\0\0\0by the sea",
        Base.ColorSpace: 65535,
        Base.ExifImageWidth: 4000,
        Base.ExifImageHeight: 3000,
        IFD.Interop: {1: "R03"},
        **(details or {}),
    }
    exif[IFD.GPSInfo] = {1: "N", 2: (52.0, 30.0, 15.5)}
    block = exif.tobytes()
    if not thumbnail:
        return block
    head = 6
    count = struct.unpack_from(f"{order}H", block, head + 8)[0]
    next_pointer = head + 8 + 2 + 12 * count
    second = len(block) - head
    directory = struct.pack(f"{order}HHHIIHHIII", 2, 0x201, 4, 1, second + 30, 0x202, 4, 1, len(thumbnail), 0)
    return block[:next_pointer] + struct.pack(f"{order}I", second) + block[next_pointer + 4 :] + directory + thumbnail


def exif_of(path):
    with Image.open(path) as image:
        exif = image.getexif()
        details = exif.get_ifd(IFD.Exif)
        return exif, details, exif.get_ifd(IFD.GPSInfo), exif.get_ifd(IFD.Interop) if details else {}


# --- Colour profiles for the tests, made by hand

SRGB_TO_XYZ = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
ADOBE_TO_XYZ = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
ADOBE_GAMMA = 563 / 256
D50 = np.array([0.9642, 1.0, 0.8249])


def make_profile(space, device_class, tags, connection=b"XYZ "):
    """Return an ICC profile of version 2 with the tags given as bytes."""
    tags = {b"wtpt": xyz_tag(D50), b"cprt": b"text\0\0\0\0none\0", b"desc": text_tag(b"test"), **tags}
    table, data = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += struct.pack(">4sII", name, 128 + 4 + 12 * len(tags) + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    head = struct.pack(
        ">I4sI4s4s4s", 128 + len(table) + len(data), bytes(4), 0x02400000, device_class, space, connection
    )
    head += struct.pack(">6H4s", 2020, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    head += struct.pack(">3i", *(round(v * 65536) for v in D50))
    return head + bytes(128 - len(head)) + table + data


def xyz_tag(values):
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))


def text_tag(text):
    return b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + bytes(79)


def gamma_tag(gamma):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def adobe_rgb():
    primaries = {
        name: xyz_tag(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), ADOBE_TO_XYZ.T, strict=True)
    }
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma_tag(ADOBE_GAMMA))
    return make_profile(b"RGB ", b"mntr", primaries | curves)


def dull_inks(device_class=b"prtr"):
    """A CMYK profile whose inks mix towards a dark grey in CIELAB, cyan being (55, -37, -50)."""
    white, inks = np.array([100.0, 0, 0]), np.array([[-45, -37, -50], [-50, 70, -5], [-10, -5, 90], [-80, 0, 0]])
    corners = [white + np.array(list(np.binary_repr(i, 4)), float) @ inks for i in range(16)]
    corners = [(lightness, a, b) if lightness > 5 else (5, 0, 0) for lightness, a, b in corners]
    grid = [(lightness * 2.55, a + 128, b + 128) for lightness, a, b in corners]
    table = (
        b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + struct.pack(">9i", *(65536 * v for v in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    )
    table += bytes(range(256)) * 4 + np.clip(np.rint(grid), 0, 255).astype(np.uint8).tobytes() + bytes(range(256)) * 3
    return make_profile(b"CMYK", device_class, {b"A2B0": table, b"A2B1": table}, connection=b"Lab ")


def srgb_of_xyz(xyz):
    linear = (np.linalg.inv(SRGB_TO_XYZ) @ xyz).clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def srgb_of_lab(lightness, a, b):
    y = (lightness + 16) / 116
    f = np.array([y + a / 500, y, y - b / 200])
    return srgb_of_xyz(D50 * np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)))


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


# --- Formats and suffixes


@pytest.mark.parametrize(
    ("name", "format", "suffix"),
    [
        ("a.jpg", "jpeg", ".jpg"),
        ("a.JPEG", "jpeg", ".jpeg"),
        ("a.jfif", "jpeg", ".jfif"),
        ("a.tif", "tiff", ".tif"),
        ("a.TIFF", "tiff", ".tiff"),
        ("a.webp", "webp", ".webp"),
        ("a.avif", "avif", ".avif"),
        ("a.gif", "png", ".png"),
        ("a.HEIC", "jpeg", ".jpg"),
        ("a.heif", "jpeg", ".jpg"),
        ("a", "jpeg", ".jpg"),
    ],
)
def test_result_takes_the_format_and_suffix_of_its_input_if_it_can(name, format, suffix):
    assert output_format(Path(name)) == format
    assert output_suffix(Path(name), None) == suffix


def test_suffix_follows_another_format_that_was_asked_for():
    assert output_suffix(Path("a.JPEG"), "png") == ".png"
    assert output_suffix(Path("a.gif"), "tiff") == ".tif"
    assert output_suffix(Path("a.HEIC"), "heic") == ".heic"


def test_suffix_stands_for_a_format_that_can_be_written_or_for_an_error_naming_those():
    assert {format_of_suffix(suffix) for suffix in READABLE_SUFFIXES - {".gif"}} == set(FORMATS)
    assert format_of_suffix(".JPG") == "jpeg"
    with pytest.raises(ConfigError, match=r"'\.gif'") as caught:
        format_of_suffix(".gif")
    assert ".png" in caught.value.hint


def test_importing_the_module_is_light():
    heavy = ["torch", "PIL.ImageCms", "PIL.TiffImagePlugin", "pillow_heif"]
    code = f"import sys, stylekit.images.photo; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


# --- Round trips


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_comes_back(format, pixels, tmp_path):
    need(format)
    path = tmp_path / f"a{FORMATS[format].suffix}"
    assert save(Photo(pixels), path) == ()
    photo = load(path)
    assert photo.pixels.dtype == np.uint8
    assert photo.alpha is None
    assert photo.notes == ()
    assert dataclasses.replace(photo.metadata, dpi=None) == Metadata()
    assert photo.metadata.dpi is None or format == "bmp"  # Pillow writes 96 there
    with Image.open(path) as image:
        assert image.format == FORMATS[format].pillow
    error = np.abs(photo.pixels.astype(int) - pixels).max()
    assert error == 0 if format in LOSSLESS else error <= 24


@pytest.mark.parametrize("format", [name for name, output in FORMATS.items() if output.holds_alpha])
def test_transparency_comes_back_from_every_format_that_holds_it(format, pixels, tmp_path):
    need(format)
    alpha = np.linspace(0, 255, 16 * 24).reshape(16, 24).astype(np.uint8)
    path = tmp_path / f"a{FORMATS[format].suffix}"
    assert save(Photo(pixels, alpha), path, quality=100) == ()
    error = np.abs(load(path).alpha.astype(int) - alpha).max()
    assert error == 0 if format in LOSSLESS else error <= 3


@pytest.mark.parametrize("format", ["jpeg", "bmp"])
def test_transparency_is_laid_on_white_where_the_format_has_none(format, tmp_path):
    photo = Photo(np.full((8, 8, 3), 100, np.uint8), np.full((8, 8), 128, np.uint8))
    path = tmp_path / f"a{FORMATS[format].suffix}"
    assert save(photo, path) == (f"transparency laid on white: {format.upper()} has none",)
    with Image.open(path) as image:
        assert image.mode == "RGB"
        assert image.getpixel((4, 4)) == pytest.approx((177, 177, 177), abs=2)


@pytest.mark.parametrize("size", [(1, 1), (7, 2001), (2001, 7)])
@pytest.mark.parametrize("format", LOSSLESS)
def test_odd_sizes_come_back(size, format, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    path = tmp_path / f"a{FORMATS[format].suffix}"
    save(Photo(pixels), path)
    assert np.array_equal(load(path).pixels, pixels)


def test_jpeg_has_full_colour_resolution(pixels, tmp_path):
    save(Photo(pixels), tmp_path / "a.jpg", quality=90)
    with Image.open(tmp_path / "a.jpg") as image:
        assert [component[1:3] for component in image.layer] == [(1, 1)] * 3


def test_noise_at_the_highest_quality_is_written_as_jpeg(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (600, 800, 3), dtype=np.uint8)
    save(Photo(noise), tmp_path / "a.jpg", quality=100)
    assert np.abs(load(tmp_path / "a.jpg").pixels.astype(int) - noise).mean() < 2


def test_tiff_is_compressed(pixels, tmp_path):
    big = np.tile(pixels, (10, 10, 1))
    save(Photo(big), tmp_path / "a.tif")
    assert (tmp_path / "a.tif").stat().st_size < big.size / 4


def test_decoder_is_chosen_by_content(pixels, written):
    assert np.array_equal(load(written("a.jpg", pixels, "PNG")).pixels, pixels)


# --- Orientation


STORED = {  # how an upright picture lies in a file of each orientation (EXIF 2.3, tag 274)
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("orientation", STORED)
def test_every_orientation_is_turned_upright(orientation, suffix, order, pixels, written):
    stored = np.ascontiguousarray(STORED[orientation](pixels))
    path = written(f"a{suffix}", stored, exif=make_exif(orientation, order))
    photo = load(path)
    assert np.array_equal(photo.pixels, pixels)
    assert photo.notes == ()
    save(photo, path)
    assert np.array_equal(load(path).pixels, pixels)
    assert exif_of(path)[0].get(Base.Orientation, 1) == 1


def test_transparency_and_reduction_are_turned_too(pixels, written):
    alpha = (pixels[..., 0] // 2 + 100).astype(np.uint8)
    stored = np.rot90(np.dstack([pixels, alpha]), 1)
    path = written("a.png", np.ascontiguousarray(stored), exif=make_exif(6))
    assert np.array_equal(load(path).alpha, alpha)
    small = load(path, max_size=12)
    assert small.pixels.shape == (8, 12, 3)
    assert small.alpha.shape == (8, 12)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_orientation_is_reset_in_xmp_and_followed_where_exif_is_silent(suffix, pixels, written):
    stored = np.ascontiguousarray(STORED[6](np.tile(pixels, (4, 4, 1))))
    options = {"quality": 95} if suffix == ".avif" else {}
    if suffix == ".png":
        path = written("a.png", stored, pnginfo=png_text("XML:com.adobe.xmp", XMP.decode()))
    elif suffix == ".tif":
        path = written("a.tif", stored, tiffinfo={Base.XMLPacket.value: XMP})
    else:
        path = written(f"a{suffix}", stored, xmp=XMP, **options)
    photo = load(path)
    assert photo.pixels.shape == (64, 96, 3)
    assert b"bridge" in photo.metadata.xmp
    assert b'Orientation="6"' not in photo.metadata.xmp
    save(photo, path)
    again = load(path)
    assert again.metadata.xmp == photo.metadata.xmp
    assert again.pixels.shape == (64, 96, 3)


def png_text(key, text):
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt(key, text)
    return info


# --- EXIF and other metadata


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff", "avif", "heic"])
def test_exif_is_kept_but_for_orientation_thumbnail_and_size(format, order, pixels, written, tmp_path):
    need(format)
    source = written("a.jpg", np.tile(pixels, (4, 4, 1)), exif=make_exif(6, order, thumbnail=b"\xff\xd8SECRET\xff\xd9"))
    assert b"SECRET" in source.read_bytes()
    assert exif_of(source)[0].get_ifd(IFD.IFD1)
    target = tmp_path / f"b{FORMATS[format].suffix}"
    assert save(load(source, max_size=48), target) == ()

    assert b"SECRET" not in target.read_bytes()
    exif, details, gps, interoperability = exif_of(target)
    assert not exif.get_ifd(IFD.IFD1)
    assert exif.get(Base.Orientation, 1) == 1
    assert exif[Base.Make] == "Pentacon"
    assert exif[Base.Artist].encode("latin-1").decode() == "Änne"  # its bytes are UTF-8, as cameras write them
    before = dict(exif_of(source)[1])
    size = {Base.ExifImageWidth: 32, Base.ExifImageHeight: 48}
    assert {**details, IFD.Interop: 0} == {**before, **size, IFD.Interop: 0}
    assert gps == {1: "N", 2: (52.0, 30.0, 15.5)}
    assert interoperability == {1: "R03"}


def test_exif_passes_twice_without_a_change(written, pixels, tmp_path):
    first = load(written("a.jpg", pixels, exif=make_exif(1, ">")))
    save(first, tmp_path / "b.tif")
    second = load(tmp_path / "b.tif")
    save(second, tmp_path / "c.jpg")
    third = load(tmp_path / "c.jpg")
    assert first.metadata.exif
    assert second.metadata.exif == third.metadata.exif


def test_layout_and_layers_of_a_tiff_do_not_pass_for_exif(pixels, written, tmp_path):
    layers = {37724: b"SECRET LAYERS" * 10, Base.Software.value: "Painter", Base.Copyright.value: "me"}
    source = written("a.tif", pixels, tiffinfo=layers)
    save(load(source), tmp_path / "b.jpg")
    exif = exif_of(tmp_path / "b.jpg")[0]
    assert exif[Base.Software] == "Painter"
    assert Base.ImageWidth not in exif
    assert Base.StripOffsets not in exif
    assert b"SECRET" not in (tmp_path / "b.jpg").read_bytes()


def test_exif_states_the_size_of_what_is_written(pixels, written, tmp_path):
    photo = load(written("a.jpg", pixels, exif=make_exif()))
    larger = dataclasses.replace(photo, pixels=np.zeros((50, 60, 3), np.uint8))
    save(larger, tmp_path / "b.jpg")
    details = exif_of(tmp_path / "b.jpg")[1]
    assert (details[Base.ExifImageWidth], details[Base.ExifImageHeight]) == (60, 50)


@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0" + b"\xff" * 60,
        b"Exif\0\0II*\0\xff\xff\xff\x7f",
        b"Exif\0\0MM\0*\0\0\0\x08",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", IFD.Exif, 4, 1, 2**31),
    ],
)
def test_damaged_exif_is_left_out_with_a_note(block, pixels, written):
    photo = load(written("a.png", pixels, exif=block))
    assert np.array_equal(photo.pixels, pixels)
    assert photo.metadata.exif is None
    assert photo.notes == ("EXIF left out: damaged",)


def test_damaged_values_cost_only_themselves(pixels, written):
    entries = [
        (Base.Make, 2, 4, b"abc\0"),
        (Base.Model, 2, 99, struct.pack("<I", 2**30)),
        (Base.Software, 77, 1, bytes(4)),
    ]
    entries += [(Base.Artist, 2, 2**31, bytes(4))]
    block = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 40) + b"".join(struct.pack("<HHI4s", *e) for e in entries)
    photo = load(written("a.png", pixels, exif=block))
    exif = Image.Exif()
    exif.load(photo.metadata.exif)
    assert dict(exif) == {Base.Make: "abc"}


def test_directory_that_contains_itself_is_no_trap(pixels, written):
    loop = struct.pack("<HHHII", 1, IFD.Exif, 4, 1, 8) + bytes(4)
    photo = load(written("a.png", pixels, exif=b"Exif\0\0II*\0\x08\0\0\0" + loop))
    assert np.array_equal(photo.pixels, pixels)


def test_metadata_of_a_bigtiff_is_read(pixels, written):
    photo = load(written("a.tif", np.ascontiguousarray(STORED[8](pixels)), big_tiff=True, exif=make_exif(8)))
    assert np.array_equal(photo.pixels, pixels)
    exif = Image.Exif()
    exif.load(photo.metadata.exif)
    assert exif[Base.Make] == "Pentacon"


def test_hostile_directory_cannot_multiply_its_bytes(pixels, written):
    def entries(tags, length):
        return b"".join(struct.pack("<HHII", tag, 7, length, 100) for tag in tags)

    inner = struct.pack("<H", 1000) + entries(range(1000), 1000)
    first = (
        struct.pack("<H", 2) + entries([Base.Software], 2**19) + struct.pack("<HHII", IFD.Exif, 4, 1, 60) + bytes(26)
    )
    block = b"Exif\0\0II*\0\x08\0\0\0" + first + inner + bytes(2**19)
    photo = load(written("a.png", pixels, exif=block))
    assert 10_000 < len(photo.metadata.exif) < 300_000  # a thousand values of a thousand bytes, and one of 500,000


def test_values_of_exif_begin_at_even_bytes(pixels, written):
    exif = load(written("a.jpg", pixels, exif=make_exif())).metadata.exif[6:]
    (count,) = struct.unpack_from("<H", exif, 8)
    places = {
        tag: place
        for tag, kind, length, place in struct.iter_unpack("<HHII", exif[10 : 10 + 12 * count])
        if length > 4 or kind == 4
    }
    assert exif[places[Base.Make] :].startswith(b"Pentacon\0")  # nine bytes
    assert [place % 2 for place in places.values()] == [0] * len(places)


def test_exif_behind_the_pixels_of_a_png_is_found(pixels, written):
    path = written("a.png", np.ascontiguousarray(STORED[6](pixels)), exif=make_exif(6))
    data = path.read_bytes()
    start = data.index(b"eXIf") - 4
    end = start + 12 + struct.unpack_from(">I", data, start)[0]
    path.write_bytes(data[:start] + data[end:-12] + data[start:end] + data[-12:])
    photo = load(path)
    assert np.array_equal(photo.pixels, pixels)
    assert b"Pentacon" in photo.metadata.exif


@pytest.mark.parametrize("xmp", [b"\xff\xfe garbage", b"x" * 70_000])
def test_damaged_xmp_is_left_out_with_a_note(xmp, pixels, written):
    photo = load(written("a.webp", pixels, xmp=xmp))
    assert photo.metadata.xmp is None
    assert photo.notes == ("XMP left out: damaged",)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".bmp"])
def test_resolution_is_kept_and_reduction_does_not_change_it(suffix, pixels, written, tmp_path):
    photo = load(written("a.png", pixels, dpi=(300, 240)), max_size=12)
    assert photo.metadata.dpi == (300, 240)
    save(photo, tmp_path / f"b{suffix}")
    assert load(tmp_path / f"b{suffix}").metadata.dpi == (300, 240)


@pytest.mark.parametrize("dpi", [(0, 0), (float("nan"), 300), "much", (10**9, 10**9)])
def test_senseless_resolution_is_left_out(dpi, pixels):
    image = Image.fromarray(pixels)
    image.info["dpi"] = dpi
    assert photo_from_image(image).metadata.dpi is None


@pytest.mark.parametrize(("key", "name"), [("exif", "EXIF"), ("xmp", "XMP")])
def test_metadata_too_large_for_jpeg_is_left_out_with_a_note(key, name, pixels, tmp_path, written):
    large = {"exif": make_exif(details={Base.MakerNote: b"note" * 20_000}), "xmp": XMP + b" " * 70_000}[key]
    photo = load(written("a.webp", pixels, **{key: large}))
    assert getattr(photo.metadata, key)
    assert save(photo, tmp_path / "b.jpg") == (f"{name} left out: too large for JPEG",)
    assert getattr(load(tmp_path / "b.jpg").metadata, key) is None
    assert save(photo, tmp_path / "b.webp") == ()
    assert len(getattr(load(tmp_path / "b.webp").metadata, key)) > 70_000


def test_bmp_says_that_it_holds_no_metadata(pixels, written, tmp_path):
    photo = load(written("a.jpg", pixels, exif=make_exif()))
    assert save(photo, tmp_path / "b.bmp") == ("EXIF left out: BMP has no place for it",)


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff", "avif"])
def test_stripping_leaves_out_exif_and_xmp_and_keeps_profile_and_resolution(format, pixels, written, tmp_path):
    photo = load(written("a.jpg", pixels, exif=make_exif(), xmp=XMP, icc_profile=SRGB, dpi=(300, 300)))
    target = tmp_path / f"b{FORMATS[format].suffix}"
    save(photo, target, strip_metadata=True)
    stripped = load(target).metadata
    assert Base.Make not in exif_of(target)[0]
    assert not exif_of(target)[2]
    assert stripped.xmp is None
    assert stripped.icc_profile == SRGB
    assert stripped.dpi == ((300, 300) if format in ("jpeg", "png", "tiff") else None)


# --- Colour


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_wide_gamut_becomes_srgb_as_colorimetry_says_and_is_tagged_so(suffix, written, tmp_path):
    color = np.array([200, 120, 60], np.uint8)
    options = {} if suffix in (".png", ".tif") else {"quality": 100}
    path = written(f"a{suffix}", np.tile(color, (32, 32, 1)), icc_profile=adobe_rgb(), exif=make_exif(), **options)
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


def test_colours_that_srgb_lacks_end_at_its_border(written):
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


def test_grey_profile_is_converted(written):
    linear = make_profile(b"GRAY", b"mntr", {b"kTRC": gamma_tag(1.0)})
    photo = load(written("a.png", np.full((4, 4), 55, np.uint8), icc_profile=linear))
    assert photo.pixels[0, 0].tolist() == pytest.approx(srgb_of_xyz(D50 * 55 / 255), abs=2)
    profile = ImageCms.ImageCmsProfile(io.BytesIO(photo.metadata.icc_profile))
    assert "sRGB" in ImageCms.getProfileDescription(profile)


def test_grey_picture_with_an_rgb_profile_is_converted(written):
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
    assert photo.notes == ("colour profile ignored: damaged, or made for other pictures",)


@pytest.mark.parametrize("profile", [b"garbage", SRGB[:200], SRGB[:128] + b"\xff" * 300, dull_inks()])
def test_unusable_profile_is_ignored_with_a_note(profile, pixels, written):
    photo = load(written("a.png", pixels, icc_profile=profile))
    assert np.array_equal(photo.pixels, pixels)
    assert photo.metadata.icc_profile is None
    assert photo.notes == ("colour profile ignored: damaged, or made for other pictures",)


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


# --- Modes


def grey_photo(image):
    photo = photo_from_image(image)
    assert photo.pixels.shape == (*image.size[::-1], 3)
    assert (photo.pixels == photo.pixels[..., :1]).all()
    return photo


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_grey_is_scaled_not_clipped(suffix, written):
    values = np.array([[0, 257, 128 * 257, 65535]], np.uint16)
    photo = load(written(f"a{suffix}", values))
    assert photo.pixels[0, :, 0].tolist() == [0, 1, 128, 255]


def test_16_bit_grey_of_the_other_byte_order_is_scaled():
    image = Image.frombytes("I;16B", (2, 1), struct.pack(">HH", 257, 65535))
    assert grey_photo(image).pixels[0, :, 0].tolist() == [1, 255]


def test_16_bit_grey_that_is_transparent_at_one_value_is_so(written):
    image = Image.fromarray(np.array([[1000, 1001]], np.uint16))
    photo = load(written("a.png", image, transparency=1000))
    assert photo.alpha.tolist() == [[0, 255]]


def test_16_bit_rgb_png_keeps_its_upper_bytes(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png_of(2, 16, struct.pack(">B6H", 0, 0, 0x80FF, 0xFFFF, 0x1234, 0, 0x0100), (2, 1)))
    assert load(path).pixels.tolist() == [[[0, 0x80, 0xFF], [0x12, 0, 1]]]


def png_of(color_type, depth, rows, size):
    """Return a PNG of any depth, which Pillow does not write."""
    import zlib

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", *size, depth, color_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 100.0, 255.0], [0, 100, 255]),
        ([-5.0, 257.0, 65535.0], [0, 1, 255]),
        ([0.0, 6e5, 1e6], [0, 153, 255]),
        ([np.nan, np.inf, 1.0], [0, 0, 255]),
        ([0.0, 0.0, 0.0], [0, 0, 0]),
    ],
)
def test_float_tiff_is_scaled_to_its_white(values, expected, written):
    photo = load(written("a.tif", np.array([values], np.float32)))
    assert photo.pixels[0, :, 0].tolist() == expected


def test_32_bit_integers_are_scaled():
    assert grey_photo(Image.fromarray(np.array([[0, 65535]], np.int32))).pixels[0, :, 0].tolist() == [0, 255]
    assert grey_photo(Image.fromarray(np.array([[0, 2**20]], np.int32))).pixels[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBX", "CMYK", "YCbCr", "HSV", "LAB", "P"])
def test_opaque_modes_become_rgb(mode, pixels):
    image = Image.fromarray(pixels).convert(mode if mode != "LAB" else "RGB")
    if mode == "LAB":
        transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
        image = ImageCms.applyTransform(image, transform)
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


def test_transparent_colour_of_a_grey_png_gives_transparency(written):
    photo = load(written("a.png", np.array([[10, 20]], np.uint8), transparency=10))
    assert photo.alpha.tolist() == [[0, 255]]


# --- What transparency hides


def test_hidden_colours_do_not_bleed_and_visible_ones_are_untouched(pixels):
    alpha = np.zeros((16, 24), np.uint8)
    alpha[4:12, 6:18] = 255
    alpha[4:12, 6] = 64  # an edge
    alpha[0, 0] = 5  # all but invisible
    dirty = np.where(alpha[..., None] > 5, pixels, np.uint8([255, 0, 255]))
    photo = photo_from_image(Image.fromarray(np.dstack([dirty, alpha])))
    assert np.array_equal(photo.alpha, alpha)
    assert np.array_equal(photo.pixels[alpha > 5], pixels[alpha > 5])
    visible = pixels[alpha > 5]
    hidden = photo.pixels[alpha <= 5]
    assert (hidden >= visible.min(axis=0) - 2).all()
    assert (hidden <= visible.max(axis=0) + 2).all()


def test_hidden_colours_continue_smoothly(make_photo):
    image = make_photo(64, 48)
    alpha = Image.new("L", image.size, 0)
    alpha.paste(255, (16, 12, 48, 36))
    image.putalpha(alpha)
    filled = photo_from_image(image).pixels.astype(int)
    steps = np.abs(np.diff(filled[:, :14], axis=1)).max()
    assert steps <= 12
    assert np.abs(filled[12:36, 15] - filled[12:36, 16]).mean() < 12


def test_wholly_transparent_picture_is_mid_grey(pixels):
    photo = photo_from_image(Image.fromarray(np.dstack([pixels, np.zeros((16, 24), np.uint8)])))
    assert (photo.pixels == 128).all()
    assert (photo.alpha == 0).all()


def test_opaque_transparency_is_kept_and_changes_nothing(pixels):
    photo = photo_from_image(Image.fromarray(np.dstack([pixels, np.full((16, 24), 255, np.uint8)])))
    assert np.array_equal(photo.pixels, pixels)
    assert (photo.alpha == 255).all()


def test_reduction_does_not_mix_hidden_colours_in():
    picture = np.zeros((64, 64, 4), np.uint8)
    picture[..., 1] = 255  # green that nobody sees
    picture[16:48, 16:48] = (255, 0, 0, 255)
    photo = photo_from_image(Image.fromarray(picture), max_size=16)
    assert photo.pixels[..., 1].max() <= 2


# --- Sizes


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_longer_side_is_reduced_and_shape_kept(suffix, make_photo, written):
    path = written(f"a{suffix}", make_photo(801, 400))
    photo = load(path, max_size=100)
    assert photo.pixels.shape == (50, 100, 3)
    reference = np.asarray(Image.open(path).resize((100, 50), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(photo.pixels - reference).mean() < 2


def test_small_pictures_are_never_enlarged(pixels, written):
    assert np.array_equal(load(written("a.png", pixels), max_size=1000).pixels, pixels)


def test_thin_pictures_keep_a_pixel(written):
    assert load(written("a.png", np.zeros((2001, 7, 3), np.uint8)), max_size=20).pixels.shape == (20, 1, 3)


# --- Frames and pages


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.avif"])
def test_first_frame_of_an_animation_is_taken_and_said(name, written):
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "green", "blue")]
    photo = load(written(name, frames[0], save_all=True, append_images=frames[1:]))
    assert photo.notes == ("animated: only the first of 3 frames is taken",)
    assert photo.pixels[8, 8].tolist() == pytest.approx((255, 0, 0), abs=8)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_first_page_of_a_tiff_is_taken_and_said(compression, written, pixels):
    page = Image.new("RGB", (8, 8), "red")
    path = written("a.tif", pixels, save_all=True, append_images=[page], compression=compression)
    photo = load(path)
    assert photo.notes == ("several pages: only the first of 2 is taken",)
    assert np.array_equal(photo.pixels, pixels)


def test_pictures_that_a_camera_adds_are_not_spoken_of(written, pixels):
    path = written("a.jpg", pixels, "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    assert load(path).notes == ()
    assert load(path).pixels.shape == (16, 24, 3)
    assert load(path, max_size=6).pixels.shape == (4, 6, 3)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_damaged_second_page_costs_only_itself(compression, written, pixels):
    more = [Image.new("RGB", (8, 8), "red")]
    path = written("a.tif", pixels, save_all=True, append_images=more, compression=compression)
    data = path.read_bytes()
    color_model = struct.pack("<HHIHH", Base.PhotometricInterpretation, 3, 1, 2, 0)
    head, _, tail = data.rpartition(color_model)
    assert color_model in head  # the first page's
    path.write_bytes(head + color_model.replace(b"\x02\0\0\0", b"\x63\0\0\0") + tail)
    photo = load(path)
    assert np.array_equal(photo.pixels, pixels)
    assert photo.notes == ("only the first frame is taken: a later one is damaged",)


# --- Files that cannot be read


def refused(path, **options):
    with pytest.raises(ImageError) as caught:
        load(path, **options)
    assert "\n" not in caught.value.message
    assert path.name in caught.value.message
    return caught.value.message


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".gif", ".bmp", ".tif"])
def test_truncated_file_is_said_to_be_so(suffix, make_photo, written):
    path = written(f"lion{suffix}", make_photo(200, 200))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert refused(path) == f"lion{suffix} is cut short (truncated)."


def test_empty_file_is_said_to_be_so(tmp_path):
    (tmp_path / "lion.jpg").touch()
    assert refused(tmp_path / "lion.jpg") == "lion.jpg is empty (0 bytes)."


def test_text_is_no_picture(tmp_path):
    (tmp_path / "lion.jpg").write_text("<html>404</html>")
    assert refused(tmp_path / "lion.jpg") == "lion.jpg is not a picture that can be read."


def test_folder_is_no_picture(tmp_path):
    (tmp_path / "lion.jpg").mkdir()
    assert refused(tmp_path / "lion.jpg") == "lion.jpg is a folder, not a picture."


def test_missing_file_is_said_to_be_so(tmp_path):
    assert refused(tmp_path / "lion.jpg") == "lion.jpg does not exist."


def test_file_below_a_file_cannot_exist(tmp_path):
    (tmp_path / "a").touch()
    assert "lion.jpg" in refused(tmp_path / "a" / "lion.jpg")


def test_unreadable_file_is_said_to_be_so(tmp_path, monkeypatch, pixels, written):
    path = written("lion.jpg", pixels)

    def forbidden(*_args, **_options):  # not by chmod, which root passes
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", forbidden)
    assert refused(path) == "lion.jpg may not be read: permission denied."


def test_lack_of_memory_is_said(monkeypatch, pixels, written):
    path = written("lion.png", pixels)
    monkeypatch.setattr(Image, "open", lambda *_args, **_options: (_ for _ in ()).throw(MemoryError()))
    assert refused(path) == "There is too little memory to read lion.png."


@pytest.mark.parametrize("format", ["PPM", "ICO", "PCX", "TGA", "EPS", "PDF", "JPEG2000"])
def test_formats_beyond_the_list_are_not_opened(format, pixels, written):
    assert "is not a picture that can be read" in refused(written("lion.jpg", pixels, format))


def test_picture_over_the_limit_is_not_decoded(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of(2, 8, b"", (4_000, 5_000)))
    assert refused(path) == "bomb.png has 4,000 × 5,000 pixels, over the limit of 10,000,000."


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".gif", ".bmp", ".avif"])
def test_limit_is_ours_alone(suffix, monkeypatch, pixels, written):
    path = written(f"a{suffix}", pixels)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert load(path, max_pixels=24 * 16).pixels.shape == (16, 24, 3)
    assert caught == []
    assert Image.MAX_IMAGE_PIXELS == 10
    refused(path, max_pixels=24 * 16 - 1)


def test_limit_and_warning_filters_are_the_programs_own_after_many_threads(monkeypatch, make_photo, written):
    paths = [written(f"{n}.jpg", make_photo(200, 150, seed=n), exif=make_exif()) for n in range(8)]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    filters = list(warnings.filters)
    seen = set()
    stop = threading.Event()

    def watch():
        while not stop.is_set():
            seen.add(Image.MAX_IMAGE_PIXELS)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(8) as pool:
        photos = list(pool.map(lambda n: load(paths[n % 8], max_pixels=30_000 + n), range(64)))
    stop.set()
    watcher.join()
    assert len(photos) == 64
    assert min(seen) >= 1000  # never lower than the program's own
    assert Image.MAX_IMAGE_PIXELS == 1000
    assert warnings.filters == filters


def test_limit_that_a_program_has_lifted_stays_lifted(monkeypatch, pixels, written):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    load(written("a.png", pixels))
    assert Image.MAX_IMAGE_PIXELS is None


def test_gif_that_pillow_itself_finds_too_large_is_refused_as_such(tmp_path, monkeypatch):
    path = tmp_path / "bomb.gif"
    frame = b",\0\0\0\0\xff\xff\xff\xff\0\x02\x02L\x01\0;"
    path.write_bytes(b"GIF89a\x01\0\x01\0\x80\0\0" + bytes(6) + b"!\xf9\x04\x08\0\0\0\0" + frame)
    assert refused(path, max_pixels=10**6) == "bomb.gif has far more pixels than the limit."


def test_pillows_warnings_stay_inside(pixels, written, capfd):
    corrupt = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x55" * 40
    path = written("a.jpg", pixels, exif=corrupt)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with Image.open(path) as image:
            image.getexif()
        assert caught, "Pillow no longer warns: choose another file"
        caught.clear()
        load(path)
    assert caught == []
    assert capfd.readouterr() == ("", "")


# --- The API's images


def test_image_given_by_a_program_is_turned_and_not_changed(pixels, written):
    path = written("a.jpg", np.ascontiguousarray(STORED[6](np.tile(pixels, (4, 4, 1)))), exif=make_exif(6))
    with Image.open(path) as image:
        photo = photo_from_image(image, max_size=48)
        assert image.size == (64, 96)
        assert image.getexif()[Base.Orientation] == 6
    assert photo.pixels.shape == (32, 48, 3)


def test_image_given_back_carries_its_metadata(pixels, written):
    photo = load(written("a.jpg", pixels, exif=make_exif(), xmp=XMP, icc_profile=SRGB, dpi=(300, 300)))
    image = photo_to_image(photo)
    assert image.mode == "RGB"
    assert image.info["icc_profile"] == SRGB
    assert image.info["dpi"] == (300, 300)
    assert image.info["xmp"] == photo.metadata.xmp
    assert image.getexif().get_ifd(IFD.Exif)[Base.ExifImageWidth] == 24
    assert np.array_equal(photo_from_image(image).pixels, photo.pixels)


def test_image_given_back_is_transparent_where_the_photo_is(pixels):
    alpha = np.full((16, 24), 77, np.uint8)
    image = photo_to_image(Photo(pixels, alpha))
    assert np.array_equal(np.asarray(image), np.dstack([pixels, alpha]))


@pytest.mark.parametrize("size", [(0, 0), (0, 5)])
def test_image_without_pixels_is_refused(size):
    with pytest.raises(ImageError, match="no pixels"):
        photo_from_image(Image.new("RGB", size))


def test_image_whose_file_is_damaged_is_refused(make_photo, written):
    path = written("a.jpg", make_photo(200, 200))
    path.write_bytes(path.read_bytes()[:2000])
    with Image.open(path) as image, pytest.raises(ImageError, match="cut short"):
        photo_from_image(image)


def test_tiff_that_a_program_has_loaded_and_closed_is_taken_without_exif(pixels, written):
    with Image.open(written("a.tif", pixels, exif=make_exif())) as image:
        image.load()
    photo = photo_from_image(image)
    assert np.array_equal(photo.pixels, pixels)
    assert photo.metadata.exif is None


# --- Files that cannot be written


@pytest.mark.parametrize(("format", "side"), [("jpeg", 65_501), ("webp", 16_384), ("avif", 65_537), ("heic", 65_536)])
def test_picture_too_large_for_a_format_is_refused_with_those_that_hold_it(format, side, tmp_path, capfd):
    need(format)
    path = tmp_path / "long.xyz"
    with pytest.raises(ImageError, match=rf"long\.xyz .*{format.upper()} .*{side:,}") as caught:
        save(Photo(np.zeros((1, side, 3), np.uint8)), path, format)
    assert "PNG or TIFF" in caught.value.hint
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("format", ["jpeg", "webp"])
def test_largest_side_of_a_format_is_written(format, tmp_path):
    path = tmp_path / "long.bin"
    save(Photo(np.zeros((1, FORMATS[format].longest_side, 3), np.uint8)), path, format)
    assert load(path).pixels.shape == (1, FORMATS[format].longest_side, 3)


def test_unknown_format_is_refused(pixels, tmp_path):
    with pytest.raises(ConfigError, match="'gif'"):
        save(Photo(pixels), tmp_path / "a.gif", "gif")


@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "webp"])
def test_full_disk_is_said_and_leaves_the_old_file(format, tmp_path):
    resource = pytest.importorskip("resource", reason="the platform has no limit on a file's size")
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(ImageError) as caught:
            save(Photo(noise), path, format)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.message == f"Cannot write {path}: File too large."
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_folder_that_cannot_be_made_is_said(pixels, tmp_path):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "a.png"
    with pytest.raises(ImageError, match="Cannot write") as caught:
        save(Photo(pixels), path)
    assert str(path) in caught.value.message


def test_encoder_that_fails_is_said(pixels, tmp_path, monkeypatch):
    def fail(*_args, **_options):
        raise ValueError("encoding error 6")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(ImageError, match="encoding error 6"):
        save(Photo(pixels), tmp_path / "a.webp")
    assert list(tmp_path.iterdir()) == []


# --- HEIC


def test_heic_is_read_upright_with_its_metadata(pixels, tmp_path):
    need("heic")
    path = tmp_path / "a.jpg"  # as phones' uploads are often named
    stored = np.ascontiguousarray(STORED[6](np.tile(pixels, (8, 8, 1))))
    Image.fromarray(stored).save(path, "HEIF", quality=95, exif=make_exif(6), icc_profile=SRGB)
    photo = load(path)
    assert photo.pixels.shape == (128, 192, 3)
    assert np.abs(photo.pixels[::8, ::8].astype(int) - np.tile(pixels, (8, 8, 1))[::8, ::8]).mean() < 8
    assert photo.metadata.icc_profile == SRGB
    assert b"Pentacon" in photo.metadata.exif


def test_main_picture_of_a_heic_is_taken_and_said(written, pixels):
    need("heic")
    more = [Image.new("RGB", (64, 64), "red")]
    photo = load(written("a.heic", np.tile(pixels, (4, 4, 1)), save_all=True, append_images=more))
    assert photo.pixels.shape == (64, 96, 3)
    assert photo.notes == ("several pictures: only the main one of 2 is taken",)


def test_heic_without_the_extra_names_what_to_install(tmp_path, pixels, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with pytest.raises(ImageError, match=r"a\.jpg is HEIC") as caught:
        load(path)
    assert caught.value.hint == "pip install 'neural-stylekit[heif]'"
    with pytest.raises(ImageError, match=r"b\.heic is HEIC") as caught:
        save(Photo(pixels), tmp_path / "b.heic")
    assert caught.value.hint == "pip install 'neural-stylekit[heif]'"


# --- Hostile files


def seeds():
    """Return small files of every kind, with all the metadata that each holds."""
    noise = Image.effect_noise((40, 30), 80).convert("RGB")
    slope = Image.linear_gradient("L").resize(noise.size)
    clear = noise.copy()
    clear.putalpha(slope)
    known = {"exif": make_exif(6), "icc_profile": SRGB, "xmp": XMP}
    kinds = [
        (noise, "JPEG", {**known, "dpi": (300, 300)}),
        (noise.convert("CMYK"), "JPEG", {}),
        (clear, "PNG", {"exif": known["exif"], "icc_profile": SRGB}),
        (noise.convert("P"), "PNG", {"transparency": 3}),
        (clear, "WEBP", known),
        (noise, "GIF", {"save_all": True, "append_images": [slope.convert("RGB")]}),
        (noise, "BMP", {}),
        (noise, "TIFF", {"exif": known["exif"], "icc_profile": SRGB}),
        (slope.convert("F"), "TIFF", {}),
        (noise, "AVIF", known),
    ]
    files = []
    for image, format, options in kinds:
        file = io.BytesIO()
        image.save(file, format, **options)
        files.append(file.getvalue())
    return files


def mutated(data, chance):
    data = bytearray(data)
    place = chance.randrange(len(data))
    match chance.randrange(4):
        case 0:
            del data[place:]
        case 1:
            del data[place : place + chance.randrange(1, 20)]
        case 2:
            data[place:place] = chance.randbytes(chance.randrange(1, 9))
        case 3:
            for _ in range(chance.choice([1, 3, 30])):
                data[chance.randrange(min(len(data), chance.choice([600, 10**6])))] = chance.choice([0, 255, 128, 7])
    return bytes(data)


def test_hostile_files_raise_nothing_but_image_errors(tmp_path):
    chance = random.Random(20)
    files = seeds()
    outcomes = {"read": 0, "refused": 0}
    for number in range(600):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(mutated(files[number % len(files)], chance))
        try:
            photo = load(path, max_pixels=10**6, max_size=chance.choice([None, 10]))
        except ImageError as error:
            assert path.name in error.message
            outcomes["refused"] += 1
        else:
            assert photo.pixels.dtype == np.uint8
            assert photo.pixels.ndim == 3
            outcomes["read"] += 1
    assert min(outcomes.values()) > 100  # both ways were tried
