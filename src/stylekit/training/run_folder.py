"""The folder of one training: its settings, checkpoint, metrics and samples."""

import contextlib
import csv
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from stylekit.config.checks import option_of
from stylekit.config.train import TrainConfig
from stylekit.errors import ConfigError, StylekitError
from stylekit.images.pillow import save_image
from stylekit.system.files import atomic_write, clear_stale, hidden_beside, is_temporary, writing
from stylekit.system.locks import locked

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

METRICS = ("step", "total", "content", "style", "tv", "seconds")
OTHER_RUN_DIR = "choose another --run-dir"  # a remedy for `files.writing`
_FREE_TO_CHANGE = {"device", "loss_weights"}  # a resumed training may run elsewhere


def pack_state(tensors: Mapping[str, "Tensor"], state: Mapping[str, Any]) -> bytes:
    """Return tensors, and a state of JSON types, as a safetensors file."""
    from safetensors.torch import save

    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return save(contiguous, metadata={"state": json.dumps(state)})


def unpack_state(content: bytes) -> tuple[dict[str, "Tensor"], dict[str, Any]]:
    """Return the tensors and the state from the result of `pack_state`.

    Raises:
        SafetensorError: If it is corrupt.
        ValueError: Likewise.
        TypeError: Likewise.
        KeyError: Likewise.
    """
    from safetensors.torch import load

    tensors = load(content)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return tensors, json.loads(header["__metadata__"]["state"])


