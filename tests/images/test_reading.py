"""Images read from files and from programs: sizes, frames, limits, and files that cannot be read."""

import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import IFD, Base

from stylekit.errors import ImageError
from stylekit.images.photo import Photo, photo_to_image
from stylekit.images.reading import as_painting, as_photo, photo_from_image
from tests.image_material import SRGB, STORED, XMP, load, make_exif, need, png_of, rejected, save


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_longer_side_is_reduced_and_shape_kept(suffix, make_photo, written):
    path = written(f"a{suffix}", make_photo(801, 400))
    photo = load(path, max_size=100)
    assert photo.pixels.shape == (50, 100, 3)
    reference = np.asarray(Image.open(path).resize((100, 50), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(photo.pixels - reference).mean() < 2


def test_small_images_are_never_enlarged(pixels, written):
    assert np.array_equal(load(written("a.png", pixels), max_size=1000).pixels, pixels)


def test_thin_images_keep_a_pixel(written):
    assert load(written("a.png", np.zeros((2001, 7, 3), np.uint8)), max_size=20).pixels.shape == (20, 1, 3)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.avif"])
def test_the_first_frame_of_an_animation_is_used_with_a_note(name, written):
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "green", "blue")]
    photo = load(written(name, frames[0], save_all=True, append_images=frames[1:]))
    assert photo.notes == ("animated: only the first of 3 frames is used",)
    assert photo.pixels[8, 8].tolist() == pytest.approx((255, 0, 0), abs=8)


def test_previews_that_a_camera_adds_need_no_note(written, pixels):
    path = written("a.jpg", pixels, "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    assert load(path).notes == ()
    assert load(path).pixels.shape == (16, 24, 3)
    assert load(path, max_size=6).pixels.shape == (4, 6, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".gif", ".bmp", ".tif"])
def test_a_truncated_file_is_reported_as_such(suffix, make_photo, written):
    path = written(f"lion{suffix}", make_photo(200, 200))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert rejected(path) == f"lion{suffix} is truncated."


def test_an_empty_file_is_reported_as_such(tmp_path):
    (tmp_path / "lion.jpg").touch()
    assert rejected(tmp_path / "lion.jpg") == "lion.jpg is empty (0 bytes)."


def test_text_is_not_an_image(tmp_path):
    (tmp_path / "lion.jpg").write_text("<html>404</html>")
    assert rejected(tmp_path / "lion.jpg") == "lion.jpg is not a readable image."


def test_a_folder_is_not_an_image(tmp_path):
    (tmp_path / "lion.jpg").mkdir()
    assert rejected(tmp_path / "lion.jpg") == "lion.jpg is a folder, not an image."


def test_a_missing_file_is_reported_as_such(tmp_path):
    assert rejected(tmp_path / "lion.jpg") == "lion.jpg does not exist."


def test_file_below_a_file_cannot_exist(tmp_path):
    (tmp_path / "a").touch()
    assert "lion.jpg" in rejected(tmp_path / "a" / "lion.jpg")


def test_an_unreadable_file_is_reported_as_such(tmp_path, monkeypatch, pixels, written):
    path = written("lion.jpg", pixels)

    def forbidden(*_args, **_options):  # not by chmod, which root passes
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", forbidden)
    assert rejected(path) == "Cannot read lion.jpg: permission denied."


def test_lack_of_memory_is_reported_as_such(monkeypatch, pixels, written):
    path = written("lion.png", pixels)
    monkeypatch.setattr(Image, "open", lambda *_args, **_options: (_ for _ in ()).throw(MemoryError()))
    assert rejected(path) == "Not enough memory to read lion.png."


@pytest.mark.parametrize("format", ["PPM", "ICO", "PCX", "TGA", "EPS", "PDF", "JPEG2000"])
def test_formats_beyond_the_list_are_not_opened(format, pixels, written):
    assert "is not a readable image" in rejected(written("lion.jpg", pixels, format))


def test_an_image_over_the_limit_is_not_decoded(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of(2, 8, b"", (4_000, 5_000)))
    assert rejected(path) == "bomb.png has 4,000 × 5,000 pixels, over the limit of 10,000,000."


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".gif", ".bmp", ".avif"])
def test_the_limit_leaves_pillows_own_unchanged(suffix, monkeypatch, pixels, written):
    path = written(f"a{suffix}", pixels)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert load(path, max_pixels=24 * 16).pixels.shape == (16, 24, 3)
    assert caught == []
    assert Image.MAX_IMAGE_PIXELS == 10
    rejected(path, max_pixels=24 * 16 - 1)


