"""Colors of videos: HDR is tone-mapped as it is in photos, white stays white, and transparency is kept or noted."""

import struct
import zlib
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from stylekit.images.hdr import tone_map
from stylekit.images.reading import load_photo
from stylekit.video.conversion import hdr_space
from stylekit.video.frames import ColorCoding
from stylekit.video.reader import probe_video, video_frames
from tests.video.test_paint import Copyist, difference, paint
from tests.video_material import frames_of, photo

av = pytest.importorskip("av")

BT709, BT2020, PQ, HLG = 1, 9, 16, 18
LIMITED, FULL = 1, 2
SIZE = (96, 64)
# Code values of 8 bits, so that a PNG holds them exactly: white, cream, turquoise, brown, blue and black.
PATCHES = [(191, 191, 191), (184, 173, 140), (64, 153, 166), (128, 77, 51), (38, 51, 153), (25, 25, 25)]


LEVELS = {HLG: 1.0, PQ: 0.77}  # factors at which the first stripe is white


def require(name, mode="w"):
    """Skip the test where FFmpeg lacks an encoder or decoder."""
    try:
        return av.codec.Codec(name, mode)
    except av.error.FFmpegError:
        pytest.skip(f"FFmpeg has no {name}")


def patches(factor=1.0):
    """Return vertical stripes of known code values, 0 to 1."""
    width = SIZE[0] // len(PATCHES)
    colors = np.rint(factor * np.array(PATCHES)) / 255
    return np.repeat(colors, width, axis=0)[None].repeat(SIZE[1], axis=0)


