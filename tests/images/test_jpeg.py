"""JPEGs without their end: whole images are read, and those that lack pixels are rejected."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.image_material import load, rejected

END = b"\xff\xd9"
KINDS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "without subsampling": {"subsampling": 0},
    "restarts": {"restart_marker_blocks": 3},
    "progressive": {"progressive": True},
    "progressive with restarts": {"progressive": True, "restart_marker_rows": 1},
}


def jpeg(image, **options):
    file = io.BytesIO()
    image.save(file, "JPEG", **{"quality": 90, **options})
    return file.getvalue()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("junk", [b"", bytes(500), b"\xff" * 500])
def test_a_jpeg_that_lacks_only_its_end_is_read(kind, junk, make_photo, tmp_path):
    data = jpeg(make_photo(160, 106), **KINDS[kind])
    (tmp_path / "whole.jpg").write_bytes(data)
    (tmp_path / "a.jpg").write_bytes(data[:-2] + junk)
    assert np.array_equal(load(tmp_path / "a.jpg").pixels, load(tmp_path / "whole.jpg").pixels)
    assert load(tmp_path / "a.jpg", max_size=40).pixels.shape == (26, 40, 3)


@pytest.mark.parametrize("missing", [10, 30, 200])
@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_that_lacks_pixels_is_truncated(missing, kind, make_photo, tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg(make_photo(160, 106), **KINDS[kind])[:-missing])
    assert rejected(tmp_path / "a.jpg") == "a.jpg is truncated."


def scan_data(data):
    """Return where the pixels of the first scan start."""
    scan = data.index(b"\xff\xda")
    return scan + 2 + int.from_bytes(data[scan + 2 : scan + 4], "big")


@pytest.mark.parametrize("tail", ["end", "zeros", "ones"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["baseline", "without subsampling", "restarts"])
def test_missing_pixels_are_noticed_whatever_follows(kind, share, tail, make_photo, tmp_path):
    data = jpeg(make_photo(160, 106), **KINDS[kind])
    start = scan_data(data)
    cut = start + round(share * (len(data) - start))
    rest = {"end": END, "zeros": bytes(len(data) - cut), "ones": b"\xff" * (len(data) - cut)}[tail]
    (tmp_path / "a.jpg").write_bytes(data[:cut] + rest)
    assert rejected(tmp_path / "a.jpg") == "a.jpg is truncated."
    assert rejected(tmp_path / "a.jpg", max_size=40) == "a.jpg is truncated."


def test_a_progressive_jpeg_cut_within_its_first_scan_is_truncated(make_photo, tmp_path):
    data = jpeg(make_photo(160, 106), progressive=True)
    first = scan_data(data)
    (tmp_path / "a.jpg").write_bytes(data[: (first + data.index(b"\xff\xc4", first)) // 2] + END)
    assert rejected(tmp_path / "a.jpg") == "a.jpg is truncated."


def test_a_progressive_jpeg_without_its_last_scans_is_noted(make_photo, tmp_path):
    data = jpeg(make_photo(160, 106), progressive=True)
    last = data.rindex(b"\xff\xc4")
    (tmp_path / "a.jpg").write_bytes(data[:last] + END)
    assert load(tmp_path / "a.jpg").notes == ("the image may be blurred: its last scans are missing",)
    (tmp_path / "whole.jpg").write_bytes(data)
    assert load(tmp_path / "whole.jpg").notes == ()
    (tmp_path / "b.jpg").write_bytes(data[:last])
    assert rejected(tmp_path / "b.jpg") == "b.jpg is truncated."


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("tail", [b"", END, END + bytes(5000)])
@pytest.mark.parametrize("progressive", [False, True])
def test_an_image_that_is_really_gray_is_read(mode, tail, progressive, tmp_path):
    image = Image.new(mode, (40, 30), (128,) * len(mode))
    (tmp_path / "a.jpg").write_bytes(jpeg(image, progressive=progressive).removesuffix(END) + tail)
    photo = load(tmp_path / "a.jpg")
    assert photo.pixels.shape == (30, 40, 3)
    assert photo.notes == ()


def test_what_cameras_add_after_a_jpeg_is_no_damage(make_photo, tmp_path):
    image = make_photo(40, 30)
    image.paste((128, 128, 128), (20, 10, 40, 30))
    (tmp_path / "a.jpg").write_bytes(jpeg(image) + b"\0\0\0\x18ftypmp42" + bytes(100))
    assert load(tmp_path / "a.jpg").pixels.shape == (30, 40, 3)


def test_line_breaks_before_a_jpeg_are_skipped(make_photo, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"\r\n" + jpeg(make_photo(40, 30)))
    assert load(tmp_path / "a.jpg").pixels.shape == (30, 40, 3)
