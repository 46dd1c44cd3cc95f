"""Videos: every frame at its time, the sound untouched, no frame painted twice, and damage contained."""

import dataclasses
import errno
import json
import os
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from stylekit.apply.run import apply_styles
from stylekit.config.apply import ApplyConfig
from stylekit.errors import ImageError
from stylekit.styles.style_file import StyleMetadata
from stylekit.stylization.style import Style
from stylekit.system.distributed import World
from stylekit.system.files import hidden_beside
from stylekit.system.locks import locked
from stylekit.video.animations import animation_frames, probe_animation, write_animation
from stylekit.video.conversion import Converter
from stylekit.video.frames import Frame, at_rate
from stylekit.video.paint import paint_video
from stylekit.video.reader import probe_video, video_frames
from stylekit.video.segments import Segments
from tests.fake_engine import FakeEngine
from tests.video_material import frames_of, packets_of, photo, write_video

pytest.importorskip("av")

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory in other units")


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "clip.mp4", [photo(number) for number in range(20)])


@pytest.fixture(autouse=True)
def _short_segments(monkeypatch):
    monkeypatch.setattr("stylekit.video.paint._SEGMENT_SECONDS", 0.2)  # 5 frames


class Copyist(FakeEngine):
    """An engine that returns its input, and counts the runs."""

    def __init__(self):
        self.painted = 0

    def run(self, images):
        self.painted += 1
        return images.copy()


def paint(source, output, engine=None, on_frame=lambda report: None, **settings):
    style = Style(StyleMetadata(name="copyist", network="fast"), engine or Copyist())
    return paint_video(source, output, style, ApplyConfig(**{"overwrite": True, **settings}), on_frame=on_frame)


def difference(one, other):
    return np.abs(np.asarray(one, int) - np.asarray(other, int)).mean()


def test_each_frame_is_painted_at_its_time_with_the_sound_as_it_was(video, tmp_path):
    report = paint(video, tmp_path / "out.mp4")
    assert (report.frames, report.width, report.height, report.notes) == (20, 64, 48, ())
    assert frames_of(tmp_path / "out.mp4")[0] == frames_of(video)[0]
    assert packets_of(tmp_path / "out.mp4", "audio") == packets_of(video, "audio")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "out.mp4"]


def test_frames_painted_at_the_same_time_stay_in_order(video, tmp_path):
    class Replica(Copyist):
        at_once = threading.Barrier(2, timeout=10)

        def run(self, images):
            self.at_once.wait()  # until the other replica has a frame too
            time.sleep(0.02 * (self is slow))
            return super().run(images)

    class Replicated(Copyist):
        def replicas(self):
            return replicas

    replicas = slow, _ = Replica(), Replica()
    report = paint(video, tmp_path / "out.mp4", Replicated(), steady=0)
    assert (report.frames, replicas[0].painted, replicas[1].painted) == (20, 10, 10)
    assert all(difference(image, photo(number)) < 8 for number, image in enumerate(frames_of(tmp_path / "out.mp4")[1]))


def test_the_command_stylizes_a_video(video, style_path, tmp_path, stylekit):
    code, out, err = stylekit("apply", video, "-s", style_path, "--json")
    (report,) = json.loads(out)["files"]
    assert (code, err) == (0, "")
    assert (report["status"], report["frames"], report["output"]) == ("done", 20, f"{tmp_path}/clip-small.mp4")
    assert difference(frames_of(tmp_path / "clip-small.mp4")[1][3], photo(3)) > 10


def test_photos_and_videos_of_a_folder_are_painted_together(video, style_path, tmp_path, make_photo, stylekit):
    folder = tmp_path / "holiday"
    folder.mkdir()
    video.rename(folder / "clip.mp4")
    make_photo(40, 30).save(folder / "lion.jpg")
    (folder / "broken.mov").write_bytes(b"no video")
    command = ("apply", folder, "-s", style_path, "-o", tmp_path / "out")
    code, out, err = stylekit(*command)
    assert code == 3
    assert [line.rpartition("/")[2] for line in out.splitlines()] == ["clip-small.mp4", "lion-small.jpg"]
    assert f"failed {folder}/broken.mov: broken.mov is not a readable video" in err
    assert "2 skipped, 1 failed" in stylekit(*command)[2]


