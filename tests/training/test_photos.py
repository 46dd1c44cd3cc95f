"""Training photos: which are found, how each kind is read, and crops that depend on seed and step alone."""

import functools
import hashlib
import http.server
import io
import sys
import threading
import zipfile
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import Base

from stylekit.errors import ChecksumMismatch, DatasetError
from stylekit.system.paths import cache_dir
from stylekit.system.prefetch import prefetch
from stylekit.training import photos as training_photos
from stylekit.training.photos import CropSampler, FolderSource, open_photos


def encoded(image, format="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def flat(color=(200, 100, 50), size=(40, 30), mode="RGB"):
    return Image.new("RGB", size, color).convert(mode)


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def write_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


class Memory:
    """A photo source of encoded images."""

    def __init__(self, *images):
        self._images = images
        self.names: Sequence[str] = [f"{number}" for number in range(len(images))]

    def open(self, index):
        return io.BytesIO(self._images[index])


def sampler(source, crop_size=32, batch_size=1, seed=0):
    return CropSampler(source, crop_size=crop_size, batch_size=batch_size, seed=seed)


@functools.cache
def png():
    """Return an image in which no two crops are alike."""
    return encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)))


# --- Finding photos


FILES = {
    "b.JPG": b"",
    "a.png": b"",
    "deep/er/c.jpeg": b"",
    "deep/a.webp": b"",
    ".hidden.jpg": b"",
    "._b.jpg": b"",
    ".thumbnails/x.jpg": b"",
    "deep/.git/x.png": b"",
    "notes.txt": b"",
    "Thumbs.db": b"",
    "no suffix": b"",
    "movie.mp4": b"",
}
FOUND = ["a.png", "b.JPG", "deep/a.webp", "deep/er/c.jpeg"]


def test_a_folder_trees_photos_are_found_in_order_without_hidden_and_other_files(tmp_path):
    source = open_photos(write(tmp_path / "photos", FILES))
    assert source.names == FOUND


def test_a_zips_photos_are_found_in_order_without_hidden_and_other_files(tmp_path):
    source = open_photos(write_zip(tmp_path / "photos.zip", {**FILES, "__MACOSX/._b.jpg": b"", "album.jpg/": b""}))
    assert source.names == FOUND


@pytest.mark.skipif(sys.platform == "win32", reason="links need privileges there")
def test_linked_folders_are_followed(tmp_path):
    write(tmp_path / "elsewhere", {"c.png": b""})
    folder = write(tmp_path / "photos", {"a.png": b"", "d/e.png": b""})
    (folder / "b").symlink_to(tmp_path / "elsewhere")
    (folder / "loop").symlink_to(folder)
    assert open_photos(folder).names == ["a.png", "b/c.png", "d/e.png"]


def test_a_folder_may_be_given_as_text_and_may_itself_be_hidden(tmp_path):
    write(tmp_path / ".photos", {"a.png": b"content"})
    source = open_photos(str(tmp_path / ".photos"))
    assert source.names == ["a.png"]
    with source.open(0) as file:
        assert file.read() == b"content"


def test_a_zip_is_read_without_unpacking_it(tmp_path):
    archive = write_zip(tmp_path / "photos.zip", {"deep/a.png": png(), "b.png": png()})
    source = open_photos(archive)
    with source.open(1) as file:
        assert file.read() == png()
    assert sampler(source).batch(0).shape == (1, 3, 32, 32)
    assert [path.name for path in tmp_path.iterdir()] == ["photos.zip"]


def test_a_zip_gives_the_crops_that_its_folder_gives(tmp_path):
    files = {"a.png": png(), "b.png": encoded(flat()), "c/d.png": encoded(flat((0, 0, 255)))}
    folder, archive = open_photos(write(tmp_path / "photos", files)), open_photos(write_zip(tmp_path / "p.zip", files))
    assert np.array_equal(sampler(folder, batch_size=8).batch(3), sampler(archive, batch_size=8).batch(3))


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"nowhere does not exist") as rejected:
        open_photos(tmp_path / "nowhere")
    assert "coco" in rejected.value.hint


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"a text"])
def test_a_file_that_is_not_a_zip_is_named(tmp_path, content):
    (tmp_path / "photos.zip").write_bytes(content)
    with pytest.raises(DatasetError, match=r"photos\.zip is neither a folder nor a zip"):
        open_photos(tmp_path / "photos.zip")


