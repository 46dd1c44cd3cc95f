"""Distill VGG-19 into the compact loss network that the package ships.

    python scripts/distill.py PHOTOS --paintings FILE... --output FILE [--start FILE] [--loss-weights FILE]

It starts from the channels of VGG-19 from which the others can best be predicted linearly, with convolutions fitted to
them by least squares, or from those convolutions of a compact network that fit. Then the whole network is trained to
reproduce VGG-19's activations through a linear map at each layer: on photos, paintings, stylized photos, distorted
ones, and on images that the network itself has optimized, since an optimizer finds out where a loss network is wrong.
The latter are made again in each round, and there the difference of its Gram matrices from the painting's is to be
VGG-19's. It prints the relative squared errors of activations and Gram matrices on other crops of the photos and
paintings.
"""

import argparse
import itertools
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stylekit._version import __version__
from stylekit.config.checks import MAX_PIXELS
from stylekit.images.reading import load_photo
from stylekit.losses.compact import CompactFeatures
from stylekit.losses.layers import COMPACT_LAYERS, COMPACT_POOLED, COMPACT_WIDTHS, VGG19_LAYERS
from stylekit.losses.perceptual import PerceptualLoss
from stylekit.losses.style import gram_matrix
from stylekit.losses.vgg import VggFeatures
from stylekit.losses.weights import find_loss_weights, read_loss_weights
from stylekit.networks import architecture
from stylekit.optimization.optimizers import Lbfgs
from stylekit.styles.library import load_style_file_by_name
from stylekit.styles.locations import style_names
from stylekit.system.files import file_hash
from stylekit.training.photos import CropSampler, open_photos

SOURCE = "Distilled by the stylekit authors from VGG-19 (Simonyan and Zisserman 2014, Oxford VGG, CC BY 4.0)."
KINDS = ("photo", "distorted", "painted", "optimized", "target")
OPTIMIZED, TARGET = 3, 4  # an optimized image, and its painting
SIDE = 160  # pixels of the images
SAMPLES = 12  # batches to which the first weights are fitted
CHECK_SEED = 1  # of the images on which errors are measured
CHECKS = 8  # batches of them
OPTIMIZED_PER_ROUND = 8
OPTIMIZED_TO_CHECK = 2
EVALUATIONS = (10, 30, 80)  # after which an optimization's image is used
RIDGE = 1e-5  # of least squares, relative to the mean square of the inputs
GRAM_WEIGHT = 5.0  # of the relative error of Gram matrices; that of activations has 1
REST_WEIGHT = 0.3  # of the relative error of the difference between an optimized image's and its painting's Gram matrix
LEAST_REST = 0.01  # of the square of the painting's Gram matrix: the least that this error is relative to
BATCH_SHARE = 0.2  # of the batch's energy in the energy that errors are relative to
RATE = 3e-3  # of Adam, relative to the root mean square of the weights
WARM_UP = 50  # steps
COOLING = 0.6  # share of the steps in which the learning rate falls to nothing


# Images -------------------------------------------------------------------------------------------------------------


