"""Measure how close each stage of `apply` comes to the limits of this machine.

    python benchmarks/roofline.py [--runs 3] [--megapixels 1 12]

It measures the rates of float32 matrix products and of copying, and for a photo of each size the seconds of each stage:
imports, decoding, the network (`fast` and `johnson`, at `--stroke-size 1`, in tiles if needed), encoding. For a network
it prints the share of the matrix-product rate that its learned convolutions reach, the least time that they, or moving
its features once to and from memory, would take, and, from onnxruntime's profile, the share of the time that
convolutions take, and the rate within them. Operations are those of the network itself: where fewer are computed, a
rate may exceed 100 %. Finally it times the whole command and a plain script, which imports torch and torchvision and
runs johnson in eager mode.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from measuring import median_seconds, random_style, seconds
from stylekit.config.apply import DEFAULT_STYLE
from stylekit.engines import build_engine
from stylekit.images.photo import Photo
from stylekit.images.reading import load_photo
from stylekit.images.writing import save_photo
from stylekit.networks import architecture
from stylekit.styles.library import load_style_file_by_name
from stylekit.styles.style_file import StyleFile
from stylekit.stylization.tiling import paint

HARBOUR = Path(__file__).parents[1] / "docs" / "images" / "harbour.jpg"
PLAIN_SCRIPT = """
import sys
import torch, torchvision
from PIL import Image
from torchvision import transforms
from stylekit.networks import architecture
network = architecture("johnson").build()  # in training mode, which rearranges nothing
photo = transforms.ToTensor()(Image.open(sys.argv[1]).convert("RGB"))[None]
with torch.no_grad():
    result = network(photo)[0].clamp(0, 1)
transforms.ToPILImage()(result).save(sys.argv[2], quality=92)
"""
IMPORTS = "import numpy, PIL.Image, onnxruntime"  # what `apply` imports besides stylekit
# The areas, relative to the photo's, that each network's convolutions read and write. Multiply-adds per pixel are a
# kernel's weights times the area that is written; inputs that are doubled first count at their original size.
AREAS = {
    "fast": {
        "stem": (1 / 16, 1 / 16),
        "blocks": (1 / 16, 1 / 16),
        "to_half": (1 / 16, 1 / 16),
        "at_half": (1 / 4, 1 / 4),
        "to_full": (1 / 4, 1 / 4),
        "out": (1, 1),
    },
    "johnson": {
        "conv1": (1, 1),
        "conv2": (1, 1 / 4),
        "conv3": (1 / 4, 1 / 16),
        "res": (1 / 16, 1 / 16),
        "deconv1": (1 / 16, 1 / 4),
        "deconv2": (1 / 4, 1),
        "deconv3": (1, 1),
    },
}


def main() -> None:
    """Run the benchmark."""
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


def median(call: Callable[[], object], runs: int) -> float:
    """Return the median seconds of some runs; the first one does not count."""
    return median_seconds({"": call}, runs)[""]


def matrix_product_rate(side: int = 2048) -> float:
    """Return the operations per second of multiplying square float32 matrices."""
    a, b = np.random.default_rng(0).random((2, side, side), np.float32)
    out = np.empty_like(a)
    return 2 * side**3 / median(lambda: np.matmul(a, b, out=out), 5)


def copy_rate(size: int = 2**28) -> float:
    """Return the bytes per second, read and written, of copying more than any cache holds."""
    source, target = np.ones(size, np.uint8), np.empty(size, np.uint8)
    return 2 * size / median(lambda: np.copyto(target, source), 5)


def make_photo(path: Path, megapixels: float) -> None:
    """Write the sample photo at another size."""
    with Image.open(HARBOUR) as photo:
        scale = (megapixels * 1e6 / (photo.width * photo.height)) ** 0.5
        photo.resize((round(photo.width * scale), round(photo.height * scale))).save(path, quality=92)


def convolutions(network: str) -> Iterator[tuple[tuple[int, ...], float, float]]:
    """Yield the shape of each convolution's kernels, and the areas that it reads and writes; see `AREAS`."""
    for name, shape in architecture(network).parameter_shapes({}).items():
        if len(shape) == 4:
            yield shape, *next(areas for part, areas in AREAS[network].items() if name.startswith(part))


