"""TIFFs: their kinds of pixels, pages and metadata."""

import struct

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import Base

from stylekit.images.photo import Photo
from stylekit.images.reading import photo_from_image
from tests.image_material import STORED, exif_of, load, make_exif, save


def test_tiff_is_compressed(pixels, tmp_path):
    big = np.tile(pixels, (10, 10, 1))
    save(Photo(big), tmp_path / "a.tif")
    assert (tmp_path / "a.tif").stat().st_size < big.size / 4


def test_layout_and_layers_of_a_tiff_do_not_pass_for_exif(pixels, written, tmp_path):
    layers = {37724: b"SECRET LAYERS" * 10, Base.Software.value: "Painter", Base.Copyright.value: "me"}
    source = written("a.tif", pixels, tiffinfo=layers)
    save(load(source), tmp_path / "b.jpg")
    exif = exif_of(tmp_path / "b.jpg")[0]
    assert exif[Base.Software] == "Painter"
    assert Base.ImageWidth not in exif
    assert Base.StripOffsets not in exif
    assert b"SECRET" not in (tmp_path / "b.jpg").read_bytes()


def test_metadata_of_a_bigtiff_is_read(pixels, written):
    photo = load(written("a.tif", np.ascontiguousarray(STORED[8](pixels)), big_tiff=True, exif=make_exif(8)))
    assert np.array_equal(photo.pixels, pixels)
    exif = Image.Exif()
    exif.load(photo.metadata.exif)
    assert exif[Base.Make] == "Pentacon"


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


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_the_first_page_of_a_tiff_is_used_with_a_note(compression, written, pixels):
    page = Image.new("RGB", (8, 8), "red")
    path = written("a.tif", pixels, save_all=True, append_images=[page], compression=compression)
    photo = load(path)
    assert photo.notes == ("several pages: only the first of 2 is used",)
    assert np.array_equal(photo.pixels, pixels)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_a_corrupt_second_page_is_ignored(compression, written, pixels):
    more = [Image.new("RGB", (8, 8), "red")]
    path = written("a.tif", pixels, save_all=True, append_images=more, compression=compression)
    data = path.read_bytes()
    color_model = struct.pack("<HHIHH", Base.PhotometricInterpretation, 3, 1, 2, 0)
    head, _, tail = data.rpartition(color_model)
    assert color_model in head  # the first page's
    path.write_bytes(head + color_model.replace(b"\x02\0\0\0", b"\x63\0\0\0") + tail)
    photo = load(path)
    assert np.array_equal(photo.pixels, pixels)
    assert photo.notes == ("only the first frame is used: a later one is corrupt",)


def test_tiff_that_a_program_has_loaded_and_closed_is_taken_without_exif(pixels, written):
    with Image.open(written("a.tif", pixels, exif=make_exif())) as image:
        image.load()
    photo = photo_from_image(image)
    assert np.array_equal(photo.pixels, pixels)
    assert photo.metadata.exif is None
