"""Material to train with: a few photos, a painting, the lower part of a loss network, and settings for quick steps."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from stylekit.config.train import TrainConfig


@dataclass(frozen=True)
class Material:
    """Files to train with.

    Attributes:
        photos: A folder of photos.
        painting: The painting.
        weights: Loss weights up to relu3_3.
        preview: A narrow photo, which keeps contact sheets cheap.
    """

    photos: Path
    painting: Path
    weights: Path
    preview: Path


def write_material(folder: Path, make_photo, vgg_weights) -> Material:
    """Write the files into `folder`."""
    material = Material(
        folder / "photos", folder / "The Great Wave (1831).png", folder / "vgg.safetensors", folder / "preview.png"
    )
    material.photos.mkdir(parents=True)
    for seed in range(4):
        make_photo(72, 64, seed).save(material.photos / f"{seed}.png")
    make_photo(36, 90, 9).save(material.painting)
    make_photo(8, 64, 5).save(material.preview)
    save_file(vgg_weights, material.weights)
    return material


def tiny_config(material: Material, **changes) -> TrainConfig:
    """Return settings with which a step takes a tenth of a second."""
    settings = {
        "network": "fast",
        "style_loss": "gram",
        "precision": "float32",
        "steps": 6,
        "batch_size": 1,
        "crop_size": 32,
        "style_size": 32,
        "octaves": 1,
        "content_layers": ("relu2_1",),
        "style_layers": {"relu1_1": 1.0, "relu2_1": 1.0},
        "loss_weights": str(material.weights),
        "init_from": "none",
        "device": "cpu",
    }
    return TrainConfig(**{**settings, **changes})


def metrics(run_dir: Path) -> np.ndarray:
    """Return a run's metrics without their seconds: step, total, content, style, tv."""
    return np.loadtxt(run_dir / "metrics.csv", delimiter=",", skiprows=1, ndmin=2)[:, :5]