def operations(network: str) -> float:
    """Return the operations per pixel of a network's learned convolutions; a multiply-add counts as two."""
    return sum(2 * written * float(np.prod(shape)) for shape, _, written in convolutions(network))


def feature_bytes(network: str) -> float:
    """Return the bytes per pixel that a network's convolutions read and write, each once."""
    return sum(4 * (read * shape[1] + written * shape[0]) for shape, read, written in convolutions(network))


def convolution_share(style: StyleFile, side: int = 1000) -> float:
    """Return the share of a network's time that onnxruntime spends in convolutions, from its profile."""
    about = style.metadata
    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    photo = np.random.default_rng(0).random((1, 3, side, side), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        graph = architecture(about.network).onnx_model(about.network_config, style.weights).SerializeToString()
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        for _ in range(3):
            session.run(None, {"photo": photo})
        events = json.loads(Path(session.end_profiling()).read_text())
    spent: Counter[bool] = Counter()
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith("kernel_time"):
            spent[event["args"]["op_name"] == "Conv"] += event["dur"]
    return spent[True] / spent.total()


def stages(path: Path, runs: int, products: float, copies: float) -> None:
    """Print the seconds of each stage of `apply` for a photo."""
    photo = load_photo(path, max_pixels=10**9)
    pixels = photo.pixels[..., 0].size
    print(f"\n{pixels / 1e6:.2f} megapixels")
    python, imports = (
        median(partial(subprocess.run, [sys.executable, "-c", code], check=True), runs) for code in ("pass", IMPORTS)
    )
    row("imports", imports - python, 0, IMPORTS.removeprefix("import "))
    row("decode", median(lambda: load_photo(path, max_pixels=10**9), runs), 6 * pixels / copies)
    for network in ("fast", "johnson"):
        style = load_style_file_by_name(DEFAULT_STYLE) if network == "fast" else random_style(network)
        engine = build_engine(style, device="cpu")
        once = network == "johnson" and pixels > 4e6  # in tiles it takes minutes
        paint_photo = partial(paint, engine, [photo.pixels])
        spent = seconds(paint_photo) if once else median(paint_photo, runs)
        done = operations(network) * pixels
        least = feature_bytes(network) * pixels / copies
        share, rate = convolution_share(style), done / spent / products
        note = f"{rate:.0%} of the product rate; convolutions take {share:.0%}, at {rate / share:.0%}"
        row(network, spent, max(done / products, least), note)
    encoded = path.with_name("out.jpg")
    result = Photo(photo.pixels)
    row(
        "encode",
        median(lambda: save_photo(result, encoded, format="jpeg", quality=92), runs),
        6 * pixels / copies,
    )


def row(stage: str, spent: float, least: float, note: str = "") -> None:
    """Print a stage's seconds, and the least that arithmetic and memory allow."""
    print(f"  {stage:10} {spent:8.3f} s   at least {least:7.3f} s   {note}")


def whole_command(path: Path, runs: int) -> None:
    """Print the seconds from the shell to the file of the command and of the plain script, which take turns."""
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
    calls = {
        name: partial(subprocess.run, [str(part) for part in command], check=True, capture_output=True)
        for name, command in commands.items()
    }
    print("\nfrom the shell to the file, 1 megapixel")
    medians = median_seconds(calls, runs)
    for name, spent in medians.items():
        print(f"  {name:20} {spent:7.3f} s")
    print(f"  stylekit is {medians['plain script'] / medians['stylekit apply']:.1f} times as fast as the plain script")


if __name__ == "__main__":
    main()
