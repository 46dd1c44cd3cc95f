"""Compare optimisation (Gatys et al. 2015) with the fast method on the same photo and painting.

    python benchmarks/compare.py PHOTO PAINTING --style NAME --output FOLDER [--loss-weights FILE] [--size N]

Writes into the folder the photo reduced to N px, what `gatys` makes of it with both optimisers and both style losses,
and what the fast method makes of it; prints each picture's relative content loss (relu3_3), relative style loss
(relu1_1 to relu4_1, the painting with as many pixels as the picture), the objective content + 20 × style, and the
seconds it took. `single-scale` is plain L-BFGS from the photo on that very objective, given as long as `gatys` took.
"""

import argparse
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from quality import criterion, load, mark, tensor
from stylekit import GatysConfig, gatys, load_style
from stylekit.colors import to_bytes
from stylekit.descent import Lbfgs
from stylekit.loss_weights import find_loss_weights, read_loss_weights
from stylekit.losses import Losses, PerceptualLoss


class _TimeIsUp(Exception):
    pass


def timed(work: Callable[[], Image.Image]) -> tuple[Image.Image, float]:
    """A picture, and how many seconds it took."""
    began = time.perf_counter()
    picture = work()
    return picture, time.perf_counter() - began


def single_scale(loss: PerceptualLoss, photo: Tensor, seconds: float) -> Image.Image:
    """Optimise the photo itself on the judge's objective, for so long."""
    content, descent, until = loss.content_of(photo), Lbfgs(), time.perf_counter() + seconds

    def check(losses: Losses) -> None:
        if time.perf_counter() > until:
            raise _TimeIsUp

    descent.resize(photo)
    with contextlib.suppress(_TimeIsUp):
        descent.run(lambda picture: loss(picture, content), 100_000, check)
    return Image.fromarray(to_bytes(descent.picture[0].permute(1, 2, 0).numpy() * 255))


def main() -> None:
    """Print the table and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("painting", type=Path)
    parser.add_argument("--style", required=True, help="the painting's style")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--loss-weights", type=Path)
    parser.add_argument("--size", type=int, default=512)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    path = find_loss_weights(options.loss_weights)
    weights = {name: torch.from_numpy(array) for name, array in read_loss_weights(path).items()}
    pixels = load(options.photo, longer=options.size)
    with Image.open(options.painting) as painting:
        shrink = (pixels.shape[0] * pixels.shape[1] / (painting.width * painting.height)) ** 0.5
        loss = criterion(options.painting, weights, shorter=round(min(painting.size) * shrink))
    source, photo = Image.fromarray(pixels), tensor(pixels)
    source.save(options.output / "photo.jpg", quality=92)

    def optimised(**settings: str) -> Callable[[], Image.Image]:
        config = GatysConfig(size=options.size, loss_weights=str(path), device="cpu", **settings)  # type: ignore[arg-type]
        return lambda: gatys(source, options.painting, config)

    style = load_style(options.style, device="cpu")
    style(source)  # the first run of a network takes longer
    works = {
        "gatys": optimised(),
        "gatys-adam": optimised(optimizer="adam"),
        "gatys-gram": optimised(style_loss="gram"),
        "fast": lambda: style(source),
    }
    print(f"{'picture':16} {'content':>8} {'style':>8} {'objective':>10} {'seconds':>8}")

    def show(name: str, picture: Image.Image, seconds: float) -> None:
        picture.save(options.output / f"{name}.jpg", quality=92)
        m = mark(loss, tensor(np.asarray(picture)), photo)
        print(f"{name:16} {m.content:8.3f} {m.style:8.4f} {m.objective:10.3f} {seconds:8.1f}", flush=True)

    for name, work in works.items():
        picture, seconds = timed(work)
        show(name, picture, seconds)
        if name == "gatys":
            show("single-scale", *timed(lambda seconds=seconds: single_scale(loss, photo, seconds)))  # type: ignore[misc]


if __name__ == "__main__":
    main()
