"""The recipe of a trained style: everything needed to train it again, except for the input files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stylekit._version import __version__
from stylekit.errors import TrainingDiverged
from stylekit.styles.packing import eight_bit
from stylekit.styles.style_file import StyleWeights
from stylekit.system.files import file_hash
from stylekit.training.preflight import Inputs
from stylekit.training.warm_start import Start

if TYPE_CHECKING:
    from stylekit.training.trainer import Trainer


def describe_files(inputs: Inputs, start: Start | None, loss_weights: Path) -> dict[str, Any]:
    """Return the names and hashes of a training run's input files.

    Call this function before the first step, because the files may change during training.

    Args:
        inputs: The user's input for training.
        start: The style that the training run starts from.
        loss_weights: The file with the loss network's weights.
    """
    recipe_of_start = {"trained_with": start.style.metadata.trained_with} if start else {}
    return {
        "painting": {"file": inputs.painting_name, "sha256": inputs.painting_hash},
        "init_from": {**_described(start.file), **recipe_of_start} if start else None,
        "loss_weights": _described(loss_weights),
    }


def _described(path: Path) -> dict[str, str]:
    """Return a file's name and hash, but not its folder, which is private."""
    return {"file": path.name, "sha256": file_hash(path)}


def describe_training(trainer: "Trainer", files: dict[str, Any]) -> dict[str, Any]:
    """Return the recipe of a finished training run.

    Args:
        trainer: The state of the run after its last step.
        files: The names and hashes of the input files, from `describe_files`.
    """
    reached = np.mean(trainer.recent, axis=0).round(5).tolist() if trainer.recent else []
    return {
        **trainer.config.to_dict(),
        "content_layers": list(trainer.criterion.content_layers),
        "style_layers": trainer.style_layers,
        "style_gains": dict(trainer.criterion.style_gains),
        "processes": trainer.world.size,
        "device": trainer.device.type,
        "precision": str(trainer.precision).removeprefix("torch."),
        **files,
        "losses": dict(zip(("total", "content", "style", "tv"), reached, strict=False)),
        "seconds": round(trainer.seconds),
        "stylekit": __version__,
    }


def final_weights(trainer: "Trainer") -> StyleWeights:
    """Return the weights of a finished training run, rounded so that they can be stored in 8 bits.

    Raises:
        TrainingDiverged: If the weights are not finite.
    """
    weights = trainer.weights()
    if not all(np.isfinite(array).all() for array in weights.values()):
        raise TrainingDiverged("The weights are no longer finite.", "Lower --lr.")
    return eight_bit(weights)