@pytest.mark.parametrize("name", ["photos", "photos.zip"])
def test_a_missing_permission_is_not_called_a_missing_folder(tmp_path, without_permission, name):
    write(tmp_path / "photos", {"a.png": png()})
    write_zip(tmp_path / "photos.zip", {"a.png": png()})
    without_permission(tmp_path / name)
    with pytest.raises(DatasetError, match=f"Cannot read .*{name}: Permission denied"):
        open_photos(tmp_path / name)


# --- Photos that cannot be read


def test_unreadable_photos_are_skipped_counted_and_named_with_the_reason(tmp_path):
    broken = {
        "cut.jpg": encoded(Image.effect_noise((64, 64), 90), "JPEG")[:900],
        "text.png": b"not an image",
        "nothing.jpg": b"",
    }
    crops = sampler(FolderSource(write(tmp_path, {"a.png": png(), **broken, "z.png": png()})))
    for step in range(40):
        assert crops.batch(step).shape == (1, 3, 32, 32)
    assert crops.unreadable.keys() == broken.keys()
    assert all(reason and "\n" not in reason for reason in crops.unreadable.values())
    assert "truncated" in crops.unreadable["cut.jpg"]


def avif_without_its_item():
    """Return an AVIF whose list of images was lost: its decoder raises a RuntimeError."""
    return encoded(flat(), "AVIF").replace(b"iloc", b"free", 1)


def jpeg_with_odd_exif():
    """Return a JPEG whose EXIF gives the width as text: turning it upright raises a struct.error."""
    exif = Image.Exif()
    exif[Base.Orientation] = 6
    exif[Base.ImageDescription] = "a text"
    whole = encoded(flat(), "JPEG", exif=exif)
    return whole.replace(b"\x01\x0e\x00\x02", b"\x01\x00\x00\x02", 1)


def zip_with_a_damaged_member(path):
    """Write a zip in which the first image's compressed stream is overwritten."""
    write_zip(path, {name: encoded(Image.linear_gradient("L"), "BMP") for name in ("a.bmp", "b.bmp", "c.bmp")})
    content = bytearray(path.read_bytes())
    content[100:140] = b"\xff" * 40
    path.write_bytes(content)
    return path


def zip_with_an_encrypted_member(path):
    """Write a zip whose first image is encrypted."""
    write_zip(path, {name: png() for name in ("a.bmp", "b.bmp", "c.bmp")})
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("damage", [zip_with_a_damaged_member, zip_with_an_encrypted_member])
def test_a_photo_that_cannot_be_read_from_its_zip_is_skipped(tmp_path, damage):
    crops = sampler(open_photos(damage(tmp_path / "photos.zip")))
    assert crops.batch(0).shape == (1, 3, 32, 32)
    assert [*crops.unreadable] == ["a.bmp"]


@pytest.mark.parametrize("damaged", [avif_without_its_item, jpeg_with_odd_exif])
def test_a_corrupt_photo_does_not_stop_the_training_whatever_its_decoder_raises(damaged):
    crops = sampler(Memory(damaged(), png(), png()))
    for step in range(10):
        assert crops.batch(step).shape == (1, 3, 32, 32)
    assert {*crops.unreadable} <= {"0"}  # the second one's pixels are fine


def test_a_photo_that_vanishes_during_the_training_is_skipped(tmp_path):
    crops = sampler(FolderSource(write(tmp_path, {"a.png": png(), "b.png": png(), "c.png": png()})))
    (tmp_path / "b.png").unlink()
    for step in range(30):
        crops.batch(step)
    assert [*crops.unreadable] == ["b.png"]


