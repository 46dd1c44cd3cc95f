"""EXIF, orientation and resolution; each test uses a real file with the awkward property."""

import dataclasses
import struct

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import IFD, Base

from stylekit.images.formats import FORMATS
from stylekit.images.reading import photo_from_image
from tests.image_material import SRGB, STORED, XMP, exif_of, load, make_exif, need, png_text, save


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


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff", "avif", "heic"])
def test_exif_is_kept_except_orientation_thumbnail_and_size(format, order, pixels, written, tmp_path):
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
    assert interoperability == {1: "R98"}


def test_exif_passes_twice_without_a_change(written, pixels, tmp_path):
    first = load(written("a.jpg", pixels, exif=make_exif(1, ">")))
    save(first, tmp_path / "b.tif")
    second = load(tmp_path / "b.tif")
    save(second, tmp_path / "c.jpg")
    third = load(tmp_path / "c.jpg")
    assert first.metadata.exif
    assert second.metadata.exif == third.metadata.exif


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
def test_corrupt_exif_is_dropped_with_a_note(block, pixels, written):
    photo = load(written("a.png", pixels, exif=block))
    assert np.array_equal(photo.pixels, pixels)
    assert photo.metadata.exif is None
    assert photo.notes == ("EXIF dropped: corrupt",)


def test_only_corrupt_values_are_dropped(pixels, written):
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


def test_a_directory_that_contains_itself_ends(pixels, written):
    loop = struct.pack("<HHHII", 1, IFD.Exif, 4, 1, 8) + bytes(4)
    photo = load(written("a.png", pixels, exif=b"Exif\0\0II*\0\x08\0\0\0" + loop))
    assert np.array_equal(photo.pixels, pixels)


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
def test_corrupt_xmp_is_dropped_with_a_note(xmp, pixels, written):
    photo = load(written("a.webp", pixels, xmp=xmp))
    assert photo.metadata.xmp is None
    assert photo.notes == ("XMP dropped: corrupt",)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".bmp"])
def test_resolution_is_kept_and_reduction_does_not_change_it(suffix, pixels, written, tmp_path):
    photo = load(written("a.png", pixels, dpi=(300, 240)), max_size=12)
    assert photo.metadata.dpi == (300, 240)
    save(photo, tmp_path / f"b{suffix}")
    assert load(tmp_path / f"b{suffix}").metadata.dpi == (300, 240)


@pytest.mark.parametrize("dpi", [(0, 0), (float("nan"), 300), "much", (10**9, 10**9)])
def test_an_impossible_resolution_is_dropped(dpi, pixels):
    image = Image.fromarray(pixels)
    image.info["dpi"] = dpi
    assert photo_from_image(image).metadata.dpi is None


@pytest.mark.parametrize(("key", "name"), [("exif", "EXIF"), ("xmp", "XMP")])
def test_metadata_too_large_for_jpeg_is_dropped_with_a_note(key, name, pixels, tmp_path, written):
    large = {
        "exif": make_exif(details={Base.MakerNote: b"note" * 20_000}),
        "xmp": XMP.replace(b"bridge", b"bridge " * 10_000),
    }[key]
    photo = load(written("a.webp", pixels, **{key: large}))
    assert getattr(photo.metadata, key)
    assert save(photo, tmp_path / "b.jpg") == (f"{name} dropped: too large for JPEG",)
    assert getattr(load(tmp_path / "b.jpg").metadata, key) is None
    assert save(photo, tmp_path / "b.webp") == ()
    assert len(getattr(load(tmp_path / "b.webp").metadata, key)) > 70_000


def test_bmp_drops_metadata_with_a_note(pixels, written, tmp_path):
    photo = load(written("a.jpg", pixels, exif=make_exif()))
    assert save(photo, tmp_path / "b.bmp") == ("EXIF dropped: BMP does not support it",)


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff", "avif"])
def test_stripping_drops_exif_and_xmp_and_keeps_profile_and_resolution(format, pixels, written, tmp_path):
    photo = load(written("a.jpg", pixels, exif=make_exif(), xmp=XMP, icc_profile=SRGB, dpi=(300, 300)))
    target = tmp_path / f"b{FORMATS[format].suffix}"
    save(photo, target, strip_metadata=True)
    stripped = load(target).metadata
    assert Base.Make not in exif_of(target)[0]
    assert not exif_of(target)[2]
    assert stripped.xmp is None
    assert stripped.icc_profile == SRGB
    assert stripped.dpi == ((300, 300) if format in ("jpeg", "png", "tiff") else None)