def test_the_failure_of_a_single_video_is_the_commands_too(style_path, tmp_path, stylekit):
    (tmp_path / "broken.mov").write_bytes(b"no video")
    code, out, err = stylekit("apply", tmp_path / "broken.mov", "-s", style_path, "--report", tmp_path / "report.jsonl")
    assert (code, out) == (1, "")
    assert err.startswith("error: broken.mov is not a readable video")
    assert json.loads((tmp_path / "report.jsonl").read_text())["status"] == "failed"


def test_processes_share_videos_as_they_share_photos(video, style_path, tmp_path, make_photo):
    make_photo(40, 30).save(tmp_path / "lion.jpg")
    shares = [
        apply_styles([video, tmp_path / "lion.jpg"], tmp_path / "out", [str(style_path)], world=World(rank, 2)).files
        for rank in range(2)
    ]
    assert [[(file.output.name, file.status, file.frames) for file in share] for share in shares] == [
        [("clip-small.mp4", "done", 20)],
        [("lion-small.jpg", "done", 0)],
    ]


def test_a_video_for_which_memory_runs_out_fails_alone(video, style_path, tmp_path, make_photo, monkeypatch):
    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr("stylekit.apply.runner.paint_video", full)
    make_photo(40, 30).save(tmp_path / "lion.jpg")
    report = apply_styles([video, tmp_path / "lion.jpg"], tmp_path / "out", [str(style_path)])
    assert [(file.status, file.reason) for file in report.files] == [("failed", "Out of memory on cpu."), ("done", "")]


def test_frames_at_irregular_times_keep_them(tmp_path):
    times = [0, 1001, 2002, 2500, 9000, 9001, 20000]
    images = [photo(number) for number in range(len(times))]
    video = write_video(tmp_path / "a.mp4", images, times=times, time_base=Fraction(1, 30000), sound=False)
    paint(video, tmp_path / "b.mp4")
    assert frames_of(tmp_path / "b.mp4")[0] == [Fraction(time, 30000) for time in times]


def test_a_rotated_video_comes_out_upright(tmp_path):
    images = [photo(0)] * 3
    video = write_video(tmp_path / "a.mp4", images, rotation=-90, sound=False)
    report = paint(video, tmp_path / "b.mp4")
    assert (report.width, report.height) == (48, 64)
    painted = frames_of(tmp_path / "b.mp4")[1][0]
    assert difference(painted, np.rot90(photo(0), -1)) < 8 < difference(painted, np.rot90(photo(0), 1))


@pytest.mark.parametrize("colors", [(1, 1), (1, 2), (5, 1), (5, 2)])
def test_colors_are_right_for_every_matrix_and_range(tmp_path, colors):
    flat = np.full((48, 64, 3), (200, 90, 40), np.uint8)
    video = write_video(tmp_path / "a.mp4", [flat] * 2, colors=colors, sound=False)
    inputs = []

    class Recorder(Copyist):
        def run(self, images):
            inputs.append(images[0] * 255)
            return super().run(images)

    paint(video, tmp_path / "b.mp4", Recorder())
    assert np.abs(inputs[0] - flat).max() <= 3
    assert np.abs(frames_of(tmp_path / "b.mp4")[1][0].astype(int) - flat).max() <= 5


