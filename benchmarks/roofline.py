"""How close each stage of `apply` comes to what this machine can do.

    python benchmarks/roofline.py [--runs 3] [--megapixels 1 12]

Measures the rate of float32 matrix products and of copying, and, for a photo of each size, the seconds of each stage:
process and imports, decoding, the network (`fast` and `johnson`, at `--stroke-size 1`), encoding. For a network it
prints the operations of its learnt convolutions, the share of the matrix-product rate that it reaches, and the least
time that moving its features once to and from memory would take. At last, the whole command beside the plain script:
python, torch and torchvision imported, johnson eager.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from stylekit.architectures import parameter_shapes
from stylekit.config import DEFAULT_STYLE
from stylekit.engines import build_engine
from stylekit.images import Photo, load_photo, save_photo
from stylekit.library import load_style_file_by_name
from stylekit.style_file import StyleFile, StyleMetadata

HARBOUR = Path(__file__).parents[1] / "docs" / "images" / "harbour.jpg"
PLAIN_SCRIPT = """
import sys
import torch, torchvision
from PIL import Image
from torchvision import transforms
from stylekit.networks import build_network
network = build_network("johnson").eval()
photo = transforms.ToTensor()(Image.open(sys.argv[1]).convert("RGB"))[None]
with torch.no_grad():
    picture = network(photo)[0].clamp(0, 1)
transforms.ToPILImage()(picture).save(sys.argv[2], quality=92)
"""
# At which resolution each network's convolutions run: multiply-adds a pixel are a kernel's weights times its area.
AREAS = {
    "fast": {"stem": 1 / 16, "blocks": 1 / 16, "to_half": 1 / 16, "at_half": 1 / 4, "to_full": 1 / 4, "out": 1},
    "johnson": {
        "conv1": 1,
        "conv2": 1 / 4,
        "conv3": 1 / 16,
        "res": 1 / 16,
        "deconv1": 1 / 4,
        "deconv2": 1,
        "deconv3": 1,
    },
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--megapixels", type=float, nargs="*", default=[1, 12])
    options = parser.parse_args()
    products, copies = matrix_product_rate(), copy_rate()
    print(f"matrix products {products / 1e9:.0f} GFLOP/s, copies {copies / 1e9:.1f} GB/s read and written")
    with tempfile.TemporaryDirectory() as folder:
        for megapixels in options.megapixels:
            path = Path(folder) / f"{megapixels:g}.jpg"
            make_photo(path, megapixels)
            stages(path, options.runs, products, copies)
        make_photo(Path(folder) / "photo.jpg", 1)
        whole_command(Path(folder) / "photo.jpg", options.runs)


def median_seconds(call: Callable[[], object], runs: int) -> float:
    """Return the median of some runs after one that is not counted."""
    call()
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def matrix_product_rate(side: int = 2048) -> float:
    """Return operations a second in multiplying square float32 matrices."""
    a, b = np.random.default_rng(0).random((2, side, side), np.float32)
    out = np.empty_like(a)
    return 2 * side**3 / median_seconds(lambda: np.matmul(a, b, out=out), 5)


def copy_rate(size: int = 2**28) -> float:
    """Return bytes a second, read and written, in copying what no cache holds."""
    source, target = np.ones(size, np.uint8), np.empty(size, np.uint8)
    return 2 * size / median_seconds(lambda: np.copyto(target, source), 5)


def make_photo(path: Path, megapixels: float) -> None:
    """Write the harbour at another size."""
    with Image.open(HARBOUR) as photo:
        scale = (megapixels * 1e6 / (photo.width * photo.height)) ** 0.5
        photo.resize((round(photo.width * scale), round(photo.height * scale))).save(path, quality=92)


def operations(network: str) -> float:
    """Return operations a pixel of a network's learnt convolutions: a multiplication and an addition are two."""
    total = 0.0
    for name, shape in parameter_shapes(network, {}).items():
        if len(shape) == 4:
            area = next(area for part, area in AREAS[network].items() if name.startswith(part))
            total += 2 * area * float(np.prod(shape))
    return total


def feature_bytes(network: str) -> float:
    """Return bytes a pixel of what a network's convolutions read and write, each once."""
    total = 0.0
    for name, shape in parameter_shapes(network, {}).items():
        if len(shape) == 4:
            area = next(area for part, area in AREAS[network].items() if name.startswith(part))
            total += 4 * area * (shape[0] + shape[1])
    return total


def stages(path: Path, runs: int, products: float, copies: float) -> None:
    """Print the stages of a photo's way through `apply`."""
    photo = load_photo(path, max_pixels=10**9)
    pixels = photo.pixels[..., 0].size
    print(f"\n{pixels / 1e6:.2f} megapixels")
    row("decode", median_seconds(lambda: load_photo(path, max_pixels=10**9), runs), 6 * pixels / copies)
    values = np.divide(photo.pixels, 255, dtype=np.float32)[None]
    for network in ("fast", "johnson"):
        if network == "johnson" and pixels > 4e6:
            continue  # it would need 12 GB
        engine = build_engine(style_of(network), device="cpu")
        seconds = median_seconds(lambda engine=engine: engine.run(values), runs)  # type: ignore[misc]
        done = operations(network) * pixels
        least = feature_bytes(network) * pixels / copies
        row(network, seconds, max(done / products, least), f"{done / seconds / products:.0%} of the product rate")
    encoded = path.with_name("out.jpg")
    picture = Photo(photo.pixels)
    row(
        "encode",
        median_seconds(lambda: save_photo(picture, encoded, format="jpeg", quality=92), runs),
        6 * pixels / copies,
    )


def row(stage: str, seconds: float, least: float, note: str = "") -> None:
    """Print a stage's seconds, and the least that arithmetic and memory would allow."""
    print(f"  {stage:10} {seconds:8.3f} s   at least {least:7.3f} s   {note}")


def style_of(network: str) -> StyleFile:
    """Return a bundled style, or fresh weights of johnson."""
    if network == "fast":
        return load_style_file_by_name(DEFAULT_STYLE)
    random = np.random.default_rng(0)
    weights = {
        name: random.normal(0, 0.05, shape).astype(np.float32) for name, shape in parameter_shapes(network, {}).items()
    }
    return StyleFile(StyleMetadata(name=network, network=network), weights)


def whole_command(path: Path, runs: int) -> None:
    """Print the seconds from the shell to the file, of ours and of the plain script, in turns."""
    out = path.with_name("painted.jpg")
    commands: dict[str, list[str | Path]] = {
        "python alone": [sys.executable, "-c", "pass"],
        "stylekit --version": [sys.executable, "-m", "stylekit", "--version"],
        "stylekit apply": [
            sys.executable,
            "-m",
            "stylekit",
            "apply",
            path,
            "-o",
            out,
            "--overwrite",
            "--device",
            "cpu",
        ],
        "plain script": [sys.executable, "-c", PLAIN_SCRIPT, path, out],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run([str(part) for part in command], check=True, capture_output=True)
            times[name].append(time.perf_counter() - began)
    print("\nfrom the shell to the file, 1 megapixel")
    medians = {name: statistics.median(column) for name, column in times.items()}
    for name, seconds in medians.items():
        print(f"  {name:20} {seconds:7.3f} s")
    print(f"  stylekit is {medians['plain script'] / medians['stylekit apply']:.1f} times as fast as the plain script")


if __name__ == "__main__":
    main()