def test_limit_and_warning_filters_are_the_programs_own_after_many_threads(monkeypatch, make_photo, written):
    paths = [written(f"{n}.jpg", make_photo(200, 150, seed=n), exif=make_exif()) for n in range(8)]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    filters = list(warnings.filters)
    seen: set[int | None] = set()
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
    assert seen
    assert all(limit is not None and limit >= 1000 for limit in seen)  # never lower than the program's own
    assert Image.MAX_IMAGE_PIXELS == 1000
    assert warnings.filters == filters


def test_limit_that_a_program_has_lifted_stays_lifted(monkeypatch, pixels, written):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    load(written("a.png", pixels))
    assert Image.MAX_IMAGE_PIXELS is None


def test_a_gif_that_is_too_large_for_pillow_is_rejected_as_such(tmp_path, monkeypatch):
    path = tmp_path / "bomb.gif"
    frame = b",\0\0\0\0\xff\xff\xff\xff\0\x02\x02L\x01\0;"
    path.write_bytes(b"GIF89a\x01\0\x01\0\x80\0\0" + bytes(6) + b"!\xf9\x04\x08\0\0\0\0" + frame)
    assert rejected(path, max_pixels=10**6) == "bomb.gif has far more pixels than the limit."


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


def test_image_given_by_a_program_is_turned_and_not_changed(pixels, written):
    path = written("a.jpg", np.ascontiguousarray(STORED[6](np.tile(pixels, (4, 4, 1)))), exif=make_exif(6))
    with Image.open(path) as image:
        photo = photo_from_image(image, max_size=48)
        assert image.size == (64, 96)
        assert image.getexif()[Base.Orientation] == 6
    assert photo.pixels.shape == (32, 48, 3)


def test_an_image_of_any_kind_is_taken_as_a_photo(pixels, written):
    path = written("a.png", pixels)
    for image in (str(path), path, Image.open(path), pixels):
        assert np.array_equal(as_photo(image, max_pixels=10**6).pixels, pixels)
        assert as_photo(image, max_pixels=10**6, max_size=12).pixels.shape == (8, 12, 3)
    with pytest.raises(ImageError, match="over the limit"):
        as_photo(path, max_pixels=100)


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


def test_a_painting_of_which_nothing_is_visible_is_rejected(pixels, written):
    for alpha in (0, 5):
        path = written("wave.png", np.dstack([pixels, np.full((16, 24), alpha, np.uint8)]))
        with pytest.raises(ImageError, match=r"The painting wave\.png is fully transparent"):
            as_painting(path, max_pixels=10**6)
        with pytest.raises(ImageError, match="The painting image is fully transparent"):
            as_painting(Image.open(path), max_pixels=10**6)
    seen = np.dstack([pixels, np.full((16, 24), 20, np.uint8)])
    assert np.array_equal(as_painting(Image.fromarray(seen), max_pixels=10**6).pixels, pixels)
    assert np.array_equal(as_painting(pixels, max_pixels=10**6).pixels, pixels)


@pytest.mark.parametrize("size", [(0, 0), (0, 5)])
def test_image_without_pixels_is_rejected(size):
    with pytest.raises(ImageError, match="no pixels"):
        photo_from_image(Image.new("RGB", size))


def test_an_image_whose_file_is_truncated_is_rejected(make_photo, written):
    path = written("a.jpg", make_photo(200, 200))
    path.write_bytes(path.read_bytes()[:2000])
    with Image.open(path) as image, pytest.raises(ImageError, match="truncated"):
        photo_from_image(image)


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


def test_the_primary_image_of_a_heic_is_used_with_a_note(written, pixels):
    need("heic")
    more = [Image.new("RGB", (64, 64), "red")]
    photo = load(written("a.heic", np.tile(pixels, (4, 4, 1)), save_all=True, append_images=more))
    assert photo.pixels.shape == (64, 96, 3)
    assert photo.notes == ("several images: only the primary one of 2 is used",)


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
