"""Measure how much stylized videos flicker, raw and steadied, and how fast they are stylized.

    python benchmarks/video.py [--style great-wave] [--frames 30] [--width 640] [--noise 2]

Clips of known motion are made by panning over the repository's own photos and zooming into them, with sensor noise on
each frame. The temporal error is the usual one: the mean difference, out of 255, of a result and the previous one,
warped by the known motion. The speed is that of the whole pipeline, without steadiness and with it, and that of the
network alone on the same frames, before and after.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylekit import ApplyConfig, load_style
from stylekit.stylization.style import Style
from stylekit.video.frames import Video
from stylekit.video.paint import paint_video
from stylekit.video.reader import probe_video, video_frames
from stylekit.video.writer import join_segments, write_segment

IMAGES = Path(__file__).parents[1] / "docs" / "images"
PHOTOS = ("harbour", "still-life")
RATE = Fraction(25)
BORDER = 24  # px that may come from outside the photo
SETTLING = 8  # frames that do not count, until a steadied video has settled

Pixels = NDArray[np.uint8]
View = tuple[float, float, float]  # the photo's x and y at the center, and its pixels per pixel of a frame


def views(motion: str, frames: int, photo: Image.Image) -> list[View]:
    """Return where the camera looks in each frame."""
    middle = photo.width / 2, photo.height / 2
    if motion == "pan":
        return [(middle[0] - 100 + 2.3 * n, middle[1] - 40 + 0.7 * n, 1.0) for n in range(frames)]
    if motion == "zoom":
        return [(*middle, 1.2 * 0.99**n) for n in range(frames)]
    return [(*middle, 1.0)] * frames


def seen(photo: Image.Image, view: View, size: tuple[int, int]) -> Image.Image:
    """Return what the camera sees."""
    x, y, scale = view
    matrix = (scale, 0, x - scale * size[0] / 2, 0, scale, y - scale * size[1] / 2)
    return photo.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)


def warped(frame: Pixels, before: View, now: View) -> Pixels:
    """Return a frame of one view as it looks in the next one."""
    image = Image.fromarray(frame)
    ratio = now[2] / before[2]
    shifts = [(now[axis] - before[axis]) / before[2] + (1 - ratio) * side / 2 for axis, side in enumerate(image.size)]
    matrix = (ratio, 0, shifts[0], 0, ratio, shifts[1])
    return np.asarray(image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC))


def temporal_error(frames: list[Pixels], cameras: list[View]) -> float:
    """Return the mean difference of each frame and the previous one, warped."""
    inner = (slice(BORDER, -BORDER), slice(BORDER, -BORDER))
    errors = [
        np.abs(warped(frames[n - 1], cameras[n - 1], cameras[n])[inner].astype(float) - frames[n][inner]).mean()
        for n in range(SETTLING, len(frames))
    ]
    return float(np.mean(errors))


def make_clip(path: Path, frames: Iterator[Pixels], size: tuple[int, int]) -> None:
    """Write a video as the command does, but nearly lossless."""
    video = Video(path, *size, time_base=1 / RATE, rate=RATE, is_animation=True)
    segment = path.with_suffix(".nut")
    count = 0

    def timed() -> Iterator[tuple[int, Pixels, None]]:
        nonlocal count
        for frame in frames:
            yield count, frame, None
            count += 1

    write_segment(timed(), segment, video, codec="h264", crf=8)
    join_segments([segment], video, path, end=count / RATE, strip_metadata=False)


def read_clip(path: Path) -> list[Pixels]:
    """Read a video's frames."""
    video = probe_video(path, start=0, end=None, max_size=None, max_pixels=10**8)
    return [frame.pixels for frame in video_frames(video) if frame.pixels is not None]


def network_seconds(style: Style, frames: list[Pixels]) -> float:
    """Return how many seconds the network alone takes for all frames."""
    batches = [np.divide(frame, 255, dtype=np.float32)[None] for frame in frames]
    style.engine.run(batches[0])
    began = time.monotonic()
    for batch in batches:
        style.engine.run(batch)
    return time.monotonic() - began


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--style", default="great-wave")
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--noise", type=float, default=2.0)
    parser.add_argument("--motions", nargs="+", default=["still", "pan", "zoom"])
    options = parser.parse_args()
    size = options.width, options.width * 9 // 32 * 2
    style = load_style(options.style)
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for name in PHOTOS:
            photo = Image.open(IMAGES / f"{name}.jpg").convert("RGB")
            for motion in options.motions:
                cameras = views(motion, options.frames, photo)
                noisy = (
                    (np.asarray(seen(photo, view, size)) + random.normal(0, options.noise, (size[1], size[0], 3)))
                    .clip(0, 255)
                    .astype(np.uint8)
                    for view in cameras
                )
                clip = Path(folder) / f"{name}-{motion}.mp4"
                make_clip(clip, noisy, size)
                report(clip, cameras, style, Path(folder))


def report(clip: Path, cameras: list[View], style: Style, folder: Path) -> None:
    """Stylize a clip both ways, and print errors and speeds."""
    frames = read_clip(clip)
    before = network_seconds(style, frames)
    errors, rates = {}, {}
    for label, steady in (("raw", 0.0), ("steady", ApplyConfig.steady)):
        output = folder / f"{clip.stem}-{label}.mp4"
        painted = paint_video(clip, output, style, ApplyConfig(steady=steady, crf=8))
        rates[label] = painted.frames / painted.seconds
        errors[label] = temporal_error(read_clip(output), cameras)
    alone = 2 * len(frames) / (before + network_seconds(style, frames))
    print(
        f"{clip.stem:18} temporal error raw {errors['raw']:5.2f}, steady {errors['steady']:5.2f} "
        f"({errors['steady'] / errors['raw']:.0%}); frames/s network alone {alone:5.2f}, raw {rates['raw']:5.2f} "
        f"({rates['raw'] / alone:.0%}), steady {rates['steady']:5.2f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