@pytest.mark.parametrize(
    ("images", "found"),
    [([], "0 found, 0"), ([b"text"], "0 found, 1"), ([b"text", png(), b""], "1 found, 2")],
    ids=["none", "none readable", "one readable"],
)
def test_training_needs_two_readable_photos(images, found):
    with pytest.raises(DatasetError, match=found) as rejected:
        sampler(Memory(*images))
    assert "coco" in rejected.value.hint


def test_a_training_whose_photos_all_vanish_stops_with_an_error(tmp_path):
    crops = sampler(FolderSource(write(tmp_path, {"a.png": png(), "b.png": png()})))
    for path in tmp_path.iterdir():
        path.unlink()
    with pytest.raises(DatasetError, match="unreadable"):
        for step in range(20):  # a few crops are plain skies, without a photo
            crops.batch(step)


# --- Crops


@pytest.mark.parametrize(("batch_size", "crop_size"), [(1, 32), (3, 48)])
def test_crops_are_float32_planes_from_0_to_1(batch_size, crop_size):
    crops = sampler(Memory(png(), png()), batch_size=batch_size, crop_size=crop_size)
    for batch in map(crops.batch, range(12)):
        assert batch.shape == (batch_size, 3, crop_size, crop_size)
        assert batch.dtype == np.float32
        assert batch.min() >= 0
        assert batch.max() <= 1


def test_crops_follow_from_seed_and_step_alone():
    source = Memory(png(), encoded(flat()), b"broken", encoded(flat((0, 0, 9))))
    first, second = (sampler(source, batch_size=2, seed=5) for _ in range(2))
    forwards = [first.batch(step) for step in range(6)]
    np.random.seed(1)  # the global generator does not matter
    backwards = [second.batch(step) for step in reversed(range(6))][::-1]
    assert np.array_equal(forwards, backwards)
    assert np.array_equal(first.batch(2), forwards[2])


def test_crops_of_several_threads_are_those_of_one():
    source = Memory(png(), b"broken", png())
    ahead = prefetch(sampler(source, batch_size=2).batch, range(16), workers=4, buffer=8)
    assert np.array_equal(list(ahead), [sampler(source, batch_size=2).batch(step) for step in range(16)])


def test_another_step_or_seed_gives_other_crops():
    source = Memory(png(), png())
    batches = [sampler(source, batch_size=2, seed=seed).batch(step) for seed in range(3) for step in range(3)]
    assert len({batch.tobytes() for batch in batches}) == 9


def photo_crops_of(image, number):
    """Return crops of photos whose blue channel is 0, without those that got a plain sky, whose blue is not."""
    crops = sampler(Memory(image, image))
    batches = (crops.batch(step)[0] for step in range(number))
    return [crop for crop in batches if not crop[2].any()]


def ramp(vertical=False, size=(256, 256), **options):
    """Return a red gradient from dark at the left (or top) to bright."""
    red = Image.linear_gradient("L").resize(size)
    red = red if vertical else Image.linear_gradient("L").rotate(90).resize(size)
    black = Image.new("L", size)
    return encoded(Image.merge("RGB", (red, black, black)), **options)


def test_half_of_the_crops_are_mirrored_from_left_to_right_and_none_upside_down():
    rightwards = [crop[0, :, -1].mean() > crop[0, :, 0].mean() for crop in photo_crops_of(ramp(), 100)]
    assert 0.3 < np.mean(rightwards) < 0.7
    downwards = [crop[0, -1].mean() > crop[0, 0].mean() for crop in photo_crops_of(ramp(vertical=True), 100)]
    assert all(downwards)


def test_crops_cover_from_most_of_the_shorter_side_to_all_of_it():
    shares = [np.ptp(crop[0]) for crop in photo_crops_of(ramp(vertical=True, size=(300, 256)), 100)]
    assert 0.67 < min(shares) < 0.75
    assert 0.9 < max(shares) <= 1


def test_crops_are_taken_from_everywhere():
    wide = ramp(size=(256, 64))
    middles = [crop[0].mean() for crop in photo_crops_of(wide, 100)]
    assert min(middles) < 0.2
    assert max(middles) > 0.8


