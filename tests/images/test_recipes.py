"""The recipe of a painted image: written with it, and read back from the file's header."""

import dataclasses
import json
import time

import numpy as np
import pytest
from PIL import Image

from stylekit.images.formats import FORMATS
from stylekit.images.photo import Metadata, Photo, photo_to_image
from stylekit.images.reading import photo_from_image
from stylekit.images.recipes import read_recipe
from tests.image_material import load, make_xmp, need, save

RECIPE = json.dumps({"style": "udnie", "strength": 0.5, "title": 'a "quoted" <ä> & \n line'})
HOLDING = [format for format in FORMATS if format != "bmp"]
XMP = make_xmp('xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="a&#10;b"')


def painted(**metadata):
    return Photo(np.full((16, 24, 3), 99, np.uint8), metadata=Metadata(recipe=RECIPE, **metadata))


@pytest.mark.parametrize("xmp", [None, XMP], ids=["no-xmp", "xmp"])
@pytest.mark.parametrize("format", HOLDING)
def test_every_format_but_bmp_keeps_the_recipe_beside_the_photos_xmp(format, xmp, tmp_path):
    need(format)
    path = tmp_path / "a.bin"
    assert save(painted(xmp=xmp), path, format) == ()
    assert read_recipe(path) == RECIPE
    metadata = load(path).metadata
    assert metadata.recipe == RECIPE
    assert (metadata.xmp or b"").count(b"a&#10;b") == (xmp is not None)
    assert b"stylekit" not in (metadata.xmp or b"")


@pytest.mark.parametrize("format", HOLDING)
def test_stripping_drops_the_recipe(format, tmp_path):
    need(format)
    path = tmp_path / "a.bin"
    save(painted(xmp=XMP), path, format, strip_metadata=True)
    assert read_recipe(path) is None
    assert b"udnie" not in path.read_bytes()


def test_bmp_drops_the_recipe_silently(tmp_path):
    assert save(painted(), tmp_path / "a.bmp", "bmp") == ()
    assert read_recipe(tmp_path / "a.bmp") is None


def test_a_png_tells_its_recipe_to_programs_that_know_no_xmp(tmp_path):
    save(painted(), tmp_path / "a.png", "png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["stylekit"] == RECIPE


def test_a_recipe_of_an_earlier_painting_is_replaced(tmp_path):
    path = tmp_path / "a.jpg"
    save(painted(xmp=XMP), path, "jpeg")
    photo = load(path)
    save(dataclasses.replace(photo, metadata=dataclasses.replace(photo.metadata, recipe="{}")), path, "jpeg")
    assert read_recipe(path) == "{}"
    assert path.read_bytes().count(b"stylekit:recipe") == 1


def test_an_image_given_back_to_a_program_carries_its_recipe():
    assert photo_from_image(photo_to_image(painted())).metadata.recipe == RECIPE


def test_xmp_too_large_for_jpeg_gives_way_to_the_recipe(tmp_path):
    large = XMP.replace(b"a&#10;b", b"x" * 65_400)
    assert save(painted(xmp=large), tmp_path / "a.jpg", "jpeg") == ("XMP dropped: too large for JPEG",)
    assert read_recipe(tmp_path / "a.jpg") == RECIPE
    assert load(tmp_path / "a.jpg").metadata.xmp is None


def test_corrupt_xmp_gives_way_to_the_recipe(tmp_path):
    save(painted(xmp=b"<x:xmpmeta"), tmp_path / "a.jpg", "jpeg")
    assert read_recipe(tmp_path / "a.jpg") == RECIPE


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe1\xff\xff"])
def test_a_file_that_cannot_be_read_has_no_recipe(content, tmp_path):
    (tmp_path / "a.jpg").write_bytes(content)
    assert read_recipe(tmp_path / "a.jpg") is None
    assert read_recipe(tmp_path / "missing.jpg") is None
    assert read_recipe(tmp_path) is None


@pytest.mark.parametrize("xmp", [b"urn:stylekit:xmp:1.0/", XMP.replace(b"<x:", b"<!DOCTYPE a><x:", 1)])
def test_corrupt_or_hostile_xmp_has_no_recipe(xmp, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", xmp=xmp + b"urn:stylekit:xmp:1.0/")
    assert read_recipe(tmp_path / "a.jpg") is None


@pytest.mark.parametrize("format", HOLDING)
def test_the_recipe_is_read_without_decoding(format, tmp_path):
    need(format)
    noise = np.random.default_rng(0).integers(0, 256, (2000, 2000, 3), dtype=np.uint8)
    save(dataclasses.replace(painted(), pixels=noise), tmp_path / "a.bin", format)
    start = time.perf_counter()
    for _ in range(10):
        assert read_recipe(tmp_path / "a.bin") == RECIPE
    assert time.perf_counter() - start < 0.2


@pytest.mark.parametrize("format", ["webp", "avif", "heic"])
def test_the_recipe_is_read_without_code_that_can_crash(format, tmp_path, monkeypatch):
    need(format)
    save(painted(xmp=XMP), tmp_path / "a.bin", format)
    monkeypatch.setattr(Image, "open", lambda *_arguments, **_options: pytest.fail("opened by Pillow"))
    assert read_recipe(tmp_path / "a.bin") == RECIPE


@pytest.mark.parametrize("format", HOLDING)
def test_a_truncated_or_damaged_file_is_no_obstacle(format, tmp_path):
    need(format)
    path = tmp_path / "a.bin"
    save(painted(), path, format)
    data = path.read_bytes()
    chance = np.random.default_rng(0)
    for length in chance.integers(0, len(data), 60):
        path.write_bytes(data[:length])
        assert read_recipe(path) in (None, RECIPE)
        damaged = bytearray(data)
        damaged[length] ^= 255
        path.write_bytes(damaged)
        assert read_recipe(path) is None or isinstance(read_recipe(path), str)
