"""Shapes of frames: pixels that are not square, and sizes that a format cannot hold."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from tests.video.test_paint import difference, paint
from tests.video_material import frames_of, photo, write_video

av = pytest.importorskip("av")


def anamorphic(path, aspect, image=None):
    """Write a video whose pixels are not square."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(photo(number) if image is None else image, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def displayed(path):
    """Return the width and height at which a video is displayed, with its own number of rows or columns."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        aspect = stream.sample_aspect_ratio or Fraction(1)
        return stream.width * aspect, stream.height


@pytest.mark.parametrize("aspect", [Fraction(4, 3), Fraction(3, 4)])
@pytest.mark.parametrize("name", ["b.mp4", "b.mov", "b.mkv", "b.webm", "c.mkv", "c.mp4"])
def test_videos_are_displayed_in_the_same_shape(tmp_path, name, aspect):
    source = anamorphic(tmp_path / "a.mp4", aspect)
    paint(source, tmp_path / name, codec="vp9" if name.startswith("c") else "auto")
    width, height = displayed(tmp_path / name)
    assert float(width / height) == pytest.approx(float(64 * aspect / 48), rel=0.03)


@pytest.mark.parametrize("name", ["b.gif", "b.webp"])
def test_animations_of_videos_have_square_pixels(tmp_path, name):
    source = anamorphic(tmp_path / "a.mp4", Fraction(4, 3))
    report = paint(source, tmp_path / name)
    with Image.open(tmp_path / name) as animation:
        assert animation.size == (report.width, report.height) == (85, 48)
    paint(source, tmp_path / name, max_size=40)
    with Image.open(tmp_path / name) as animation:
        assert animation.size == (40, 23)


def test_an_absurd_aspect_does_not_enlarge_the_frames(tmp_path):
    source = anamorphic(tmp_path / "a.mp4", Fraction(200, 1))
    report = paint(source, tmp_path / "b.webm")
    assert (report.width, report.height) == (64, 48)


def edged(width, height):
    """Return an image with a red last row and a red last column."""
    image = np.full((height, width, 3), 128, np.uint8)
    image[-3:] = image[:, -3:] = (200, 40, 40)
    return image


@pytest.mark.parametrize(("size", "max_size"), [((90, 66), 45), ((91, 67), None), ((66, 90), 45)])
def test_no_row_or_column_is_lost_where_the_number_becomes_even(tmp_path, size, max_size):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = "bgr0"
        frame = av.VideoFrame.from_ndarray(edged(*size), "rgb24").reformat(format="bgr0")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux([*stream.encode(frame), *stream.encode(None)])
    report = paint(path, tmp_path / "b.mp4", max_size=max_size)
    image = frames_of(tmp_path / "b.mp4")[1][0].astype(int)
    assert image.shape == (report.height, report.width, 3)
    assert not any(side % 2 for side in image.shape[:2])
    redness = image[..., 0] - image[..., 1]
    assert redness[-1].mean() > 60
    assert redness[:, -1].mean() > 60


def test_no_row_of_an_animation_is_lost_in_a_video(tmp_path):
    first, *others = [Image.fromarray(edged(65, 49))] * 3
    first.save(tmp_path / "a.webp", save_all=True, append_images=others, duration=100, lossless=True)
    paint(tmp_path / "a.webp", tmp_path / "b.mp4")
    image = frames_of(tmp_path / "b.mp4")[1][0].astype(int)
    assert image.shape == (48, 64, 3)
    assert (image[..., 0] - image[..., 1])[-1].mean() > 60


def test_even_sizes_are_kept(tmp_path):
    source = write_video(tmp_path / "a.mp4", [photo(0)], sound=False)
    paint(source, tmp_path / "b.mp4")
    assert difference(frames_of(tmp_path / "b.mp4")[1][0], photo(0)) < 8
