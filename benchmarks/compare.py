"""Compare optimization (Gatys et al. 2015) with the fast method on the same photo and painting.

    python benchmarks/compare.py PHOTO PAINTING --style NAME [--loss-weights FILE] [--size N] [--output docs]

Reduces the photo to N px, and writes a page, `comparison.md`, and its images, `images/comparison/`, to the output
folder: the results of `gatys` with both optimizers and both style losses, and that of the fast method with strokes of
the same size. Each has its relative content loss (relu3_3), its relative style loss (relu1_1 to relu4_1, with the
painting at as many pixels as the result), the objective content + 20 × style, and the seconds it took. The objective
that `gatys` itself minimizes is printed as well, to compare its optimizers. `gatys-judged` minimizes the judge's
objective; `single-scale` is plain L-BFGS on it, from the photo, for the same time.
"""

import argparse
import contextlib
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from quality import PAINTING_SIDE, STYLE_LAYERS, STYLE_WEIGHT, Mark, criterion, load, mark, tensor
from stylekit import GatysConfig, gatys, load_style
from stylekit.images.pixels import to_bytes
from stylekit.losses.perceptual import PerceptualLoss
from stylekit.losses.weights import find_loss_weights, read_loss_weights
from stylekit.optimization.scales import GatysReport


class _TimeIsUp(Exception):
    """Ends an optimization."""


def timed(work: Callable[[], Image.Image]) -> tuple[Image.Image, float]:
    """Return an image, and how many seconds it took."""
    began = time.perf_counter()
    image = work()
    return image, time.perf_counter() - began


def single_scale(loss: PerceptualLoss, photo: Tensor, seconds: float) -> Image.Image:
    """Optimize the photo itself for the judge's objective, by torch's L-BFGS, for some seconds."""
    content, until = loss.content_of(photo), time.perf_counter() + seconds
    image = photo.clone(memory_format=torch.contiguous_format).requires_grad_()
    optimizer = torch.optim.LBFGS([image], max_iter=100_000, line_search_fn="strong_wolfe")

    best, least = photo, math.inf

    def closure() -> Tensor:
        nonlocal best, least
        if time.perf_counter() > until:
            raise _TimeIsUp
        optimizer.zero_grad()
        total: Tensor = loss(image, content).total
        total.backward()  # type: ignore[no-untyped-call]
        if total.item() < least:
            best, least = image.detach().clone(), total.item()
        return total

    with contextlib.suppress(_TimeIsUp):
        optimizer.step(closure)  # type: ignore[no-untyped-call]
    return Image.fromarray(to_bytes(best[0].permute(1, 2, 0).numpy()))


@dataclass(frozen=True)
class Row:
    """A result of the comparison: its name, how it was made, its mark, and how many seconds it took."""

    name: str
    how: str
    mark: Mark
    seconds: float

    def markdown(self) -> str:
        """Return the row as a line of a Markdown table."""
        m = self.mark
        return (
            f"| {self.name} | {self.how} | {m.content:.3f} | {m.style:.4f} | {m.objective:.3f} | {self.seconds:.1f} |"
        )


def page(painting: str, size: int, rows: list[Row]) -> str:
    """Return the comparison's Markdown."""
    lines = [
        "# Optimization and the fast method compared",
        "",
        f"The same photo at {size} px and the same painting ({painting}), on {os.cpu_count()} CPU cores, as printed by",
        "",
        "```",
        "python benchmarks/compare.py PHOTO PAINTING --style NAME",
        "```",
        "",
        "Content is the relative loss at relu3_3, style the one at relu1_1 to relu4_1, and the objective is content +",
        "20 × style. Lower numbers are not always better paintings: `gatys-judged` and `single-scale` minimize the",
        "very objective that they are judged by, the others do not. Judge by the images.",
        "",
        "| image | how | content | style | objective | seconds |",
        "|---|---|---|---|---|---|",
        *(row.markdown() for row in rows),
        "",
        "![photo](images/comparison/photo.jpg)",
    ]
    for row in rows:
        lines += ["", f"## {row.name}", "", f"![{row.name}](images/comparison/{row.name}.jpg)"]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the table, and write the page and its images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("painting", type=Path)
    parser.add_argument("--style", required=True, help="the painting's style")
    parser.add_argument("--output", type=Path, default=Path("docs"))
    parser.add_argument("--loss-weights", type=Path)
    parser.add_argument("--size", type=int, default=512)
    options = parser.parse_args()
    folder = options.output / "images" / "comparison"
    folder.mkdir(parents=True, exist_ok=True)
    path = find_loss_weights(options.loss_weights)
    weights = {name: torch.from_numpy(array) for name, array in read_loss_weights(path).items()}
    pixels = load(options.photo, longer=options.size)
    with Image.open(options.painting) as painting:
        shrink = (pixels.shape[0] * pixels.shape[1] / (painting.width * painting.height)) ** 0.5
        loss = criterion(options.painting, weights, shorter=round(min(painting.size) * shrink))
    source, photo = Image.fromarray(pixels), tensor(pixels)
    source.save(folder / "photo.jpg", quality=90)

    def by_gatys(**settings: Any) -> Callable[[], Image.Image]:
        config = GatysConfig(size=options.size, loss_weights=str(path), device="cpu", **settings)

        def report(step: GatysReport) -> None:
            if step.done == 1:
                print(f"{settings or 'defaults'}: total {step.total:.4f} after {step.seconds:.1f} s", flush=True)

        return lambda: gatys(source, options.painting, config, on_step=report)

    style = load_style(options.style, device="cpu")
    with Image.open(options.painting) as painting:  # learned at this size by the network
        learned = (PAINTING_SIDE / min(painting.size)) ** 2 * painting.width * painting.height
    stroke_size = round((source.width * source.height / learned) ** 0.5, 2)
    style(source, stroke_size=stroke_size)  # the first run of a network takes longer
    works = {
        "gatys": ("stylekit gatys, its defaults", by_gatys()),
        "gatys-adam": ("with --optimizer adam", by_gatys(optimizer="adam")),
        "gatys-gram": ("with --style-loss gram", by_gatys(style_loss="gram")),
        "fast": (f"stylekit apply --stroke-size {stroke_size}", lambda: style(source, stroke_size=stroke_size)),
        "gatys-judged": (
            "stylekit gatys on the objective",
            by_gatys(
                style_loss="gram",
                content_layers=("relu3_3",),
                style_layers=STYLE_LAYERS,
                style_weight=STYLE_WEIGHT,
                tv_weight=0.0,
            ),
        ),
    }
    rows: list[Row] = []

    def add(name: str, how: str, work: Callable[[], Image.Image]) -> None:
        image, seconds = timed(work)
        image.save(folder / f"{name}.jpg", quality=90)
        rows.append(Row(name, how, mark(loss, tensor(np.asarray(image)), photo), seconds))
        print(rows[-1].markdown(), flush=True)

    for name, (how, work) in works.items():
        add(name, how, work)
    seconds = rows[-1].seconds
    add("single-scale", "plain L-BFGS on the objective", lambda: single_scale(loss, photo, seconds))
    title = ", ".join(part for part in (style.metadata.title, style.metadata.artist, style.metadata.year) if part)
    (options.output / "comparison.md").write_text(page(title, options.size, rows), encoding="utf-8")


if __name__ == "__main__":
    main()
