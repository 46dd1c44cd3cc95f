"""PNGs with much text, wrong checksums or a transparent color."""

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from stylekit.images import png
from stylekit.images.photo import Metadata, Photo
from tests.image_material import SRGB, load, make_xmp, png_chunk, png_text, rejected, save

NOISE = np.random.default_rng(0).integers(0, 256, 1_500_000, np.uint8).tobytes().hex().encode()


END = png_chunk(b"IEND", b"")


def png_file(tmp_path, head, rows, *, before=b"", after=b"", intact=True, end=END):
    """Write a PNG of a head, rows with their filters, and chunks before and after its pixels."""
    pixels = png_chunk(b"IDAT", zlib.compress(rows), intact)
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + before + pixels + after + end)
    return path


def rgb_png(tmp_path, pixels, **parts):
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return png_file(tmp_path, struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), rows, **parts)


def large_profile():
    """Return sRGB's profile with a private tag of 1.3 MB."""
    (count,) = struct.unpack_from(">I", SRGB, 128)
    table, data, extra = SRGB[132 : 132 + 12 * count], SRGB[132 + 12 * count :], os.urandom(1_300_000)
    moved = b"".join(
        name + struct.pack(">II", offset + 12, length) for name, offset, length in struct.iter_unpack(">4sII", table)
    )
    table = struct.pack(">I", count + 1) + moved + b"priv" + struct.pack(">II", len(SRGB) + 12, len(extra))
    return struct.pack(">I", len(SRGB) + 12 + len(extra)) + SRGB[4:128] + table + data + extra


TEXTS = {
    "ztxt": png_chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b'{"a":1}' * 300_000)),
    "text": png_chunk(b"tEXt", b"workflow\0" + NOISE),
    "itxt": png_chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(NOISE)),
    "many": png_chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(2**20))) * 70,
    "damaged": png_chunk(b"tEXt", b"Comment\0hello", intact=False),
}


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("kind", TEXTS)
def test_text_that_nothing_needs_is_no_obstacle(kind, place, pixels, tmp_path):
    photo = load(rgb_png(tmp_path, pixels, **{place: TEXTS[kind]}))
    assert np.array_equal(photo.pixels, pixels)
    assert photo.notes == ()


def test_metadata_of_more_than_a_mebibyte_is_read(pixels, tmp_path):
    xmp = make_xmp('xmlns:dc="http://purl.org/dc/elements/1.1/"', f"<dc:description>{'a b' * 500_000}</dc:description>")
    text = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp))
    assert len(load(rgb_png(tmp_path, pixels, before=text)).metadata.xmp) > 1_500_000


def test_a_large_color_profile_is_kept_and_read_again(pixels, tmp_path):
    profile = large_profile()
    photo = load(rgb_png(tmp_path, pixels, before=png_chunk(b"iCCP", b"printer\0\0" + zlib.compress(profile))))
    assert photo.metadata.icc_profile == profile
    assert photo.notes == ()
    save(photo, tmp_path / "b.png")
    assert load(tmp_path / "b.png").metadata.icc_profile == profile


def test_a_huge_text_or_profile_is_dropped_with_a_note(pixels, tmp_path, monkeypatch):
    monkeypatch.setattr(png, "MOST_TEXT", 2**16)
    profile = png_chunk(b"iCCP", b"p\0\0" + zlib.compress(large_profile()))
    text = png_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(NOISE))
    photo = load(rgb_png(tmp_path, pixels, before=profile, after=text))
    assert photo.notes == ("color profile dropped: too large", "text dropped: too large")
    assert photo.metadata == Metadata()


@pytest.mark.parametrize(
    ("name", "data", "note"),
    [
        (b"iCCP", b"p\0\0" + zlib.compress(SRGB), "color profile dropped: checksum mismatch"),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0x", "text dropped: checksum mismatch"),
        (b"tIME", bytes(7), None),
    ],
)
def test_damage_beside_the_pixels_costs_only_itself(name, data, note, pixels, tmp_path):
    photo = load(rgb_png(tmp_path, pixels, before=png_chunk(name, data, intact=False)))
    assert np.array_equal(photo.pixels, pixels)
    assert photo.metadata == Metadata()
    assert photo.notes == ((note,) if note else ())


