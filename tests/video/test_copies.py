"""What results inherit: orientation, place and date, chapters, sound and subtitles."""

from fractions import Fraction

import numpy as np
import pytest

from stylekit.video.decoding import is_invisible
from stylekit.video.formats import video_suffix
from tests.video.test_paint import difference, paint
from tests.video_material import frames_of, packets_of, photo, write_video

av = pytest.importorskip("av")

MS = Fraction(1, 1000)


@pytest.mark.parametrize("flips", [(True, False), (False, True), (True, True), (False, False)])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_videos_in_every_orientation_come_out_upright(tmp_path, degrees, flips):
    path = tmp_path / "a.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_rotation(degrees, *flips)
        frame = av.VideoFrame.from_ndarray(photo(0), "rgb24")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux([*stream.encode(frame), *stream.encode(None)])
    paint(path, tmp_path / "b.mp4")
    expected = np.rot90(photo(0), degrees // 90)
    expected = expected[:, ::-1] if flips[0] else expected
    expected = expected[::-1] if flips[1] else expected
    assert difference(frames_of(tmp_path / "b.mp4")[1][0], expected) < 8


def metadata_of(path):
    with av.open(str(path)) as container:
        return dict(container.metadata)


@pytest.mark.parametrize("name", ["b.mov", "b.mp4", "b.mkv"])
def test_place_date_and_make_of_quicktime_files_are_kept(tmp_path, name):
    facts = {
        "com.apple.quicktime.location.ISO6709": "+48.2082+016.3738/",
        "com.apple.quicktime.creationdate": "2026-07-01T12:00:00+0200",
        "com.apple.quicktime.make": "Maker",
    }
    path = tmp_path / "a.mov"
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.metadata.update({**facts, "title": "Prater"})
        frame = av.VideoFrame.from_ndarray(photo(0), "rgb24")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux([*stream.encode(frame), *stream.encode(None)])
    assert facts.items() <= metadata_of(path).items()
    paint(path, tmp_path / name)
    kept = {key.lower(): value for key, value in metadata_of(tmp_path / name).items()}
    assert {**{key.lower(): value for key, value in facts.items()}, "title": "Prater"}.items() <= kept.items()
    paint(path, tmp_path / name, strip_metadata=True)
    assert not any("quicktime" in key.lower() for key in metadata_of(tmp_path / name))


def with_chapters(source, path):
    """Copy a video, and add three chapters of 0.2, 0.3 and 0.3 seconds."""
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        new.set_chapters(
            [
                {"id": n, "start": start, "end": end, "time_base": Fraction(1, 1000), "metadata": {"title": title}}
                for n, (start, end, title) in enumerate([(0, 200, "One"), (200, 500, "Two"), (500, 800, "Three")])
            ]
        )
        copies = {stream: new.add_stream_from_template(stream, opaque=True) for stream in old.streams}
        for packet in old.demux():
            if packet.pts is not None:
                packet.stream = copies[packet.stream]
                new.mux(packet)
    return path


def chapters_of(path):
    with av.open(str(path)) as container:
        return [
            (
                round(float(chapter["start"] * chapter["time_base"]), 3),
                round(float(chapter["end"] * chapter["time_base"]), 3),
                chapter["metadata"]["title"],
            )
            for chapter in container.chapters()
        ]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov", "webm"])
def test_chapters_are_kept(tmp_path, suffix):
    plain = write_video(tmp_path / "plain.mkv", [photo(number) for number in range(20)], sound=False)
    source = with_chapters(plain, tmp_path / "a.mkv")
    output = tmp_path / f"b.{suffix}"
    paint(source, output)
    assert chapters_of(output) == [(0, 0.2, "One"), (0.2, 0.5, "Two"), (0.5, 0.8, "Three")]
    paint(source, output, start=0.4, end=0.6)
    assert chapters_of(output) == [(0, 0.1, "Two"), (0.1, 0.2, "Three")]
    paint(source, output, strip_metadata=True)
    assert chapters_of(output) == []


def test_the_sound_of_phones_of_old_is_kept(tmp_path):
    path = tmp_path / "a.3gp"
    try:
        av.codec.Codec("libopencore_amrnb", "w")
    except av.error.FFmpegError:
        pytest.skip("FFmpeg has no encoder for AMR")
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("libopencore_amrnb", rate=8000, layout="mono")
        for number in range(25):
            frame = av.VideoFrame.from_ndarray(photo(number), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        for piece in range(50):
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 160), np.int16), "s16", "mono")
            sound.sample_rate, sound.pts, sound.time_base = 8000, piece * 160, Fraction(1, 8000)
            container.mux(audio.encode(sound))
        container.mux([*video.encode(None), *audio.encode(None)])
    output = tmp_path / f"b{video_suffix(path)}"
    assert paint(path, output).notes == ()
    assert [data for _, data in packets_of(output, "audio")] == [data for _, data in packets_of(path, "audio")]
    assert paint(path, tmp_path / "b.mkv").notes == ("sound dropped: matroska cannot hold amr_nb",)


