"""A training's folder: settings, checkpoint, metrics, samples."""

import contextlib
import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from stylekit.config.train import TrainConfig
from stylekit.errors import ConfigError, StylekitError
from stylekit.images.pillow import save_image
from stylekit.system.files import atomic_write, clear_stale

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

METRICS = ("step", "total", "content", "style", "tv", "seconds")
_FREE_TO_CHANGE = {"device", "loss_weights"}  # a resumed training may run elsewhere


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what goes wrong in writing `path` into a `StylekitError`."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise StylekitError(f"{path} cannot be written: {error}.", "Is there room, and may you write there?") from None


def pack_state(tensors: Mapping[str, "Tensor"], state: Mapping[str, Any]) -> bytes:
    """Put tensors and JSON state together, as a safetensors file."""
    from safetensors.torch import save

    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return save(contiguous, metadata={"state": json.dumps(state)})


def unpack_state(content: bytes) -> tuple[dict[str, "Tensor"], dict[str, Any]]:
    """Take apart what `pack_state` put together.

    Raises:
        SafetensorError, ValueError, TypeError, KeyError: if it is damaged.
    """
    from safetensors.torch import load

    tensors = load(content)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return tensors, json.loads(header["__metadata__"]["state"])


@dataclass(frozen=True)
class RunFolder:
    """The folder of one training; see `docs/train.md` for what lies in it."""

    path: Path

    @property
    def metrics(self) -> Path:
        """A row a step."""
        return self.path / "metrics.csv"

    @property
    def _config(self) -> Path:
        return self.path / "config.json"

    @property
    def _checkpoint(self) -> Path:
        return self.path / "checkpoint.safetensors"

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is something to resume from."""
        return self._checkpoint.is_file()

    def start(self, config: TrainConfig, painting_hash: str, name: str, start: str = "") -> None:
        """Make the folder for a new training.

        Args:
            config: its settings.
            painting_hash: SHA-256 of the painting's file.
            name: the style's name.
            start: name of the file that it begins with, if any.

        Raises:
            ConfigError: if it holds something already.
        """
        held = {path.name for path in self.path.iterdir()} if self.path.is_dir() else set()
        begun = held - {self._config.name, self.metrics.name}  # a run that never reached a checkpoint has not begun
        if self.path.is_file() or begun:
            raise ConfigError(
                f"The run folder {self.path} exists already.",
                "Continue with --resume, choose another --run-dir or --name, or delete it.",
            )
        document = {"name": name, "config": config.to_dict(), "painting_sha256": painting_hash, "start": start}
        with writing(self._config), atomic_write(self._config) as temporary:
            temporary.write_text(json.dumps(document, indent=2) + "\n")
        self._write_metrics([])

    def read_config(self) -> TrainConfig:
        """Read the settings with which the training was started.

        Raises:
            ConfigError: if there is no training here.
        """
        return self._read()[0]

    def read_start(self) -> str | None:
        """Read the name of the file that the training began with, empty for none; None where that is not known."""
        try:
            return str(json.loads(self._config.read_text())["start"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def read_name(self) -> str:
        """Read the name of the style that is being trained; empty where there is no training here."""
        try:
            return str(json.loads(self._config.read_text())["name"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def _read(self) -> tuple[TrainConfig, str]:
        """Return settings and the painting's hash."""
        try:
            document = json.loads(self._config.read_text())
            return TrainConfig.from_dict(document["config"]), str(document["painting_sha256"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise ConfigError(
                f"There is no training to resume in {self.path}.", "Start one by leaving out --resume."
            ) from None

    def check_same(self, config: TrainConfig, painting_hash: str) -> None:
        """Make sure that a training that is to be resumed is the one that was started.

        Raises:
            ConfigError: naming the settings that differ.
        """
        before, hash_before = self._read()
        started, wanted = before.to_dict(), config.to_dict()
        differing = [key for key in wanted if wanted[key] != started[key] and key not in _FREE_TO_CHANGE]
        if hash_before != painting_hash:
            differing.append("painting")
        if differing:
            raise ConfigError(
                f"The training in {self.path} was started with another {', '.join(differing)}.",
                "Resume it with the settings it was started with, or start anew in another --run-dir.",
            )

    def save_checkpoint(self, tensors: Mapping[str, "Tensor"], state: Mapping[str, Any]) -> None:
        """Write tensors and JSON state together, whole or not at all."""
        clear_stale(self.path)
        with writing(self._checkpoint), atomic_write(self._checkpoint) as temporary:
            temporary.write_bytes(pack_state(tensors, state))

    def load_checkpoint(self) -> tuple[dict[str, "Tensor"], dict[str, Any]] | None:
        """Read what `save_checkpoint` wrote; None where there is none yet.

        Raises:
            ConfigError: if it is damaged.
        """
        if not self.has_checkpoint:
            return None
        try:
            return unpack_state(self._checkpoint.read_bytes())
        except (SafetensorError, OSError, ValueError, TypeError, KeyError):
            raise ConfigError(
                f"The checkpoint in {self.path} is damaged.", "Start anew in another --run-dir."
            ) from None

    def append_metrics(self, row: tuple[float, ...]) -> None:
        """Add a step's row; the order is `METRICS`."""
        with writing(self.metrics), self.metrics.open("a", newline="") as file:
            csv.writer(file).writerow(row)

    def drop_metrics_after(self, step: int) -> None:
        """Keep the rows of the first `step` steps: later ones are about to be computed again."""
        try:
            with self.metrics.open(newline="") as file:
                rows = [row for row in csv.reader(file) if len(row) == len(METRICS) and row[0].isdigit()]
        except FileNotFoundError:
            rows = []
        self._write_metrics([row for row in rows if int(row[0]) <= step])

    def _write_metrics(self, rows: list[list[str]]) -> None:
        with writing(self.metrics), atomic_write(self.metrics) as temporary, temporary.open("w", newline="") as file:
            csv.writer(file).writerows([METRICS, *rows])

    def save_sample(self, step: int, sheet: "Image.Image") -> None:
        """Write a step's contact sheet."""
        path = self.path / "samples" / f"{step:06d}.png"
        with writing(path), atomic_write(path) as temporary:
            save_image(sheet, temporary, "PNG")
