"""The folder of a training run: its settings, checkpoint, metrics and samples."""

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
OTHER_RUN_DIR = "choose another --run-dir"  # a hint for `files.writing`
_FREE_TO_CHANGE = {"device", "loss_weights"}  # a run may be resumed on another machine


def pack_state(tensors: Mapping[str, "Tensor"], state: Mapping[str, Any]) -> bytes:
    """Return the content of a safetensors file with tensors and a JSON-serializable state."""
    from safetensors.torch import save

    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return save(contiguous, metadata={"state": json.dumps(state)})


def unpack_state(content: bytes) -> tuple[dict[str, "Tensor"], dict[str, Any]]:
    """Return the tensors and the state from the result of `pack_state`.

    Raises:
        SafetensorError: If the content is corrupt.
        ValueError: If the content is corrupt.
        TypeError: If the content is corrupt.
        KeyError: If the content is corrupt.
    """
    from safetensors.torch import load

    tensors = load(content)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return tensors, json.loads(header["__metadata__"]["state"])


@dataclass(frozen=True)
class RunFolder:
    """The folder of a training run; `docs/train.md` lists its files.

    Attributes:
        path: The folder, which may not exist yet.
    """

    path: Path

    @property
    def metrics(self) -> Path:
        """The CSV file with the losses of each step."""
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

    def lock(self) -> AbstractContextManager[object]:
        """Return a context manager that creates the folder and keeps other training runs from using it.

        Raises:
            StylekitError: If another training run uses the folder, or it is not writable.
        """
        return locked(self._checkpoint, StylekitError, OTHER_RUN_DIR, wait=False)

    def check_new(self) -> None:
        """Check that a training run can be started in the folder.

        The folder may be missing, empty, or left over from a run that did not reach a checkpoint.

        Raises:
            ConfigError: If the folder has other contents, or is a file.
            StylekitError: If the folder cannot be read.
        """
        try:
            with _reading(self.path):
                names = {path.name for path in self.path.iterdir()}
        except (FileNotFoundError, NotADirectoryError):
            if not self.path.exists():
                return
            names = {self.path.name}  # the path is a file
        unfinished = {self._config.name, self.metrics.name, hidden_beside(self._checkpoint, ".lock").name}
        if self._config.name in names:
            unfinished.add(self._samples.name)
        if any(not is_temporary(name) for name in names - unfinished):
            raise ConfigError(
                f"The run folder {self.path} already exists.",
                "Resume it with --resume, choose another --run-dir or --name, or delete it.",
            )

    def start(self, config: TrainConfig, painting_hash: str, name: str, start: str = "") -> None:
        """Create the folder for a new training run.

        Args:
            config: The training settings.
            painting_hash: SHA-256 of the painting.
            name: The style's name.
            start: The file name of the style that the run starts from; empty for fresh weights.

        Raises:
            ConfigError: If the folder has other contents, or is a file.
            StylekitError: If the folder cannot be read or written.
        """
        self.check_new()
        document = {"name": name, "config": config.to_dict(), "painting_sha256": painting_hash, "start": start}
        with self._writing(self._config), atomic_write(self._config) as temporary:
            temporary.write_text(json.dumps(document, indent=2) + "\n")
        self._write_metrics([])

    def read_config(self) -> TrainConfig:
        """Return the settings that the training run was started with.

        Raises:
            ConfigError: If the folder has no training run.
            StylekitError: If the folder cannot be read.
        """
        return self._read()[0]

    def read_start(self) -> str | None:
        """Return the file name of the style that the run started from; empty for fresh weights, None if unknown.

        Raises:
            StylekitError: If the folder cannot be read.
        """
        start = self._document().get("start")
        return None if start is None else str(start)

    def read_name(self) -> str:
        """Return the name of the style that is being trained; empty if the folder has no training run.

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
            raise ConfigError(
                f"No training run to resume in {self.path}.", "Leave out --resume to start a new run."
            ) from error

    def check_same(self, config: TrainConfig, painting_hash: str) -> None:
        """Check that a run is resumed with the settings and the painting that it was started with.

        Raises:
            ConfigError: If settings or painting differ; the message lists the differences.
            StylekitError: If the folder cannot be read.
        """
        before, hash_before = self._read()
        started, given = before.to_dict(), config.to_dict()
        changed = [option_of(key) for key in given if given[key] != started[key] and key not in _FREE_TO_CHANGE]
        if hash_before != painting_hash:
            changed.append("painting")
        if changed:
            raise ConfigError(
                f"The training run in {self.path} was started with a different {', '.join(changed)}.",
                "Resume it with the settings it was started with, or start again in another --run-dir.",
            )

    def save_checkpoint(self, tensors: Mapping[str, "Tensor"], state: Mapping[str, Any]) -> None:
        """Write tensors and a JSON-serializable state as the checkpoint.

        Raises:
            StylekitError: If the checkpoint cannot be written; the previous checkpoint is kept.
        """
        for folder in (self.path, self._samples):
            clear_stale(folder)
        with self._writing(self._checkpoint), atomic_write(self._checkpoint) as temporary:
            temporary.write_bytes(pack_state(tensors, state))

    def load_checkpoint(self) -> tuple[dict[str, "Tensor"], dict[str, Any]] | None:
        """Return the tensors and the state that `save_checkpoint` wrote, or None if it has not written a checkpoint.

        Raises:
            ConfigError: If the checkpoint is corrupt.
            StylekitError: If the checkpoint cannot be read.
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
        """Append the row of a step to the metrics, with its values in the order of `METRICS`.

        Raises:
            StylekitError: If the metrics cannot be written.
        """
        with self._writing(self.metrics), self.metrics.open("a", newline="") as file:
            csv.writer(file).writerow(row)

    def drop_metrics_after(self, step: int) -> None:
        """Drop the metrics of all steps after `step`, because these steps are about to be repeated.

        Raises:
            StylekitError: If the metrics cannot be read or written.
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
            StylekitError: If the contact sheet cannot be written.
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