def test_a_wrong_checksum_of_the_pixels_is_noted(pixels, tmp_path):
    photo = load(rgb_png(tmp_path, pixels, intact=False))
    assert photo.notes == ("the pixels may be damaged: checksum mismatch",)
    assert np.array_equal(photo.pixels, pixels)


@pytest.mark.parametrize("end", [b"", png_chunk(b"IEND", b"", intact=False), END + b"junk" * 100])
def test_a_damaged_end_is_no_obstacle(end, pixels, tmp_path):
    assert np.array_equal(load(rgb_png(tmp_path, pixels, end=end)).pixels, pixels)


def test_a_damaged_palette_is_an_error(tmp_path):
    head = struct.pack(">IIBBBBB", 2, 1, 8, 3, 0, 0, 0)
    path = png_file(tmp_path, head, b"\0\0\1", before=png_chunk(b"PLTE", bytes(6), intact=False))
    assert rejected(path) == "a.png is corrupt: checksum mismatch in PLTE."


def test_a_truncated_text_does_not_hide_that_the_file_is_truncated(make_photo, tmp_path, written):
    path = written("a.png", make_photo(200, 200), pnginfo=png_text("Comment", "x" * 5000))
    path.write_bytes(path.read_bytes()[:-5000])
    assert rejected(path) == "a.png is truncated."


# --- Transparent colors


def packed(values, bits):
    """Return rows of gray values as a PNG holds them."""
    if bits == 16:
        return [row.astype(">u2").tobytes() for row in values]
    digits = (values[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    return [row.tobytes() for row in np.packbits(digits.reshape(len(values), -1).astype(np.uint8), axis=1)]


@pytest.mark.parametrize("key", ["black", "white"])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_the_transparent_gray_is_that_of_the_file(bits, key, tmp_path):
    values = np.random.default_rng(bits).integers(0, 2**bits, (16, 24))
    transparent = {"black": 0, "white": 2**bits - 1}[key]
    values[3, 4] = transparent
    rows = b"".join(b"\0" + row for row in packed(values, bits))
    head = struct.pack(">IIBBBBB", 24, 16, bits, 0, 0, 0, 0)
    photo = load(png_file(tmp_path, head, rows, before=png_chunk(b"tRNS", struct.pack(">H", transparent))))
    assert np.array_equal(photo.alpha == 0, values == transparent)
    expected = np.rint(values * (255 / (2**bits - 1)))
    assert np.abs(photo.pixels[..., 0] - expected)[values != transparent].max() <= 1


@pytest.mark.parametrize("bits", [8, 16])
def test_the_transparent_color_is_that_of_the_file(bits, tmp_path):
    values = np.full((16, 24, 3), 2**bits - 6)
    values[:8] = [10, 200, 30]
    values[8:12] = [10, 200, 31]  # of 16 bits, the upper bytes are the same
    rows = b"".join(b"\0" + row.astype(">u2" if bits == 16 else "u1").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", 24, 16, bits, 2, 0, 0, 0)
    photo = load(png_file(tmp_path, head, rows, before=png_chunk(b"tRNS", struct.pack(">3H", 10, 200, 30))))
    assert np.array_equal(photo.alpha == 0, (values == [10, 200, 30]).all(axis=-1))
    assert np.array_equal(photo.pixels[8:], (values[8:] >> (bits - 8)))


def test_a_photo_with_much_xmp_is_written_as_png_and_read_again(pixels, tmp_path):
    xmp = make_xmp('xmlns:dc="http://purl.org/dc/elements/1.1/"', f"<dc:description>{'a b' * 500_000}</dc:description>")
    save(Photo(pixels, metadata=Metadata(xmp=xmp)), tmp_path / "a.png")
    assert len(load(tmp_path / "a.png").metadata.xmp) > 1_500_000


def test_an_image_that_is_whole_is_read_from_its_file(pixels, written):
    path = written("a.png", pixels)
    with path.open("rb") as file, Image.open(path):
        assert png.repair_png(file, [])[0] is file