def yuv_frame(rgb, *, is_full=False):
    """Encode code values of R'G'B', 0 to 1, in BT.2020 with 10 bits, as the standard's formulas do."""
    red, blue = 0.2627, 0.0593
    luma = rgb @ [red, 1 - red - blue, blue]
    chroma = (rgb[..., 2] - luma) / (2 - 2 * blue), (rgb[..., 0] - luma) / (2 - 2 * red)
    halves = [plane.reshape(SIZE[1] // 2, 2, SIZE[0] // 2, 2).mean(axis=(1, 3)) for plane in chroma]
    (scale, black), chroma_scale = ((1023, 0), 1023) if is_full else ((876, 64), 896)
    planes = [scale * luma + black, *(chroma_scale * half + 512 for half in halves)]
    values = np.concatenate([np.rint(plane).clip(0, 1023).astype(np.uint16).ravel() for plane in planes])
    return av.VideoFrame.from_ndarray(values.reshape(-1, SIZE[0]), "yuv420p10le")


def hdr_video(path, images, transfer, *, is_full=False, primaries=BT2020):
    """Write code values as HEVC with 10 bits, as phones do."""
    require("libx265")
    with av.open(str(path), "w") as container:
        options = {"x265-params": "log-level=none", "crf": "4", "preset": "ultrafast", "g": "5"}
        stream = container.add_stream("libx265", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p10le"
        context = stream.codec_context
        context.colorspace, context.color_range = BT2020, FULL if is_full else LIMITED
        context.color_primaries, context.color_trc = primaries, transfer
        for number, image in enumerate(images):
            frame = yuv_frame(image, is_full=is_full)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            frame.colorspace, frame.color_range = context.colorspace, context.color_range
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def as_png(path, rgb, transfer):
    """Return the same code values as a photo reads them from a PNG."""
    Image.fromarray(np.rint(255 * rgb).astype(np.uint8)).save(path)
    content = path.read_bytes()
    chunk = b"cICP" + bytes([BT2020, transfer, 0, 1])
    chunk = struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(content[:33] + chunk + content[33:])
    return load_photo(path, max_pixels=10**6).pixels


def means(image):
    """Return the mean colors within the stripes, away from their edges."""
    width = SIZE[0] // len(PATCHES)
    return np.array(
        [image[:, start + 4 : start + width - 4].mean(axis=(0, 1)) for start in range(0, SIZE[0] - width + 1, width)]
    )


def tags(path):
    """Return the matrix, range, primaries and transfer function of a video's frames and of its container."""
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        frame = next(container.decode(video=0))
        declared = context.colorspace, context.color_range, context.color_primaries, context.color_trc
        return declared, (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc)


@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize("transfer", [HLG, PQ])
def test_an_hdr_frame_equals_the_same_frame_as_a_png(tmp_path, transfer, is_full):
    image = patches(LEVELS[transfer])
    source = hdr_video(tmp_path / "a.mp4", [image] * 3, transfer, is_full=is_full)
    expected = as_png(tmp_path / "a.png", image, transfer)
    inputs = []

    class Recorder(Copyist):
        def run(self, images):
            inputs.append(images[0] * 255)
            return super().run(images)

    report = paint(source, tmp_path / "b.mp4", Recorder())
    assert report.notes == ("HDR tone-mapped to BT.709",)
    assert np.abs(means(inputs[0]) - means(expected)).max() <= 2  # a step of 10 bits in PQ
    assert np.abs((means(inputs[0]) - means(expected)).mean(axis=0)).max() <= 0.5
    result = frames_of(tmp_path / "b.mp4")[1][-1]
    assert np.abs(means(result) - means(expected)).max() <= 2
    assert tags(tmp_path / "b.mp4") == ((BT709, LIMITED, BT709, BT709),) * 2


@pytest.mark.parametrize("suffix", ["mkv", "webm", "mov"])
def test_results_of_hdr_are_tagged_as_bt709_in_every_format(tmp_path, suffix):
    source = hdr_video(tmp_path / "a.mp4", [patches()] * 3, HLG)
    paint(source, tmp_path / f"b.{suffix}")
    assert set(tags(tmp_path / f"b.{suffix}")[1]) == {BT709}
    result = frames_of(tmp_path / f"b.{suffix}")[1][-1]
    assert np.abs(means(result) - means(as_png(tmp_path / "a.png", patches(), HLG))).max() <= 3


def test_the_brightness_of_an_hdr_video_does_not_depend_on_its_first_frame(tmp_path):
    images = [patches(0.3)] * 10 + [patches(0.85)] * 10
    source = hdr_video(tmp_path / "a.mp4", images, PQ)
    video = probe_video(source, start=0, end=None, max_size=None, max_pixels=10**6)
    bright = as_png(tmp_path / "bright.png", patches(0.85), PQ)
    frames = [frame.pixels for frame in video_frames(video)]
    assert np.abs(means(frames[15]) - means(bright)).max() <= 2
    parts = [
        probe_video(source, start=start, end=end, max_size=None, max_pixels=10**6).brightest
        for start, end in ((0, 0.3), (0.4, None), (0, None))
    ]
    assert parts[0] < parts[1] == pytest.approx(parts[2], rel=0.05)


def test_hdr_without_declared_primaries_is_bt2020(tmp_path):
    source = hdr_video(tmp_path / "a.mp4", [patches()], HLG, primaries=2)
    (frame,) = video_frames(probe_video(source, start=0, end=None, max_size=None, max_pixels=10**6))
    assert np.abs(means(frame.pixels) - means(as_png(tmp_path / "a.png", patches(), HLG))).max() <= 1


def test_tone_mapping_of_16_bits_equals_that_of_8_bits():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    for transfer in (HLG, PQ):
        space = hdr_space(ColorCoding(transfer=transfer, primaries=BT2020))
        assert np.array_equal(tone_map(pixels, space), tone_map(pixels.astype(np.uint16) * 257, space))


def gray_video(path, matrix, range):
    """Write stripes of black, gray and white, encoded by the standard's formulas."""
    gray = np.repeat(np.array([0, 128, 255]), 30)[None].repeat(66, axis=0)
    luma = gray if range == FULL else np.rint(16 + gray * 219 / 255)
    planes = np.vstack([luma, np.full((33, 90), 128)]).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 90, 66, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, range
        frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
        frame.pts, frame.time_base, frame.colorspace, frame.color_range = 0, Fraction(1, 25), matrix, range
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


@pytest.mark.parametrize("max_size", [None, 60, 50])
@pytest.mark.parametrize("colors", [(1, LIMITED), (1, FULL), (5, LIMITED), (5, FULL)])
def test_white_black_and_gray_stay_as_they_are(tmp_path, colors, max_size):
    source = gray_video(tmp_path / "a.mp4", *colors)
    inputs = []

    class Recorder(Copyist):
        def run(self, images):
            inputs.append(images[0] * 255)
            return super().run(images)

    paint(source, tmp_path / "b.mp4", Recorder(), max_size=max_size)
    stripe = inputs[0].shape[1] / 3
    for number, value in enumerate((0, 128, 255)):
        part = inputs[0][:, round(number * stripe + 4) : round((number + 1) * stripe - 4)]
        assert np.abs(part - value).max() <= 1


def rgba(number):
    """Return a frame with a transparent, a half transparent and an opaque stripe."""
    alpha = np.repeat(np.array([0, 128, 255], np.uint8), (24, 16, 24))[None].repeat(48, axis=0)
    return np.dstack([photo(number), alpha])


def transparent_video(path, encoder, pixel_format, options):
    require(encoder)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixel_format
        stream.codec_context.colorspace, stream.codec_context.color_range = BT709, LIMITED
        if encoder.startswith("libvpx"):
            stream.metadata["alpha_mode"] = "1"
        for number in range(8):
            frame = av.VideoFrame.from_ndarray(rgba(number), "rgba")
            if not pixel_format.startswith(("argb", "gbr")):
                frame = frame.reformat(format=pixel_format, dst_colorspace=BT709, dst_color_range=LIMITED)
            else:
                frame = frame.reformat(format=pixel_format)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


TRANSPARENT = {
    "vp9": ("a.webm", "libvpx-vp9", "yuva420p", {"b": "0", "crf": "8", "cpu-used": "6"}),
    "prores": ("a.mov", "prores_ks", "yuva444p10le", {"profile": "4444"}),
    "animation": ("a.mov", "qtrle", "argb", {}),
}


@pytest.fixture(params=TRANSPARENT)
def transparent(request, tmp_path):
    name, *coding = TRANSPARENT[request.param]
    require("libvpx-vp9", "r")
    return transparent_video(tmp_path / name, *coding)


def alphas_of(path):
    """Return the alpha of a video's frames."""
    video = probe_video(path, start=0, end=None, max_size=None, max_pixels=10**6)
    return [frame.alpha for frame in video_frames(video)]


@pytest.mark.parametrize(("name", "settings"), [("b.webm", {}), ("b.mkv", {"codec": "vp9"})])
def test_transparency_is_kept_where_the_result_can_hold_it(transparent, tmp_path, name, settings):
    report = paint(transparent, tmp_path / name, **settings)
    assert (report.frames, report.notes) == (8, ())
    alphas = alphas_of(tmp_path / name)
    assert len(alphas) == 8
    for alpha in alphas:
        assert difference(alpha, rgba(0)[..., 3]) < 4
    visible = frames_of(tmp_path / name)[1][5][:, 42:]
    assert difference(visible, photo(5)[:, 42:]) < 8


def test_an_animation_keeps_the_transparency_of_a_video(transparent, tmp_path):
    assert paint(transparent, tmp_path / "b.webp").notes == ()
    with Image.open(tmp_path / "b.webp") as animation:
        assert difference(np.asarray(animation.convert("RGBA"))[..., 3], rgba(0)[..., 3]) < 4


def test_a_video_keeps_the_transparency_of_an_animation(tmp_path):
    first, *others = [Image.fromarray(rgba(number)) for number in range(3)]
    first.save(tmp_path / "a.webp", save_all=True, append_images=others, duration=100, lossless=True)
    assert paint(tmp_path / "a.webp", tmp_path / "b.webm").notes == ()
    assert all(difference(alpha, rgba(0)[..., 3]) < 4 for alpha in alphas_of(tmp_path / "b.webm"))


def test_transparency_is_laid_on_white_with_a_note_elsewhere(transparent, tmp_path):
    report = paint(transparent, tmp_path / "b.mp4", steady=0)
    assert report.notes == ("transparency laid on white: only VP9 in .webm and .mkv, .gif and .webp can hold it",)
    image = frames_of(tmp_path / "b.mp4")[1][5]
    assert image[:, :20].mean() > 250
    assert difference(image[:, 42:], photo(5)[:, 42:]) < 8


def test_a_transparent_video_resumes_with_the_same_result(transparent, tmp_path, monkeypatch):
    monkeypatch.setattr("stylekit.video.paint._SEGMENT_SECONDS", 0.08)
    paint(transparent, tmp_path / "whole.webm")

    def stop(report):
        if report.frames == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paint(transparent, tmp_path / "b.webm", on_frame=stop)
    engine = Copyist()
    paint(transparent, tmp_path / "b.webm", engine)
    assert engine.painted == 4
    assert all(
        np.array_equal(one, other)
        for one, other in zip(alphas_of(tmp_path / "whole.webm"), alphas_of(tmp_path / "b.webm"), strict=True)
    )


def test_an_opaque_video_with_alpha_has_no_note(tmp_path):
    require("qtrle")
    path = tmp_path / "a.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("qtrle", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "argb"
        opaque = np.dstack([photo(0), np.full((48, 64), 255, np.uint8)])
        frame = av.VideoFrame.from_ndarray(opaque, "rgba").reformat(format="argb")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux([*stream.encode(frame), *stream.encode(None)])
    assert paint(path, tmp_path / "b.mp4").notes == ()
