"""Compare the steps of `stylekit train` with those of the usual training loop.

    python benchmarks/train.py PAINTING PHOTOS LOSS_WEIGHTS [--network fast] [--batch 2] [--crop 224] [--steps 8]

The usual loop is what published scripts do: photo and result both go through VGG-19 up to the highest layer, everything
is NCHW and float32, and photos are loaded inside the loop. It is measured twice: with gradients of VGG-19's weights, as
in scripts that forget to freeze it, and with VGG-19 frozen. Network, batch, crop and layers are the same in all cases.
Rounds alternate. It prints median steps per second and their ratios, on a GPU also stylekit's peak memory.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from stylekit.config.train import TrainConfig
from stylekit.losses.layers import VGG19_LAYERS
from stylekit.losses.weights import read_loss_weights
from stylekit.networks import architecture
from stylekit.system.prefetch import prefetch
from stylekit.training.photos import CropSampler, open_photos
from stylekit.training.trainer import Trainer

CONTENT, STYLE = "relu3_3", ("relu1_1", "relu2_1", "relu3_1", "relu4_1")


class UsualLoop:
    """The loop of published fast style transfer scripts."""

    def __init__(
        self,
        config: TrainConfig,
        device: torch.device,
        painting: np.ndarray,
        weights: dict[str, np.ndarray],
        folder: Path,
        *,
        frozen: bool,
    ) -> None:
        self.config = config
        self.device = device
        self.weights = {
            name: torch.from_numpy(array).to(device).requires_grad_(not frozen) for name, array in weights.items()
        }
        self.network = architecture(config.network).build().to(self.device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), 1e-3)
        self.photos = sorted(folder.rglob("*.jpg"))
        self.random = np.random.default_rng(0)
        with torch.no_grad():
            style = self.features(torch.from_numpy(painting).permute(2, 0, 1)[None].to(self.device))
            self.grams = [self.gram(style[name]) for name in STYLE]

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """Return all activations up to the highest layer."""
        out, block = {}, "1"
        for name, convolution in VGG19_LAYERS.items():
            if name[4] != block:
                x, block = F.max_pool2d(x, 2), name[4]
            kernel, bias = (self.weights[key] for key in convolution.shapes)
            out[name] = x = F.relu(F.conv2d(x, kernel, bias, padding=1))
            if name == STYLE[-1]:
                break
        return out

    def gram(self, f: Tensor) -> Tensor:
        """Return the Gram matrices of a batch."""
        flat = f.flatten(2)
        return flat @ flat.transpose(1, 2) / flat.shape[2]

    def load(self) -> Tensor:
        """Load a batch of photos, one after another."""
        size = self.config.crop_size
        chosen = [self.photos[int(self.random.integers(len(self.photos)))] for _ in range(self.config.batch_size)]
        arrays = [np.asarray(Image.open(path).convert("RGB").resize((size, size))) for path in chosen]
        return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float().div(255).to(self.device)

    def step(self) -> None:
        """Take one training step; the style is compared at as many octaves as in stylekit."""
        photo = self.load()
        self.optimizer.zero_grad()
        output = self.network(photo)
        wanted, got = self.features(photo), self.features(output)
        loss = F.mse_loss(got[CONTENT], wanted[CONTENT])
        for octave in range(self.config.octaves):
            activations = got if octave == 0 else self.features(F.avg_pool2d(output, 2**octave))
            for name, gram in zip(STYLE, self.grams, strict=True):
                loss = loss + 20 * F.mse_loss(self.gram(activations[name]), gram.expand(len(photo), -1, -1))
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        loss.item()


def rate(step: Callable[[], object], steps: int) -> float:
    """Return steps per second."""
    began = time.perf_counter()
    for _ in range(steps):
        step()
    return steps / (time.perf_counter() - began)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("painting", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("loss_weights", type=Path)
    parser.add_argument("--network", default="fast")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--crop", type=int, default=224)
    parser.add_argument("--octaves", type=int, default=2)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    a = parser.parse_args()
    config = TrainConfig(
        network=a.network,
        batch_size=a.batch,
        crop_size=a.crop,
        octaves=a.octaves,
        precision=a.precision,
        init_from="none",
        content_layers=(CONTENT,),
        style_loss="gram",
        style_layers=dict.fromkeys(STYLE, 1.0),
    )
    weights = read_loss_weights(a.loss_weights)
    painting = np.asarray(Image.open(a.painting).convert("RGB").resize((640, 512)), np.float32) / np.float32(255)
    sampler = CropSampler(open_photos(a.photos), crop_size=a.crop, batch_size=a.batch, seed=0)
    trainer = Trainer(config, painting, weights)
    crops = prefetch(sampler.batch, range(10**9), workers=4, buffer=8)
    usual = {
        label: UsualLoop(config, trainer.device, painting, weights, a.photos, frozen=frozen)
        for label, frozen in (("usual loop, gradients on", False), ("usual loop, VGG frozen", True))
    }
    steps: dict[str, Callable[[], object]] = {label: loop.step for label, loop in usual.items()}
    steps["stylekit train"] = lambda: trainer.train_step(next(crops))
    rates: dict[str, list[float]] = {label: [] for label in steps}
    for step in steps.values():
        step()
    peak = 0
    for _ in range(a.rounds):
        for label, step in steps.items():
            if trainer.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            rates[label].append(rate(step, a.steps))
        if trainer.device.type == "cuda":
            peak = max(peak, torch.cuda.max_memory_allocated())
    crops.close()
    print(f"{a.network}, batch {a.batch}, {a.crop} px, {a.octaves} octaves, {trainer.device}, {trainer.precision}")
    ours = statistics.median(rates["stylekit train"])
    for label, values in rates.items():
        speed = statistics.median(values)
        print(f"{label:25} {speed:6.3f} steps/s (rounds: {', '.join(f'{v:.3f}' for v in values)}), {ours / speed:.2f}x")
    if peak:
        print(f"peak memory of stylekit   {peak / 2**30:.2f} GiB")


if __name__ == "__main__":
    main()