@pytest.mark.parametrize("steady", [0, 0.9])
def test_an_interrupted_video_resumes_with_the_same_result(video, tmp_path, steady):
    paint(video, tmp_path / "whole.mp4", steady=steady)
    engine = Copyist()

    def stop(report):
        if report.frames == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paint(video, tmp_path / "out.mp4", engine, stop, steady=steady)
    assert not (tmp_path / "out.mp4").exists()
    engine.painted = 0
    assert paint(video, tmp_path / "out.mp4", engine, steady=steady).frames == 20
    assert engine.painted == 10  # two segments were finished
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_an_interruption_before_the_first_segment_leaves_nothing(video, tmp_path):
    def stop(report):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paint(video, tmp_path / "out.mp4", on_frame=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_other_settings_start_over(video, tmp_path):
    def stop(report):
        if report.frames == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paint(video, tmp_path / "out.mp4", on_frame=stop)
    engine = Copyist()
    paint(video, tmp_path / "out.mp4", engine, steady=0.5)
    assert engine.painted == 20
    assert not list(tmp_path.glob(".*"))


def test_a_corrupt_frame_is_replaced_and_counted(tmp_path):
    import av

    video = write_video(tmp_path / "a.mp4", [photo(number) for number in range(20)], sound=False)
    with av.open(str(video)) as container:
        positions = [(packet.pos or 0, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(video.read_bytes())
    position, size = positions[9]  # the last before a keyframe
    data[position + 4 : position + size] = b"\xff" * (size - 4)
    video.write_bytes(data)
    report = paint(video, tmp_path / "b.mp4", steady=0)
    times, images = frames_of(tmp_path / "b.mp4")
    assert (report.frames, report.notes) == (20, ("1 corrupt frame: the previous frame is shown instead",))
    assert times == [Fraction(number, 25) for number in range(20)]
    assert difference(images[9], images[8]) < 2 < difference(images[10], images[9])


def test_a_part_of_a_video_is_painted_with_its_sound(video, tmp_path):
    assert paint(video, tmp_path / "b.mp4", start=0.2, end=0.6).frames == 10
    times, images = frames_of(tmp_path / "b.mp4")
    assert (times[0], times[-1]) == (0, Fraction(9, 25))
    assert difference(images[0], photo(5)) < 8
    whole, part = (packets_of(path, "audio") for path in (video, tmp_path / "b.mp4"))
    assert 0 < len(part) < len(whole)
    assert {data for _, data in part} < {data for _, data in whole}


def test_frames_before_the_part_are_not_converted_except_the_one_on_screen(video, tmp_path, monkeypatch):
    converted = []
    convert = Converter.read
    monkeypatch.setattr(Converter, "read", lambda *frame: converted.append(frame) or convert(*frame))
    assert paint(video, tmp_path / "b.mp4", start=0.61).frames == 5  # the keyframe before it is the tenth
    assert len(converted) == 5


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_clock_need_not_start_at_zero(tmp_path, suffix):
    video = write_video(tmp_path / f"a.{suffix}", [photo(i) for i in range(50)], times=range(75, 125), sound=False)
    lengths = []
    for settings, frames in (({}, 50), ({"start": 4}, 25), ({"end": 4}, 25), ({"start": 1, "end": 4.2}, 30)):
        report = paint(video, tmp_path / f"b.{suffix}", None, lambda report: lengths.append(report.length), **settings)
        assert (report.frames, report.notes, lengths[-1]) == (frames, (), frames)
    with pytest.raises(ImageError, match=r"--start must be before the end of a\.\w+ \(5\.0 s\), not 5 s"):
        paint(video, tmp_path / f"b.{suffix}", start=5)


@pytest.mark.parametrize(("fps", "frames", "painted"), [(12.5, 10, 10), (50, 40, 20)])
def test_the_frame_rate_can_be_chosen(video, tmp_path, fps, frames, painted):
    engine = Copyist()
    assert paint(video, tmp_path / "b.mp4", engine, fps=fps).frames == frames
    assert engine.painted == painted
    assert frames_of(tmp_path / "b.mp4")[0] == [number / Fraction(fps) for number in range(frames)]


def test_a_part_of_a_broadcast_begins_at_the_right_frame(tmp_path):
    source = write_video(tmp_path / "clip.ts", [photo(i) for i in range(40)], sound=False)  # every tenth is a keyframe
    paint(source, tmp_path / "part.mp4", start=1.0)
    times, _ = frames_of(tmp_path / "part.mp4")
    assert len(times) == 15


def test_an_animation_without_frames_in_the_part_is_an_error(tmp_path):
    source = tmp_path / "clip.gif"
    first, *others = [Image.fromarray(photo(i)) for i in range(3)]
    first.save(source, save_all=True, append_images=others, duration=100)
    with pytest.raises(ImageError, match="no frames between --start and --end"):
        paint(source, tmp_path / "out.gif", start=60.0)
    assert not (tmp_path / "out.gif").exists()


def test_segments_of_another_video_are_kept(tmp_path):
    other = hidden_beside(tmp_path / "video.mp4.mkv", ".0123456789abcdef.stylekit-segments")
    stale = hidden_beside(tmp_path / "video.mp4", ".fedcba9876543210.stylekit-segments")
    for folder in (other, stale):
        folder.mkdir()
    Segments(tmp_path / "video.mp4", "0123456789abcdef")
    assert (other.exists(), stale.exists()) == (True, False)


@pytest.mark.parametrize("name", ["b.gif", "b.webp"])
def test_animations_are_read_and_written(tmp_path, name):
    frames = [Image.fromarray(photo(8 * number)) for number in range(4)]
    durations = [100, 200, 50, 400]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], duration=durations, lossless=True)
    paint(tmp_path / "a.webp", tmp_path / name, steady=0)
    with Image.open(tmp_path / name) as animation:
        for number, duration in enumerate(durations):
            animation.seek(number)
            animation.load()
            assert animation.info["duration"] == duration
            assert difference(animation.convert("RGB"), frames[number]) < 10
    paint(tmp_path / "a.webp", tmp_path / "c.mp4", steady=0)
    assert frames_of(tmp_path / "c.mp4")[0] == [0, Fraction(1, 10), Fraction(3, 10), Fraction(7, 20)]


def test_transparency_of_animations_is_kept(tmp_path):
    alpha = np.zeros((48, 64), np.uint8)
    alpha[10:30, 10:40] = 255
    frames = [Image.fromarray(np.dstack([photo(8 * number), alpha])) for number in range(3)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], duration=100, lossless=True)
    paint(tmp_path / "a.webp", tmp_path / "b.gif")
    with Image.open(tmp_path / "b.gif") as animation:
        animation.seek(2)
        assert (np.asarray(animation.convert("RGBA"))[..., 3] == alpha).all()