@dataclass(frozen=True)
class RunFolder:
    """The folder of one training; `docs/train.md` lists its files.

    Attributes:
        path: The folder, which may not exist yet.
    """

    path: Path

    @property
    def metrics(self) -> Path:
        """A table with a row for each step."""
        return self.path / "metrics.csv"

    @property
    def _config(self) -> Path:
        return self.path / "config.json"

    @property
    def _checkpoint(self) -> Path:
        return self.path / "checkpoint.safetensors"

    @property
    def _samples(self) -> Path:
        return self.path / "samples"

    @property
    def has_checkpoint(self) -> bool:
        """Whether the folder has a checkpoint to resume from."""
        return self._checkpoint.is_file()

    def lock(self) -> AbstractContextManager[None]:
        """Return a context in which no other training can use the folder, which is created.

        Raises:
            StylekitError: If another training uses it, or nothing can be written there.
        """
        return locked(self._checkpoint, StylekitError, OTHER_RUN_DIR, wait=False)

    def check_new(self) -> None:
        """Check that a training can be started in the folder: it holds none that has reached a checkpoint.

        Raises:
            ConfigError: If the folder has other contents, or is a file.
            StylekitError: If it cannot be read.
        """
        try:
            with _reading(self.path):
                names = {path.name for path in self.path.iterdir()}
        except (FileNotFoundError, NotADirectoryError):
            if not self.path.exists():
                return
            names = {self.path.name}  # a file
        unfinished = {self._config.name, self.metrics.name, hidden_beside(self._checkpoint, ".lock").name}
        if self._config.name in names:
            unfinished.add(self._samples.name)
        if any(not is_temporary(name) for name in names - unfinished):
            raise ConfigError(
                f"The run folder {self.path} already exists.",
                "Use --resume to continue its training, choose another --run-dir or --name, or delete it.",
            )

    def start(self, config: TrainConfig, painting_hash: str, name: str, start: str = "") -> None:
        """Create the folder for a new training.

        Args:
            config: The training's settings.
            painting_hash: SHA-256 of the painting.
            name: The style's name.
            start: Name of the file with the style that the training starts from; empty for fresh weights.

        Raises:
            ConfigError: If the folder has other contents, or is a file.
            StylekitError: If it cannot be read or written.
        """
        self.check_new()
        document = {"name": name, "config": config.to_dict(), "painting_sha256": painting_hash, "start": start}
        with self._writing(self._config), atomic_write(self._config) as temporary:
            temporary.write_text(json.dumps(document, indent=2) + "\n")
        self._write_metrics([])

    def read_config(self) -> TrainConfig:
        """Return the settings with which the training was started.

        Raises:
            ConfigError: If the folder has no training.
            StylekitError: If it cannot be read.
        """
        return self._read()[0]

    def read_start(self) -> str | None:
        """Return the name of the file that the training started from, empty for none; None if that is not known.

        Raises:
            StylekitError: If the folder cannot be read.
        """
        start = self._document().get("start")
        return None if start is None else str(start)

    def read_name(self) -> str:
        """Return the name of the style that is being trained, empty if the folder has no training.

        Raises:
            StylekitError: If the folder cannot be read.
        """
        return str(self._document().get("name", ""))

    def _document(self) -> dict[str, Any]:
        """Return the contents of `config.json`, empty if it is missing or was not written by `start`."""
        try:
            with _reading(self._config):
                document = json.loads(self._config.read_text())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return {}
        return document if isinstance(document, dict) else {}

    def _read(self) -> tuple[TrainConfig, str]:
        """Return the settings and the painting's hash."""
        document = self._document()
        try:
            return TrainConfig.from_dict(document["config"]), str(document["painting_sha256"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"No training to resume in {self.path}.", "Leave out --resume to start one.") from error

    def check_same(self, config: TrainConfig, painting_hash: str) -> None:
        """Check that a training to be resumed has the settings and the painting that it was started with.

        Raises:
            ConfigError: If any differ; names them.
            StylekitError: If the folder cannot be read.
        """
        before, hash_before = self._read()
        started, given = before.to_dict(), config.to_dict()
        changed = [option_of(key) for key in given if given[key] != started[key] and key not in _FREE_TO_CHANGE]
        if hash_before != painting_hash:
            changed.append("painting")
        if changed:
            raise ConfigError(
                f"The training in {self.path} was started with another {', '.join(changed)}.",
                "Resume it with the settings it was started with, or start again in another --run-dir.",
            )

    def save_checkpoint(self, tensors: Mapping[str, "Tensor"], state: Mapping[str, Any]) -> None:
        """Write tensors, and a state of JSON types, as the checkpoint.

        Raises:
            StylekitError: If it cannot be written; the previous one is kept.
        """
        for folder in (self.path, self._samples):
            clear_stale(folder)
        with self._writing(self._checkpoint), atomic_write(self._checkpoint) as temporary:
            temporary.write_bytes(pack_state(tensors, state))

    def load_checkpoint(self) -> tuple[dict[str, "Tensor"], dict[str, Any]] | None:
        """Return what `save_checkpoint` wrote, or None if there is no checkpoint yet.

        Raises:
            ConfigError: If it is corrupt.
            StylekitError: If it cannot be read.
        """
        try:
            with _reading(self._checkpoint):
                content = self._checkpoint.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return unpack_state(content)
        except (SafetensorError, ValueError, TypeError, KeyError) as error:
            raise ConfigError(
                f"The checkpoint in {self.path} is corrupt.", "Start again in another --run-dir."
            ) from error

    def append_metrics(self, row: tuple[float, ...]) -> None:
        """Add a step's row, in the order of `METRICS`.

        Raises:
            StylekitError: If it cannot be written.
        """
        with self._writing(self.metrics), self.metrics.open("a", newline="") as file:
            csv.writer(file).writerow(row)

    def drop_metrics_after(self, step: int) -> None:
        """Keep the rows of the first `step` steps, because later steps are about to be repeated.

        Raises:
            StylekitError: If they cannot be read or written.
        """
        rows = []
        with contextlib.suppress(FileNotFoundError), _reading(self.metrics), self.metrics.open(newline="") as file:
            rows = [row for row in csv.reader(file) if len(row) == len(METRICS) and row[0].isdigit()]
        self._write_metrics([row for row in rows if int(row[0]) <= step])

    def _write_metrics(self, rows: list[list[str]]) -> None:
        with (
            self._writing(self.metrics),
            atomic_write(self.metrics) as temporary,
            temporary.open("w", newline="") as file,
        ):
            csv.writer(file).writerows([METRICS, *rows])

    def save_sample(self, step: int, sheet: "Image.Image") -> None:
        """Write the contact sheet of a step.

        Raises:
            StylekitError: If it cannot be written.
        """
        path = self._samples / f"{step:06d}.png"
        with self._writing(path), atomic_write(path) as temporary:
            save_image(sheet, temporary, "PNG")

    @staticmethod
    def _writing(path: Path) -> AbstractContextManager[None]:
        return writing(path, StylekitError, OTHER_RUN_DIR)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn an `OSError` raised while `path` is read into a `StylekitError`, unless the path is missing."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise StylekitError(f"Cannot read {path}: {error.strerror or error}.", "Check its permissions.") from error
