"""Measure a large batch: its speed relative to the network alone, its memory over time, and its failures.

    python benchmarks/batch.py [--photos 2000] [--broken 40] [--style great-wave]

Photos of up to a megapixel are cropped from the repository's own, some of them are corrupted, and all are stylized at
`--stroke-size 1`. Before and after, the network alone runs on a tenth of the same photos, already decoded.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray
from PIL import Image

from stylekit import ApplyConfig, FileReport, apply_styles, load_style
from stylekit.config.apply import COMMAND_JOBS

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIDES = (240, 320, 480, 640, 768, 900, 1000)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--broken", type=int, default=40)
    parser.add_argument("--style", default="great-wave")
    parser.add_argument("--jobs", type=int, default=COMMAND_JOBS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photos, out = Path(folder) / "photos", Path(folder) / "out"
        broken = make_photos(photos, options.photos, options.broken)
        before = network_seconds_a_pixel(options.style, photos)
        began, pixels = time.monotonic(), 0
        done: list[str] = []
        failed: list[str] = []

        def watch(report: FileReport) -> None:
            nonlocal pixels
            (done if report.status == "done" else failed).append(report.source.name)
            pixels += report.width * report.height
            if (len(done) + len(failed)) % 100 == 0:
                seconds = time.monotonic() - began
                print(f"{len(done) + len(failed):6} photos  {pixels / 1e6 / seconds:.2f} MP/s  {memory()}", flush=True)

        config = ApplyConfig(stroke_size=1, jobs=options.jobs)
        apply_styles([photos], out, [options.style], config, on_file=watch)
        seconds = time.monotonic() - began
        after = network_seconds_a_pixel(options.style, photos)
        alone = (before + after) / 2 * pixels
        print(f"done {len(done)}, failed {len(failed)}, files {len(list(out.iterdir()))}")
        print(f"only the corrupt ones failed: {sorted(failed) == sorted(broken)}")
        print(f"batch {seconds:.1f} s, {len(done) / seconds:.2f} images/s; network alone {alone:.1f} s")
        print(f"share of the network's own speed: {alone / seconds:.0%}")


def make_photos(folder: Path, count: int, broken: int) -> list[str]:
    """Write photos of mixed sizes, some of them corrupt; return the names of the latter."""
    folder.mkdir()
    random = np.random.default_rng(0)
    sources = [Image.open(IMAGES / name).convert("RGB") for name in ("harbour.jpg", "still-life.jpg")]
    for number in range(count):
        source = sources[number % len(sources)]
        width, height = (int(random.choice(SIDES)) for _ in "wh")
        left, top = (int(random.integers(0, 60)) for _ in "lt")
        crop = source.crop((left, top, source.width, source.height)).resize((width, height))
        crop.save(folder / f"{number:05}.jpg", quality=90)
    names = [f"{number:05}.jpg" for number in random.choice(count, broken, replace=False)]
    for number, name in enumerate(names):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes([b"", b"not an image", data[: len(data) // 2], data[:200]][number % 4])
    return names


def network_seconds_a_pixel(style: str, folder: Path) -> float:
    """Return how many seconds the network alone takes per pixel of these photos."""
    engine = load_style(style).engine
    photos = list(decoded(sorted(folder.iterdir())[::10]))
    engine.run(photos[0])
    began = time.monotonic()
    for photo in photos:
        engine.run(photo)
    seconds = time.monotonic() - began
    return seconds / sum(photo[..., 0].size for photo in photos)


def decoded(paths: list[Path]) -> Iterator[NDArray[np.float32]]:
    """Yield the readable photos as `(1, H, W, 3)` in [0, 1]."""
    for path in paths:
        try:
            yield np.asarray(Image.open(path), np.float32)[None] / np.float32(255)
        except OSError:
            continue


def memory() -> str:
    """Return the memory of this process and of its decoders, as text."""
    process = psutil.Process()
    children = sum(child.memory_info().rss for child in process.children(recursive=True))
    return f"RSS {process.memory_info().rss / 1e6:.0f} MB, decoders {children / 1e6:.0f} MB"


if __name__ == "__main__":
    main()