def test_without_the_extra_the_error_names_it(video, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(ImageError, match="needs an extra") as caught:
        paint(video, tmp_path / "b.mp4")
    assert "[video]" in caught.value.hint


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "empty"), (b"no video", "not a readable"), (b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/x\n", "not a readable")],
)
def test_a_file_that_is_not_a_video_is_an_error(tmp_path, data, message):
    (tmp_path / "a.mp4").write_bytes(data)
    with pytest.raises(ImageError, match=message):
        paint(tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_still_parts_are_still_and_cuts_are_clean(tmp_path):
    """A style that flickers: steadiness removes the flicker, and keeps nothing of the scene before a cut."""
    random = np.random.default_rng(0)

    class Flickering(Copyist):
        def run(self, images):
            return (images + random.normal(0, 0.05, images.shape)).astype(np.float32)

    scenes = [photo(0, (160, 96))] * 12 + [255 - photo(30, (160, 96))] * 2
    video = write_video(tmp_path / "a.mp4", scenes, sound=False)
    results = []
    for steady in (0, ApplyConfig.steady):
        paint(video, tmp_path / f"{steady}.mp4", Flickering(), steady=steady, crf=1)
        results.append(frames_of(tmp_path / f"{steady}.mp4")[1])
    raw, steadied = ([difference(one, other) for one, other in pairwise(r[6:12])] for r in results)
    assert np.mean(steadied) < 0.35 * np.mean(raw)
    assert difference(results[1][12], scenes[12]) < 1.1 * difference(results[0][12], scenes[12])


def test_subtitles_are_copied_where_the_file_can_hold_them(video, tmp_path):
    import av

    with av.open(str(video)) as source, av.open(str(tmp_path / "a.mkv"), "w") as copy:
        streams = {stream: copy.add_stream_from_template(stream, opaque=True) for stream in source.streams}
        subtitles = copy.add_mux_stream("subrip", time_base=Fraction(1, 1000))
        for packet in source.demux():
            if packet.pts is not None:
                packet.stream = streams[packet.stream]
                copy.mux(packet)
        line = av.Packet(b"Ahoy")
        line.pts, line.dts, line.duration, line.time_base, line.stream = 100, 100, 300, Fraction(1, 1000), subtitles
        copy.mux(line)
    assert paint(tmp_path / "a.mkv", tmp_path / "b.mkv").notes == ()
    for kind in ("audio", "subtitle"):
        assert packets_of(tmp_path / "b.mkv", kind) == packets_of(tmp_path / "a.mkv", kind) != []
    dropped = (
        "sound dropped: webm cannot hold aac, but .mkv can",
        "subtitles dropped: webm cannot hold subrip, but .mkv can",
    )
    assert paint(tmp_path / "a.mkv", tmp_path / "b.webm").notes == dropped


def test_a_stream_without_a_decoder_is_dropped_with_a_note(tmp_path):
    import av

    with av.open(str(tmp_path / "a.ts"), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        teletext = container.add_mux_stream("dvb_teletext", time_base=Fraction(1, 90000))
        for number in range(10):
            container.mux(video.encode(av.VideoFrame.from_ndarray(photo(number), "rgb24")))
        container.mux(video.encode(None))
        line = av.Packet(bytes(46))
        line.pts, line.dts, line.time_base, line.stream = 9000, 9000, Fraction(1, 90000), teletext
        container.mux(line)
    report = paint(tmp_path / "a.ts", tmp_path / "b.mkv")
    assert (report.frames, report.notes) == (10, ("subtitles dropped: matroska cannot hold an unknown codec",))


def stopped_at(frame):
    def stop(report):
        if report.frames == frame:
            raise KeyboardInterrupt

    return stop


def interrupted(source, output, **settings):
    """Paint two segments, interrupt the third, and return the hidden folder with the segments."""
    with pytest.raises(KeyboardInterrupt):
        paint(source, output, on_frame=stopped_at(12), **settings)
    (folder,) = output.parent.glob(".*.stylekit-segments")
    return folder


def test_an_avi_with_frames_out_of_order_loses_none(tmp_path):
    import av

    with av.open(str(tmp_path / "a.avi"), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"crf": "10", "x264-params": "bframes=3"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for number in range(30):
            frame = av.VideoFrame.from_ndarray(photo(number), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    report = paint(tmp_path / "a.avi", tmp_path / "b.mkv", steady=0)
    times, images = frames_of(tmp_path / "b.mkv")
    assert (report.frames, report.notes, len(images)) == (30, (), 30)
    assert all(difference(image, photo(number)) < 8 for number, image in enumerate(images))
    assert {round(float(after - before), 2) for before, after in pairwise(times)} == {0.04}


@pytest.mark.parametrize("corrupt", ["000001.safetensors", "000000.nut"])
def test_corrupt_segments_are_painted_again_with_a_note(video, tmp_path, corrupt):
    folder = interrupted(video, tmp_path / "b.mp4")
    (folder / corrupt).write_bytes((folder / corrupt).read_bytes()[:30])
    engine = Copyist()
    report = paint(video, tmp_path / "b.mp4", engine)
    assert (engine.painted, report.frames) == (20, 20)
    assert report.notes == ("the frames painted before the interruption were corrupt, and were painted again",)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.mp4", "clip.mp4"]


def test_sound_that_the_format_cannot_hold_is_dropped_with_a_note(tmp_path):
    import av

    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("libopus", rate=48000, layout="stereo")
        for number in range(10):
            container.mux(video.encode(av.VideoFrame.from_ndarray(photo(number), "rgb24")))
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 9600), np.float32), "flt", "stereo")
        sound.sample_rate, sound.pts = 48000, 0
        container.mux([*audio.encode(sound), *audio.encode(None), *video.encode(None)])
    report = paint(tmp_path / "a.mkv", tmp_path / "b.mov")
    assert (report.frames, report.notes) == (10, ("sound dropped: mov cannot hold opus, but .mkv can",))
    assert paint(tmp_path / "a.mkv", tmp_path / "b.mp4").notes == ()


def test_the_frame_on_screen_at_the_start_of_a_part_is_shown(tmp_path):
    images = [photo(8 * number) for number in range(4)]
    times = [0, 25, 50, 75]  # in frames of 1/25 s
    video = write_video(tmp_path / "a.mp4", images, times=times, sound=False)
    paint(video, tmp_path / "b.mp4", start=0.6, end=2.4, steady=0)
    shown, painted = frames_of(tmp_path / "b.mp4")
    assert shown == [0, Fraction(2, 5), Fraction(7, 5)]
    assert difference(painted[0], images[0]) < 8
    assert paint(video, tmp_path / "c.mp4", start=0.6, end=0.7, fps=2, steady=0).frames == 1
    assert difference(frames_of(tmp_path / "c.mp4")[1][0], images[0]) < 8


def gif_with_a_second_frame_of(path, width, height):
    """Write a GIF of three frames of 64 × 48 whose second frame claims another size; return the first frame."""
    first, *others = [Image.fromarray(photo(8 * number)) for number in range(3)]
    first.save(path, save_all=True, append_images=others, duration=100)
    content = bytearray(path.read_bytes())
    control = [start for start in range(len(content)) if content[start : start + 3] == b"!\xf9\x04"][1]
    assert content[control + 8 : control + 9] == b","
    content[control + 13 : control + 17] = struct.pack("<HH", width, height)
    path.write_bytes(content)
    return first


def test_a_corrupt_frame_at_the_start_of_a_part_shows_the_previous_one(tmp_path):
    source = tmp_path / "a.gif"
    first = gif_with_a_second_frame_of(source, 65535, 65535)
    for settings in ({"start": 0.1}, {"start": 0.05, "fps": 5}):
        paint(source, tmp_path / "b.mp4", steady=0, **settings)
        assert difference(frames_of(tmp_path / "b.mp4")[1][0], first) < 8


@linux_only
def test_a_frame_far_beyond_the_canvas_of_a_gif_takes_no_memory(tmp_path):
    source = tmp_path / "a.gif"
    gif_with_a_second_frame_of(source, 65535, 30000)
    script = """
import resource, sys
from pathlib import Path
from stylekit.video.animations import animation_frames, is_animation, probe_animation
if __name__ == "__main__":
    source = Path(sys.argv[1])
    assert is_animation(source)
    video = probe_animation(source, start=0, end=None, max_size=None, max_pixels=500_000_000)
    frames = list(animation_frames(video))
    assert [frame.is_broken for frame in frames][:2] == [False, True], frames
    status = Path("/proc/self/status").read_text()
    own = int(status.partition("VmHWM:")[2].split()[0])
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert max(own, workers) < 300_000, (own, workers)
"""
    (tmp_path / "script.py").write_text(script)
    subprocess.run([sys.executable, tmp_path / "script.py", source], check=True, timeout=60)


def test_a_frame_slightly_beyond_the_canvas_of_a_gif_is_cropped(tmp_path):
    source = tmp_path / "a.gif"
    gif_with_a_second_frame_of(source, 70, 48)
    video = probe_animation(source, start=0, end=None, max_size=None, max_pixels=10_000)
    shapes = [None if frame.pixels is None else frame.pixels.shape for frame in animation_frames(video)]
    assert set(shapes) <= {(48, 64, 3), None}
    assert shapes[0] == (48, 64, 3)


def test_an_animation_that_crashes_its_decoder_fails_alone(tmp_path, monkeypatch):
    source = tmp_path / "a.gif"
    gif_with_a_second_frame_of(source, 64, 48)
    monkeypatch.setattr("stylekit.video.animations._decode", crashing)
    with pytest.raises(ImageError, match=r"a\.gif crashed or blocked its decoder"):
        probe_animation(source, start=0, end=None, max_size=None, max_pixels=10_000)


def crashing(*arguments):
    """Exit as a crash does."""
    os._exit(11)


def test_later_frames_are_not_decoded_beyond_the_limit(video):
    probed = probe_video(video, start=0, end=None, max_size=None, max_pixels=64 * 48)
    assert sum(frame.pixels is not None for frame in video_frames(probed)) == 20
    limited = dataclasses.replace(probed, max_pixels=64 * 48 - 1)  # as if the first frame had been smaller
    assert not [frame for frame in video_frames(limited) if frame.pixels is not None]


def test_a_frame_dropped_for_the_rate_replaces_a_corrupt_one():
    frames = [Frame(0, 3, photo(0)), Frame(3, 1, photo(1)), Frame(4, 1, None, is_broken=True)]
    shown = list(at_rate(frames, Fraction(1), Fraction(1, 4)))
    assert [frame.time for frame in shown] == [0, 1]
    assert difference(shown[1].pixels, photo(1)) == 0


@pytest.mark.parametrize("rate", [Fraction(1), Fraction(2), Fraction(1, 2)])
def test_a_corrupt_frame_counts_once_however_often_it_is_shown(rate):
    frames = [Frame(0, 1, photo(0)), Frame(1, 1, None, is_broken=True), Frame(2, 1, photo(1))]
    assert sum(frame.is_broken for frame in at_rate(frames, Fraction(1), rate)) == 1


def test_the_smallest_video_has_two_pixels_per_side(video, tmp_path):
    paint(video, tmp_path / "b.mp4", max_size=1)
    assert frames_of(tmp_path / "b.mp4")[1][0].shape == (2, 2, 3)


@pytest.mark.parametrize("start", [1, 1e30])
def test_a_start_after_the_end_is_an_error(video, tmp_path, start):
    with pytest.raises(ImageError, match=r"--start must be before the end of clip\.mp4 \(0\.8 s\)"):
        paint(video, tmp_path / "b.mp4", start=start)


def test_the_transparent_color_of_a_gif_of_few_colors_is_in_its_palette(tmp_path):
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[:8] = 200
    alpha = np.where(np.arange(24) < 10, 0, 255).astype(np.uint8)[None].repeat(16, axis=0)
    path = tmp_path / "a.gif"
    Image.fromarray(np.dstack([pixels, alpha])).save(path)
    video = probe_animation(path, start=0, end=None, max_size=None, max_pixels=10**6)
    write_animation([(Fraction(1, 10), pixels, alpha)], tmp_path / "b.gif", video, 90)
    data = (tmp_path / "b.gif").read_bytes()
    colors, transparent = 2 << (data[10] & 7), data[data.index(b"!\xf9\x04") + 6]
    assert transparent < colors
    with Image.open(tmp_path / "b.gif") as image:
        assert np.array_equal(np.asarray(image.convert("RGBA"))[..., 3], alpha)


def test_transparency_survives_an_interruption(tmp_path):
    alpha = np.full((48, 64), 128, np.uint8)
    frames = [Image.fromarray(np.dstack([photo(8 * number), alpha])) for number in range(3)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], duration=300, lossless=True)
    paint(tmp_path / "a.webp", tmp_path / "whole.mp4", fps=25)
    interrupted(tmp_path / "a.webp", tmp_path / "b.mp4", fps=25)  # within a repeated frame
    paint(tmp_path / "a.webp", tmp_path / "b.mp4", fps=25)
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