def with_subtitles(source, path, subtitles):
    """Copy a video and add subtitles, each as its start, its duration and its text, in ms."""
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        copy = new.add_stream_from_template(old.streams.video[0], opaque=True)
        lines = new.add_mux_stream("subrip", time_base=Fraction(1, 1000))
        for packet in old.demux(video=0):
            if packet.pts is not None:
                packet.stream = copy
                new.mux(packet)
        for start, duration, words in subtitles:
            line = av.Packet(words.encode())
            line.pts, line.dts, line.duration, line.time_base, line.stream = start, start, duration, MS, lines
            new.mux(line)
    return path


def test_a_subtitle_that_is_on_screen_at_the_start_is_kept(tmp_path):
    images = [photo(number) for number in range(50)]
    plain = write_video(tmp_path / "plain.mkv", images, sound=False)
    subtitles = [(0, 400, "gone"), (200, 1500, "on screen"), (1800, 100, "later")]
    source = with_subtitles(plain, tmp_path / "a.mkv", subtitles)
    paint(source, tmp_path / "b.mkv", start=1.0)
    with av.open(str(tmp_path / "b.mkv")) as container:
        stream = container.streams.subtitles[0]
        shown = [
            (packet.pts, packet.duration, bytes(packet).decode())
            for packet in container.demux(stream)
            if packet.pts is not None
        ]
    assert shown == [(0, 700, "on screen"), (800, 100, "later")]


def test_frames_that_are_never_shown_are_not_taken_for_corrupt_ones(tmp_path):
    with av.open(str(tmp_path / "a.webm"), "w") as container:
        stream = container.add_stream("libvpx", rate=25, options={"b": "400000", "deadline": "realtime"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(photo(number), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(tmp_path / "a.webm")) as old, av.open(str(tmp_path / "hidden.webm"), "w") as new:
        copy = new.add_stream_from_template(old.streams.video[0], opaque=True)
        for packet in old.demux(video=0):
            if packet.pts is not None:
                data = bytearray(bytes(packet))
                time, packet.stream = packet.pts, copy
                new.mux(packet)
                data[0] &= ~0x10  # of VP8: the frame is shown
                hidden = av.Packet(bytes(data))
                hidden.pts = hidden.dts = time + 20
                hidden.time_base, hidden.stream = Fraction(1, 1000), copy
                new.mux(hidden)
    assert len(packets_of(tmp_path / "hidden.webm", "video")) == 40
    report = paint(tmp_path / "hidden.webm", tmp_path / "b.webm", steady=0)
    assert (report.frames, report.notes) == (20, ())


@pytest.mark.parametrize(
    ("data", "hidden"),
    [
        ([0b10_00_0_1_1_0, 0], False),  # a frame that is shown
        ([0b10_00_0_1_0_0, 0], True),  # one to which others refer
        ([0b10_00_1_000, 0], False),  # a repeated one
        ([0b10_11_0_0_1_0, 0], True),  # the profile with a reserved bit
        ([0b10_11_0_0_1_1, 0], False),
        ([0b10_00_0_1_0_0, 0, 0b110_00_001], False),  # a superframe
    ],
)
def test_frames_of_vp9_that_are_never_shown_are_recognized(data, hidden):
    assert is_invisible(av.Packet(bytes(data)), "vp9") == hidden


def test_a_note_names_the_format_that_holds_what_is_dropped(tmp_path):
    source = write_video(tmp_path / "a.mkv", [photo(number) for number in range(3)])
    assert paint(source, tmp_path / "b.webm").notes == ("sound dropped: webm cannot hold aac, but .mkv can",)