class Images:
    """Batches of images in [0, 1], one of each kind.

    Args:
        photos: A folder, a zip archive, or `coco`.
        paintings: Files of paintings.
        seed: The seed of all images.

    Attributes:
        optimized: Optimized images, each with its painting.
    """

    def __init__(self, photos: str, paintings: list[Path], seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.optimized: list[tuple[Tensor, Tensor]] = []
        self._sampler = CropSampler(open_photos(photos), crop_size=SIDE, batch_size=1, seed=seed)
        self._paintings = [Image.fromarray(load_photo(path, max_pixels=MAX_PIXELS).pixels) for path in paintings]
        styles = [load_style_file_by_name(name) for name in style_names()]
        self._networks = [
            architecture(style.metadata.network).load(style.metadata.network_config, style.weights) for style in styles
        ]

    def photos(self, step: int, number: int = 1) -> Tensor:
        """Return crops of photos, `(B, 3, S, S)`."""
        return torch.from_numpy(self._sampler.crops(step, range(number)))

    def painting(self) -> Tensor:
        """Return a random crop of a random painting."""
        image = self._paintings[self.random.integers(len(self._paintings))]
        side = int(min(image.size) * self.random.uniform(0.2, 0.8))
        left, top = (int(self.random.integers(0, length - side + 1)) for length in image.size)
        resized = image.resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))
        return torch.from_numpy(np.array(resized)).permute(2, 0, 1)[None].float() / 255

    def batch(self, step: int) -> Tensor:
        """Return one image of each kind, `(5, 3, S, S)`; two paintings if no image has been optimized yet."""
        photos = self.photos(step, 3)
        choices = self.optimized or [(self.painting(), self.painting())]
        pair = choices[self.random.integers(len(choices))]
        return torch.cat([photos[:1], self._distorted(photos[1:2]), self._painted(photos[2:]), *pair])

    @torch.no_grad()
    def _painted(self, photo: Tensor) -> Tensor:
        """Return a painting or a stylized photo."""
        if self.random.random() < 0.5:
            return self.painting()
        result: Tensor = self._networks[self.random.integers(len(self._networks))](photo)
        return result.clamp(0, 1)

    def _distorted(self, photo: Tensor) -> Tensor:
        """Return an image with noise, too much sharpness, contrast or color, or nothing but noise."""
        source = photo if self.random.random() < 0.7 else self.painting()
        kind, strength = self.random.integers(5), self.random.uniform()
        noise = torch.from_numpy(self.random.normal(0, 1, source.shape).astype(np.float32))
        if kind == 0:
            source = source + 0.4 * strength * noise
        elif kind == 1:
            source = source + (1 + 5 * strength) * (source - F.avg_pool2d(source, 3, 1, 1, count_include_pad=False))
        elif kind == 2:
            source = 0.5 + (1.5 + 3 * strength) * (source - source.mean())
        elif kind == 3:
            gray = source.mean(1, keepdim=True)
            source = gray + (1.5 + 4 * strength) * (source - gray)
        else:
            size = int(2 ** self.random.uniform(1, np.log2(SIDE)))
            source = F.interpolate(0.5 + 0.5 * noise[..., :size, :size], SIDE, mode="bicubic")
        return source.clamp(0, 1)


