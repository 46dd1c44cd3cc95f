"""Photos written as image files."""

import dataclasses
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from stylekit.errors import ConfigError, ImageError
from stylekit.images.formats import FORMATS
from stylekit.images.photo import Metadata, Photo
from stylekit.images.writing import check_writable
from tests.image_material import LOSSLESS, load, need, save


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
def test_every_format_that_holds_transparency_keeps_it(format, pixels, tmp_path):
    need(format)
    alpha = np.linspace(0, 255, 16 * 24).reshape(16, 24).astype(np.uint8)
    path = tmp_path / f"a{FORMATS[format].suffix}"
    assert save(Photo(pixels, alpha), path, quality=100) == ()
    error = np.abs(load(path).alpha.astype(int) - alpha).max()
    assert error == 0 if format in LOSSLESS else error <= 3


@pytest.mark.parametrize("format", ["jpeg", "bmp"])
def test_transparency_is_flattened_onto_white_for_other_formats(format, tmp_path):
    photo = Photo(np.full((8, 8, 3), 100, np.uint8), np.full((8, 8), 128, np.uint8))
    path = tmp_path / f"a{FORMATS[format].suffix}"
    assert save(photo, path) == (f"transparency flattened onto white: {format.upper()} does not support it",)
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


def test_jpeg_has_full_color_resolution(pixels, tmp_path):
    save(Photo(pixels), tmp_path / "a.jpg", quality=90)
    with Image.open(tmp_path / "a.jpg") as image:
        assert isinstance(image, JpegImageFile)
        assert [component[1:3] for component in image.layer] == [(1, 1)] * 3


def test_noise_at_the_highest_quality_is_written_as_jpeg(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (600, 800, 3), dtype=np.uint8)
    save(Photo(noise), tmp_path / "a.jpg", quality=100)
    assert np.abs(load(tmp_path / "a.jpg").pixels.astype(int) - noise).mean() < 2


def test_decoder_is_chosen_by_content(pixels, written):
    assert np.array_equal(load(written("a.jpg", pixels, "PNG")).pixels, pixels)


@pytest.mark.parametrize(("format", "side"), [("jpeg", 65_501), ("webp", 16_384), ("avif", 65_537), ("heic", 65_536)])
def test_an_image_too_large_for_a_format_is_rejected_with_those_that_hold_it(format, side, tmp_path, capfd):
    need(format)
    path = tmp_path / "long.xyz"
    with pytest.raises(ImageError, match=rf"long\.xyz: {format.upper()} .*{side:,}") as caught:
        save(Photo(np.zeros((1, side, 3), np.uint8)), path, format)
    assert "PNG or TIFF" in caught.value.hint
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("format", ["jpeg", "webp"])
def test_largest_side_of_a_format_is_written(format, tmp_path):
    path = tmp_path / "long.bin"
    save(Photo(np.zeros((1, FORMATS[format].longest_side, 3), np.uint8)), path, format)
    assert load(path).pixels.shape == (1, FORMATS[format].longest_side, 3)


def test_unknown_format_is_rejected(pixels, tmp_path):
    with pytest.raises(ConfigError, match="'gif'"):
        save(Photo(pixels), tmp_path / "a.gif", "gif")


@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "webp"])
def test_a_full_disk_is_an_error_and_keeps_the_old_file(format, tmp_path):
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


def test_a_folder_that_cannot_be_created_is_an_error(pixels, tmp_path):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "a.png"
    with pytest.raises(ImageError, match="Cannot write") as caught:
        save(Photo(pixels), path)
    assert str(path) in caught.value.message


def test_a_failing_encoder_is_an_error(pixels, tmp_path, monkeypatch):
    def fail(*_args, **_options):
        raise ValueError("encoding error 6")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(ImageError, match="encoding error 6"):
        save(Photo(pixels), tmp_path / "a.webp")
    assert list(tmp_path.iterdir()) == []


def test_the_check_leaves_nothing(tmp_path):
    check_writable(tmp_path / "new" / "folder" / "a.png", format="png")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ImageError, match="Cannot write") as caught:
        check_writable(tmp_path / "file" / "a.png", format="png")
    assert caught.value.hint.endswith(", or choose another --output.")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not say whether a process is running")
def test_the_folder_of_a_killed_check_is_cleared_by_a_later_one(tmp_path):
    script = (
        "import os, sys, pathlib, stylekit.images.writing as writing\n"
        "writing.save_photo = lambda *arguments, **options: os._exit(9)\n"
        "writing.check_writable(pathlib.Path(sys.argv[1]), format='png')"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "a.png")]
    assert subprocess.run(command, env=os.environ, check=False).returncode == 9
    (leftover,) = tmp_path.iterdir()
    check_writable(tmp_path / "a.png", format="png")
    assert leftover.exists()  # it may belong to a running process of another container
    two_hours_ago = time.time() - 7200
    os.utime(leftover, (two_hours_ago, two_hours_ago))
    check_writable(tmp_path / "a.png", format="png")
    assert list(tmp_path.iterdir()) == []