@pytest.mark.parametrize("size", [(5, 4), (1, 1), (1, 300), (300, 20)])
def test_photos_smaller_than_the_crop_are_enlarged(size):
    crops = photo_crops_of(encoded(flat((200, 100, 0), size)), 4)
    assert crops
    for crop in crops:
        assert crop.shape == (3, 32, 32)
        assert crop[:, 5, 7] * 255 == pytest.approx([200, 100, 0], abs=0.01)


# The orientation in EXIF, and how an image that is dark at the left looks upright.
@pytest.mark.parametrize(
    ("orientation", "vertical", "bright"),
    [(1, False, None), (3, False, None), (6, True, "bottom"), (8, True, "top")],
)
def test_photos_are_turned_as_their_camera_was_held(orientation, vertical, bright):
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    for crop in photo_crops_of(ramp(size=(64, 64), exif=exif), 12):
        across, down = crop[0].mean(0), crop[0].mean(1)
        assert (np.ptp(down) > np.ptp(across)) == vertical
        if vertical:
            assert ("bottom" if down[-1] > down[0] else "top") == bright


RED = (200, 0, 0)
GRAY = (60, 60, 60)  # the luma of that red


@pytest.mark.parametrize(
    ("image", "color"),
    [
        (encoded(flat(RED, mode="L")), GRAY),
        (encoded(flat(RED, mode="LA")), GRAY),
        (encoded(flat(RED, mode="L"), "JPEG", quality=100), GRAY),
        (encoded(flat(RED, mode="P")), RED),
        (encoded(flat(RED), "GIF"), RED),
        (encoded(flat(RED, mode="RGBA")), RED),
        (encoded(flat(RED, mode="CMYK"), "JPEG", quality=100), RED),
        (encoded(flat(RED, mode="CMYK"), "TIFF"), RED),
        (encoded(Image.new("1", (40, 30), 1)), (255, 255, 255)),
        (encoded(Image.fromarray(np.full((30, 40), 60 * 257, np.uint16))), GRAY),
        (encoded(Image.fromarray(np.full((30, 40), 60 * 257, np.uint16)), "TIFF"), GRAY),
        (encoded(flat(RED), "WEBP", lossless=True), RED),
        (encoded(flat(RED), "AVIF", quality=100), RED),
    ],
    ids=[
        "gray PNG",
        "gray PNG with alpha",
        "gray JPEG",
        "palette PNG",
        "GIF",
        "RGBA",
        "CMYK JPEG",
        "CMYK TIFF",
        "black and white",
        "16-bit PNG",
        "16-bit TIFF",
        "WebP",
        "AVIF",
    ],
)
def test_photos_of_every_kind_give_rgb(image, color):
    crops = sampler(Memory(image, image))
    middles = [crop[:, 16, 16] * 255 for crop in (crops.batch(step)[0] for step in range(8))]
    assert np.median(middles, axis=0) == pytest.approx(color, abs=6)  # the median: a plain crop may be among them
    assert crops.unreadable == {}