@pytest.mark.parametrize("letter", ["a", "ü", "海"])
def test_names_can_be_as_long_as_the_file_system_allows(video, tmp_path, letter):
    output = tmp_path / (letter * (250 // len(letter.encode())) + ".mp4")
    interrupted(video, output)
    assert paint(video, output).frames == 20


def test_two_runs_do_not_write_the_same_video(video, style_path, tmp_path):
    with (
        locked(tmp_path / "b.mp4", ImageError),
        pytest.raises(ImageError, match=r"b.mp4 is being written by another run"),
    ):
        apply_styles([video], tmp_path / "b.mp4", [str(style_path)])
    assert not list(tmp_path.glob("*b.mp4*"))


def test_a_video_that_another_batch_has_just_painted_is_skipped(video, style_path, tmp_path, monkeypatch):
    @contextmanager
    def locked_late(path, *arguments, **options):
        path.parent.mkdir()
        path.write_bytes(b"of the other batch")
        yield

    monkeypatch.setattr("stylekit.apply.runner.locked", locked_late)
    (tmp_path / "videos").mkdir()
    video.rename(tmp_path / "videos" / "clip.mp4")
    (report,) = apply_styles([tmp_path / "videos"], tmp_path / "out", [str(style_path)]).files
    assert (report.status, report.output.read_bytes()) == ("skipped", b"of the other batch")


def test_an_error_of_painting_is_not_taken_for_one_of_writing(video, tmp_path):
    class Faulty(Copyist):
        def run(self, images):
            raise TypeError("a bug")

    with pytest.raises(TypeError, match="a bug"):
        paint(video, tmp_path / "b.mp4", Faulty())
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_a_video_is_on_the_disk_before_it_is_moved_and_its_segments_are_deleted(video, tmp_path, monkeypatch):
    flushed = []

    def record(path):
        flushed.append((path.suffix, (tmp_path / "b.mp4").exists(), bool(list(tmp_path.glob(".*.stylekit-segments")))))

    monkeypatch.setattr("stylekit.video.writer.flush_to_disk", record)
    paint(video, tmp_path / "b.mp4")
    assert flushed[-2:] == [(".mp4", False, True), ("", True, True)]


def test_a_full_disk_is_one_clear_error_and_keeps_the_finished_segments(video, tmp_path, monkeypatch):
    def full(path):
        if path.name == "unfinished" and len(list(path.parent.glob("*.nut"))) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(ImageError, match=r"Cannot write .*: No space left on device"):
        patch.setattr("stylekit.video.segments.flush_to_disk", full)
        paint(video, tmp_path / "b.mp4")
    assert not list(tmp_path.glob(".*/unfinished"))
    engine = Copyist()
    paint(video, tmp_path / "b.mp4", engine)
    assert engine.painted == 10


def test_a_dry_run_opens_videos(video, style_path, tmp_path, stylekit):
    assert stylekit("apply", video, "-s", style_path, "--dry-run") == (0, f"{tmp_path}/clip-small.mp4\n", "")
    (tmp_path / "broken.mov").write_bytes(b"no video")
    code, out, err = stylekit("apply", tmp_path / "broken.mov", "-s", style_path, "--dry-run")
    assert (code, out) == (1, "")
    assert "broken.mov is not a readable video" in err


def test_a_truncated_video_is_noted(tmp_path):
    random = np.random.default_rng(0)
    video = write_video(tmp_path / "a.mkv", [random.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(100)])
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    report = paint(video, tmp_path / "b.mkv")
    assert 0 < report.frames < 75
    assert "before the file says they should: is it truncated?" in report.notes[-1]


def test_videos_neither_go_to_standard_output_nor_have_other_suffixes(video, style_path, tmp_path, stylekit):
    assert (
        "Cannot write the video clip.mp4 to standard output" in stylekit("apply", video, "-s", style_path, "-o", "-")[2]
    )
    (tmp_path / "clip").write_bytes(video.read_bytes())
    assert (
        "clip does not have a video suffix" in stylekit("apply", tmp_path / "clip", "-s", style_path, "-o", "b.mp4")[2]
    )
    assert "videos by suffixes such as .mp4" in stylekit("apply", tmp_path / "clip", "-s", style_path)[2]
    err = stylekit("apply", video, "-s", style_path, "--format", "png")[2]
    assert "--format is for photos, but all inputs are videos" in err
