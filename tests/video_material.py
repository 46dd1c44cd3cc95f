"""Videos for tests: small, short, with known frames and sound."""

from fractions import Fraction

import numpy as np

SIZE = (64, 48)


def photo(number, size=SIZE):
    """A smooth image that moves to the left by two pixels per frame."""
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]]
    waves = [np.sin((columns + 2 * number) / 7 + phase) + np.cos(rows / 5 + phase) for phase in (0, 1, 2)]
    return np.stack([(60 * wave + 128) for wave in waves], axis=-1).clip(0, 255).astype(np.uint8)


def write_video(path, images, *, times=None, time_base=Fraction(1, 25), sound=True, rotation=0, colors=(1, 1)):
    """Write images as H.264 at the given times, in units of the time base, with a sine as AAC."""
    import av

    times = list(range(len(images))) if times is None else times
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "crf": "10", "g": "10"}
        video = container.add_stream("libx264", rate=25, options=options)
        video.height, video.width = images[0].shape[:2]
        video.pix_fmt, video.time_base = "yuv420p", time_base
        context = video.codec_context
        context.time_base, context.max_b_frames = time_base, 0
        context.colorspace, context.color_range = colors
        if rotation:
            video.set_display_rotation(rotation)
        audio = container.add_stream("aac", rate=48000, layout="stereo") if sound else None
        for time, image in zip(times, images, strict=True):
            frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(
                format="yuv420p", dst_colorspace=colors[0], dst_color_range=colors[1]
            )
            frame.pts, frame.time_base = time, time_base
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            wave = np.sin(np.arange(int(len(images) / 25 * 48000)) / 20).astype(np.float32) / 3
            for start in range(0, len(wave) - 1023, 1024):
                samples = av.AudioFrame.from_ndarray(np.stack([wave[start : start + 1024]] * 2), "fltp", "stereo")
                samples.sample_rate, samples.pts, samples.time_base = 48000, start, Fraction(1, 48000)
                container.mux(audio.encode(samples))
            container.mux(audio.encode(None))
    return path


def _seconds(item):
    """Return the time of a frame or a packet in seconds."""
    return item.pts * item.time_base


def frames_of(path):
    """Return the times of a video's frames in seconds, and their RGB images."""
    import av

    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return [_seconds(frame) for frame in frames], [frame.to_ndarray(format="rgb24") for frame in frames]


def packets_of(path, kind):
    """Return the packets of a video's sound or subtitles, each as its time and its bytes."""
    import av

    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        packets = [packet for packet in container.demux(stream) if packet.pts is not None]
        return [(_seconds(packet), bytes(packet)) for packet in packets]
