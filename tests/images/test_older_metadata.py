"""EXIF, XMP, IPTC and color profiles where older programs wrote them."""

import struct

import numpy as np
import pytest
from PIL.ExifTags import Base
from PIL.PngImagePlugin import PngInfo

from stylekit.images.photo import Metadata
from tests.image_material import (
    ADOBE_GAMMA,
    ADOBE_TO_XYZ,
    STORED,
    XMP,
    adobe_rgb,
    load,
    make_exif,
    make_xmp,
    png_text,
    save,
    srgb_of_xyz,
)


def raw_profile(name, data):
    digits = data.hex()
    lines = "\n".join(digits[start : start + 72] for start in range(0, len(digits), 72))
    return f"\n{name}\n{len(data):8}\n{lines}\n"


def iim(*values, utf8=True):
    records = [(1, 90, b"\x1b%G")] if utf8 else []
    records += [(2, number, value) for number, value in values]
    return b"".join(struct.pack(">BBBH", 0x1C, record, number, len(value)) + value for record, number, value in records)


def resources(block):
    """Return Photoshop's image resources with IIM, behind another one."""
    other = b"8BIM" + struct.pack(">HBBI", 1000, 0, 0, 3) + b"abc\0"
    return other + b"8BIM" + struct.pack(">HBBI", 0x0404, 0, 0, len(block)) + block + bytes(len(block) % 2)


CAPTION = [(120, "Brücke".encode()), (80, b"Ann"), (116, b"(c) Ann"), (25, b"one"), (25, b"two"), (105, b"A & B")]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(("key", "mark"), [("exif", b"Exif\0\0"), ("APP1", b"Exif\0\0"), ("exif", b"")])
def test_exif_in_the_text_of_a_png_is_followed(key, mark, compressed, pixels, written):
    info = PngInfo()
    block = mark + make_exif(6).removeprefix(b"Exif\0\0")
    info.add_text(f"Raw profile type {key}", raw_profile("exif", block), zip=compressed)
    photo = load(written("a.png", np.ascontiguousarray(STORED[6](pixels)), pnginfo=info))
    assert np.array_equal(photo.pixels, pixels)
    assert b"Pentacon" in photo.metadata.exif
    assert photo.notes == ()


@pytest.mark.parametrize(("key", "mark"), [("xmp", b""), ("APP1", b"http://ns.adobe.com/xap/1.0/\0")])
def test_xmp_in_the_text_of_a_png_is_followed(key, mark, pixels, written):
    text = png_text(f"Raw profile type {key}", raw_profile(key, mark + XMP))
    photo = load(written("a.png", np.ascontiguousarray(STORED[6](pixels)), pnginfo=text))
    assert np.array_equal(photo.pixels, pixels)
    assert b"bridge" in photo.metadata.xmp


@pytest.mark.parametrize("key", ["iptc", "8bim"])
def test_iptc_in_the_text_of_a_png_becomes_xmp(key, pixels, written, tmp_path):
    text = png_text(f"Raw profile type {key}", raw_profile(key, resources(iim(*CAPTION))))
    photo = load(written("a.png", pixels, pnginfo=text))
    save(photo, tmp_path / "b.jpg")
    xmp = load(tmp_path / "b.jpg").metadata.xmp.decode()
    for text in (">Brücke<", ">Ann<", ">(c) Ann<", "<rdf:li>one</rdf:li><rdf:li>two</rdf:li>", ">A &amp; B<"):
        assert text in xmp


def test_a_color_profile_in_the_text_of_a_png_is_followed(written):
    color = np.array([200, 120, 60], np.uint8)
    text = png_text("Raw profile type icc", raw_profile("icc", adobe_rgb()))
    photo = load(written("a.png", np.tile(color, (4, 4, 1)), pnginfo=text))
    expected = srgb_of_xyz(ADOBE_TO_XYZ @ (color / 255) ** ADOBE_GAMMA)
    assert photo.pixels[0, 0].tolist() == pytest.approx(expected, abs=3)


@pytest.mark.parametrize("text", ["", "\nexif\n", "\nexif\n  4\nxyz", "\nexif\n  4\nffff", "\n\n\n\n"])
def test_corrupt_raw_profiles_are_ignored(text, pixels, written):
    for key in ("exif", "xmp", "iptc", "icc", "APP1"):
        photo = load(written("a.png", pixels, pnginfo=png_text(f"Raw profile type {key}", text)))
        assert np.array_equal(photo.pixels, pixels)
        assert photo.metadata == Metadata()


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_iptc_of_a_jpeg_or_tiff_becomes_xmp(suffix, pixels, written):
    path = written(
        f"a{suffix}", pixels, **({"tiffinfo": {Base.IPTCNAA.value: iim(*CAPTION)}} if suffix == ".tif" else {})
    )
    if suffix == ".jpg":
        segment = b"Photoshop 3.0\0" + resources(iim(*CAPTION))
        data = path.read_bytes()
        path.write_bytes(data[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + data[2:])
    xmp = load(path).metadata.xmp.decode()
    for text in (">Brücke<", ">Ann<", "<rdf:li>one</rdf:li><rdf:li>two</rdf:li>"):
        assert text in xmp


def test_iptc_adds_only_what_xmp_lacks(pixels, written):
    info = PngInfo()
    creator = "<dc:creator><rdf:Seq><rdf:li>Eve</rdf:li></rdf:Seq></dc:creator>"
    xmp = make_xmp('xmlns:dc="http://purl.org/dc/elements/1.1/"', creator)
    info.add_itxt("XML:com.adobe.xmp", xmp.decode())
    info.add_text(
        "Raw profile type iptc",
        raw_profile("iptc", iim((80, b"Ann"), (120, "Br\xfccke".encode("latin-1")), utf8=False)),
    )
    xmp = load(written("a.png", pixels, pnginfo=info)).metadata.xmp.decode()
    assert "Eve" in xmp
    assert "Ann" not in xmp
    assert "Brücke" in xmp


def test_corrupt_iptc_is_dropped_with_a_note(pixels, written):
    block = b"8BIM\x04\x04\x00\x00\xff"
    photo = load(written("a.png", pixels, pnginfo=png_text("Raw profile type iptc", raw_profile("iptc", block))))
    assert photo.notes == ("IPTC dropped: corrupt",)