def optimized(network: CompactFeatures, images: Images, number: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Optimize a photo, or noise, for a painting; yield the image after some evaluations, each with the painting."""
    random = images.random
    photo, painting = images.photos(10**6 + number), images.painting()
    loss = PerceptualLoss(
        network,
        painting,
        content_layers=(str(random.choice(["relu3_3", "relu4_1"])),),
        style_layers={layer: 1.0 for layer in COMPACT_LAYERS if layer.endswith("_1")},
        content_weight=float(random.choice([0.0, 1.0, 1.0])),
        style_weight=20.0,
        tv_weight=float(random.choice([0.0, 0.05])),
        style_loss=str(random.choice(["gram", "moments"])),
    )
    content = loss.content_of(photo)
    optimizer = Lbfgs()
    optimizer.restart(photo if random.random() < 0.8 else torch.rand_like(photo))
    for before, after in itertools.pairwise((0, *EVALUATIONS)):
        optimizer.run(lambda image: loss(image, content), after - before, lambda losses: None)
        yield optimizer.image, painting


# First weights ------------------------------------------------------------------------------------------------------


class LeastSquares:
    """A least-squares fit of `outputs ≈ inputs · W`, from sums over all samples."""

    def __init__(self) -> None:
        self._inner: Tensor = torch.zeros((), dtype=torch.float64)
        self._cross: Tensor = torch.zeros((), dtype=torch.float64)

    def add(self, inputs: Tensor, outputs: Tensor) -> None:
        """Add samples, `(N, I)` and `(N, O)`."""
        self._inner = self._inner + (inputs.T @ inputs).double() / len(inputs)
        self._cross = self._cross + (inputs.T @ outputs).double() / len(inputs)

    def solve(self) -> Tensor:
        """Return `W`, `(I, O)`."""
        ridge = RIDGE * self._inner.diagonal().mean() * torch.eye(len(self._inner), dtype=torch.float64)
        solution: Tensor = torch.linalg.solve(self._inner + ridge, self._cross)
        return solution.float()


def rows(activations: Tensor) -> Tensor:
    """Return `(B, C, H, W)` as `(B·H·W, C)`."""
    return activations.movedim(1, -1).flatten(0, 2)


def informative_channels(moments: Tensor, number: int) -> list[int]:
    """Choose channels greedily so that they leave the least energy of all channels unexplained.

    Args:
        moments: The activations' second moments, `(C, C)`.
        number: The number of channels to choose.
    """
    rest, least = moments.clone(), 1e-9 * moments.diagonal().mean()
    chosen: list[int] = []
    for _ in range(number):
        gains = rest.square().sum(0) / rest.diagonal().clamp_min(least)
        gains[chosen] = -1
        chosen.append(channel := int(gains.argmax()))
        rest -= torch.outer(rest[channel], rest[channel]) / rest[channel, channel].clamp_min(least)
    return chosen


def fitted_convolution(inputs: list[Tensor], outputs: list[Tensor], width: int) -> tuple[Tensor, Tensor]:
    """Fit a convolution's weight and bias to the most informative channels of its wanted outputs.

    Args:
        inputs: `(B, I, H + 2, W + 2)` each.
        outputs: `(B, O, H, W)` each, before ReLU.
        width: The number of channels.
    """
    rectified = [rows(F.relu(x)) for x in outputs]
    chosen = informative_channels(torch.stack([(x.T @ x).double() / len(x) for x in rectified]).sum(0), width)
    fit = LeastSquares()
    for x, wanted in zip(inputs, outputs, strict=True):
        patches = F.unfold(x, 3).movedim(1, -1).flatten(0, 1)
        fit.add(F.pad(patches, (0, 1), value=1.0), rows(wanted[:, chosen]))
    *kernel, bias = fit.solve()
    return torch.stack(kernel).T.reshape(width, inputs[0].shape[1], 3, 3), bias


@torch.no_grad()
def first_weights(vgg: VggFeatures, batches: list[Tensor], start: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Choose channels and fit the compact network's convolutions to them, layer by layer.

    Args:
        vgg: The network to distill.
        batches: Images to fit to.
        start: Weights of convolutions, which are used as they are if their shapes fit.
    """
    weights: dict[str, Tensor] = {}
    ours = theirs = [(batch - vgg.mean) / vgg.deviation for batch in batches]
    first = 0
    for layer, width in COMPACT_WIDTHS.items():
        last = VGG19_LAYERS[layer].index
        for module in vgg.features[first:last]:
            theirs = [module(x) for x in theirs]
        before = [vgg.features[last](x) for x in theirs]
        theirs = [F.relu(x) for x in before]
        if before[0].shape[-1] > ours[0].shape[-1]:  # here max pooling comes earlier
            before = [F.max_pool2d(x, 2) for x in before]
        weight, bias = (start.get(f"features.{layer}.{part}", torch.empty(0)).float() for part in ("weight", "bias"))
        padded = [F.pad(x, (1, 1, 1, 1), mode="constant" if weights else "replicate") for x in ours]
        if weight.shape[:2] != (width, ours[0].shape[1]):
            weight, bias = fitted_convolution(padded, before, width)
        ours = [F.relu(F.conv2d(x, weight, bias)) for x in padded]
        weights |= {f"features.{layer}.weight": weight, f"features.{layer}.bias": bias}
        if layer in COMPACT_LAYERS:
            weights[f"maps.{layer}"] = torch.eye(width)
        if layer in COMPACT_POOLED:
            ours = [F.max_pool2d(x, 2) for x in ours]
        first = last + 2
    return weights


# Training -----------------------------------------------------------------------------------------------------------


class Student(nn.Module):
    """The compact network with its maps to VGG-19's channels.

    Args:
        weights: The network's weights; its maps are ignored.
    """

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self._network = CompactFeatures(COMPACT_LAYERS, weights)
        self._maps = nn.ParameterDict()
        self._network.features.requires_grad_(True)

    @torch.no_grad()
    def fit_maps(self, vgg: VggFeatures, batches: list[Tensor]) -> None:
        """Set the maps to the least-squares solution."""
        fits = {layer: LeastSquares() for layer in COMPACT_LAYERS}
        for batch in batches:
            features, wanted = self._network(batch), vgg(batch)
            for layer, fit in fits.items():
                fit.add(rows(features[layer]), rows(wanted[layer]))
        self._maps = nn.ParameterDict({layer: nn.Parameter(fit.solve().T.contiguous()) for layer, fit in fits.items()})

    def errors(self, batch: Tensor, wanted: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return relative squared errors by image and layer.

        Args:
            batch: One image of each kind.
            wanted: VGG-19's activations of them.

        Returns:
            The errors of activations, `(B, L)`; of Gram matrices, `(B, L)`; and of the difference between the optimized
            image's and its painting's Gram matrix, `(L,)`.
        """
        features = self._network(batch)
        points, grams, rests = [], [], []
        for layer in COMPACT_LAYERS:
            mapping, target = self._maps[layer], wanted[layer]
            wide = F.conv2d(features[layer], mapping[..., None, None])
            gram = gram_matrix(target)
            ours = gram_matrix(features[layer], mapping=mapping)
            points.append(_relative((wide - target).square().mean((1, 2, 3)), target.square().mean((1, 2, 3))))
            grams.append(_relative((ours - gram).square().sum((1, 2)), gram.square().sum((1, 2))))
            rest, our_rest = gram[OPTIMIZED] - gram[TARGET], ours[OPTIMIZED] - ours[TARGET]
            least = LEAST_REST * gram[TARGET].square().sum()
            rests.append((our_rest - rest).square().sum() / (rest.square().sum() + least))
        return torch.stack(points, 1), torch.stack(grams, 1), torch.stack(rests)

    @torch.no_grad()
    def weights(self) -> dict[str, Tensor]:
        """Return the compact network's weights, with each map `Q` as `Lᵀ` where `Qᵀ Q = L Lᵀ`."""
        state = {f"features.{name}": tensor.clone() for name, tensor in self._network.features.state_dict().items()}
        for layer, mapping in self._maps.items():
            inner = mapping.double().T @ mapping.double()
            inner += 1e-9 * inner.diagonal().mean() * torch.eye(len(inner))
            state[f"maps.{layer}"] = torch.linalg.cholesky(inner).T.float().contiguous()
        return state


def _relative(errors: Tensor, energies: Tensor) -> Tensor:
    """Return errors relative to energies, and a little to the batch's, so that a plain image does not dominate."""
    return errors / ((1 - BATCH_SHARE) * energies + BATCH_SHARE * energies.mean())


class Distillation:
    """The student, its teacher, and the images that both see."""

    def __init__(self, vgg: VggFeatures, options: argparse.Namespace) -> None:
        self.vgg = vgg
        self.images = Images(options.photos, options.paintings, options.seed)
        self.others = Images(options.photos, options.paintings, CHECK_SEED)
        self.steps: int = options.steps
        self.round = -(-options.steps // options.rounds)
        samples = [self.images.batch(step) for step in range(SAMPLES)]
        self.student = Student(first_weights(vgg, samples, load_file(options.start) if options.start else {}))
        self.student.fit_maps(vgg, samples)
        scaled = [  # steps in proportion to the weights: VGG-19's shrink tenfold over its layers
            {"params": [p], "lr": RATE * p.detach().square().mean().sqrt().item()}
            for p in self.student.parameters()
            if p.requires_grad
        ]
        self.optimizer = torch.optim.Adam(scaled, betas=(0.9, 0.99))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)

    def _rate(self, step: int) -> float:
        """Return the relative learning rate: it warms up, stays, and falls to nearly 0."""
        return min(1, (step + 1) / WARM_UP, max(0.01, (self.steps - step) / (COOLING * self.steps)))

    def run(self) -> None:
        """Take all steps, with newly optimized images in each round."""
        began = time.perf_counter()
        losses: list[float] = []
        for step in range(self.steps):
            if step % self.round == 0:
                self._optimize(step)
                print(f"step {step}\n{self.table()}", flush=True)
            losses.append(self._step(step))
            if (step + 1) % 100 == 0:
                seconds = time.perf_counter() - began
                print(f"step {step + 1}  loss {np.mean(losses[-100:]):.4f}  {seconds:.0f} s", flush=True)

    def _step(self, step: int) -> float:
        batch = self.images.batch(SAMPLES + step)
        with torch.no_grad():
            wanted = self.vgg(batch)
        points, grams, rests = self.student.errors(batch, wanted)
        loss = points.sum(1).mean() + GRAM_WEIGHT * grams.sum(1).mean() + REST_WEIGHT * rests.sum()
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        return loss.item()

    def _optimize(self, step: int) -> None:
        """Add images that the student, as it is now, optimizes."""
        network = CompactFeatures(COMPACT_LAYERS, self.student.weights())
        for images, number in ((self.images, OPTIMIZED_PER_ROUND), (self.others, OPTIMIZED_TO_CHECK)):
            images.optimized += [pair for n in range(number) for pair in optimized(network, images, step + n)]

    def table(self) -> str:
        """Return the errors on other images of each kind: the same each time, except for newly optimized ones."""
        self.others.random = np.random.default_rng(1)
        batches = [self.others.batch(step) for step in range(CHECKS)]
        with torch.no_grad():
            each = [self.student.errors(batch, self.vgg(batch)) for batch in batches]
        lines = [" " * 21 + " ".join(f"{layer:>8}" for layer in COMPACT_LAYERS)]
        points, grams, rests = (torch.stack(errors).mean(0) for errors in zip(*each, strict=True))
        rows = [("activations", kind, row) for kind, row in zip(KINDS, points, strict=True)]
        rows += [("Gram", kind, row) for kind, row in zip(KINDS, grams, strict=True)]
        for name, kind, row in [*rows, ("rest", "optimized", rests)]:
            lines.append(f"{name:11} {kind:9}" + " ".join(f"{error:8.4f}" for error in row))
        return "\n".join(lines)


def save_weights(weights: dict[str, Tensor], path: Path, recipe: dict[str, Any]) -> None:
    """Write the compact network in half precision, with its source and recipe."""
    halves = {name: tensor.half() for name, tensor in weights.items()}
    save_file(halves, path, metadata={"source": SOURCE, "recipe": json.dumps(recipe)})


def read_recipe(path: Path) -> dict[str, Any]:
    """Return the recipe of a compact network."""
    with safe_open(path, framework="pt") as file:
        recipe: dict[str, Any] = json.loads(file.metadata()["recipe"])
        return recipe


def main() -> None:
    """Distill VGG-19 and write the compact network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", help="a folder, a zip archive, or `coco`")
    parser.add_argument("--paintings", type=Path, nargs="+", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--start", type=Path, help="a compact network to start from")
    parser.add_argument("--seed", type=int, default=0, help="of the images; choose another one with --start")
    parser.add_argument("--loss-weights", type=Path)
    options = parser.parse_args()
    torch.manual_seed(0)
    path = find_loss_weights(options.loss_weights)
    vgg = VggFeatures(COMPACT_LAYERS, {n: torch.from_numpy(a) for n, a in read_loss_weights(path).items()})
    start = read_recipe(options.start) if options.start else None
    distillation = Distillation(vgg, options)
    distillation.run()
    errors = distillation.table()
    print(errors)
    recipe = {
        "steps": options.steps,
        "rounds": options.rounds,
        "start": start,
        "seed": options.seed,
        "paintings": [painting.name for painting in options.paintings],
        "loss_weights": {"file": path.name, "sha256": file_hash(path)},
        "errors": errors.splitlines(),
        "stylekit": __version__,
    }
    save_weights(distillation.student.weights(), options.output, recipe)


if __name__ == "__main__":
    main()