def test_heic_photos_are_read_where_the_extra_is_installed(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    for name in ("a.heic", "b.heic"):
        pillow_heif.from_pillow(flat(RED, (64, 64))).save(tmp_path / name, quality=95)
    crops = sampler(open_photos(tmp_path))
    middles = [crop[:, 16, 16] * 255 for crop in (crops.batch(step)[0] for step in range(8))]
    assert np.median(middles, axis=0) == pytest.approx(RED, abs=6)


def test_decoding_large_photos_at_a_fraction_of_their_size_is_not_visible():
    rows, columns = np.mgrid[0:600, 0:900]
    squares = (rows // 20 + columns // 20) % 2 * 100
    image = Image.fromarray(np.stack([columns * 255 // 900, rows * 255 // 600, squares], -1).astype(np.uint8))
    images = encoded(image), encoded(image, "JPEG", quality=98)
    lossless, reduced = (sampler(Memory(image, image), crop_size=128) for image in images)
    for step in range(8):
        assert np.abs(lossless.batch(step) - reduced.batch(step)).mean() < 0.03


# --- Plain skies


_SURELY_SKY = 7  # of 24 rows


@pytest.fixture(scope="module")
def crops_with_skies():
    """Return the crops with a plain sky among 1,600 crops of black photos, which are black without one."""
    black = encoded(Image.new("RGB", (24, 24)))
    crops = CropSampler(Memory(black, black), crop_size=24, batch_size=16, seed=0)
    return [crop for step in range(100) for crop in crops.batch(step) if crop.any()]


def test_one_crop_in_twenty_has_a_plain_sky(crops_with_skies):
    assert 54 <= len(crops_with_skies) <= 106  # 80 expected, 8.7 the standard deviation


def test_skies_extend_from_the_top_and_some_cover_the_whole_crop(crops_with_skies):
    rows = [np.flatnonzero(crop.any(axis=(0, 2))) for crop in crops_with_skies]
    depths = [len(covered) for covered in rows]
    assert all(covered[-1] == depth - 1 for covered, depth in zip(rows, depths, strict=True))
    assert min(depths) >= _SURELY_SKY
    assert max(depths) == 24
    assert len(set(depths)) > 10


def test_skies_are_nearly_flat_or_gradients_or_noise(crops_with_skies):
    skies = [crop[:, :_SURELY_SKY] for crop in crops_with_skies]
    faint = [sky for sky in skies if np.abs(np.diff(sky, n=2, axis=2)).std() < 0.05]
    ends = [np.abs(sky[..., :4].mean((1, 2)) - sky[..., -4:].mean((1, 2))).max() for sky in faint]
    level = [sky for sky, difference in zip(faint, ends, strict=True) if difference < 0.05]
    noisy = [sky for sky in skies if np.abs(np.diff(sky, n=2, axis=2)).std() > 0.1]
    for kind in (level, noisy):
        assert len(kind) >= 10
    assert len(faint) - len(level) >= 5


def test_no_sky_is_exactly_flat(crops_with_skies):
    # instance normalization would divide by a deviation of zero in every layer, and gradients would explode
    assert min(crop[:, :_SURELY_SKY].reshape(3, -1).std(axis=1).min() for crop in crops_with_skies) > 0.003
    assert all(crop.min() >= 0 and crop.max() <= 1 for crop in crops_with_skies)


# --- Photos for contact sheets


def test_examples_are_the_first_readable_photos_uncropped():
    crops = sampler(Memory(b"broken", encoded(flat(size=(40, 30))), encoded(flat(size=(7, 9))), png()))
    assert [photo.size for photo in crops.examples(2)] == [(40, 30), (7, 9)]
    assert len(crops.examples(9)) == 3


# --- COCO


@pytest.fixture
def coco(tmp_path, monkeypatch):
    """Serve a small COCO on this machine; yield the paths that were requested."""
    archive = write_zip(tmp_path / "val2017.zip", {"val2017/": b"", "val2017/b.png": png(), "val2017/a.png": png()})
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(tmp_path))

        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(training_photos, "COCO_URL", f"http://127.0.0.1:{server.server_port}/val2017.zip")
    monkeypatch.setattr(training_photos, "COCO_SHA256", hashlib.sha256(archive.read_bytes()).hexdigest())
    yield asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_coco_is_downloaded_once_into_the_cache_and_read_from_its_zip(coco):
    for _ in range(2):
        source = open_photos("coco")
        assert source.names == ["val2017/a.png", "val2017/b.png"]
        assert sampler(source).batch(0).shape == (1, 3, 32, 32)
    assert coco == ["/val2017.zip"]
    cached = [path for path in cache_dir().rglob("*") if path.is_file()]
    assert [path.suffix for path in cached] == [".zip"]


def test_coco_with_another_checksum_is_rejected_and_deleted(coco, monkeypatch):
    monkeypatch.setattr(training_photos, "COCO_SHA256", "0" * 64)
    with pytest.raises(ChecksumMismatch):
        open_photos("coco")
    assert [path for path in cache_dir().rglob("*") if path.is_file()] == []
