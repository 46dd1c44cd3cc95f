"""Training for fast style transfer (Johnson et al. 2016): one painting becomes a transformer network."""

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from stylekit.config.train import TrainConfig
from stylekit.downloads.announcement import OnDownload, ignore_download
from stylekit.errors import StyleFileError
from stylekit.images.pixels import Floats, to_floats
from stylekit.images.reading import ImageLike
from stylekit.losses.weights import find_loss_weights, read_loss_weights
from stylekit.styles.library import save_own_style
from stylekit.styles.names import SUFFIX
from stylekit.styles.style_file import Credits, StyleFile, StyleMetadata, save_style_file
from stylekit.system.devices import select_device
from stylekit.system.distributed import ALONE, World
from stylekit.system.prefetch import prefetch
from stylekit.training.charts import contact_sheet, save_loss_curves
from stylekit.training.photos import CropSampler, PhotoSource, open_photos
from stylekit.training.preflight import Inputs, check_places, check_torch, read_inputs
from stylekit.training.recipe import describe_files, describe_training, final_weights
from stylekit.training.run_folder import RunFolder, pack_state, unpack_state
from stylekit.training.warm_start import OnCompared, find_nearest_start

if TYPE_CHECKING:
    from stylekit.training.trainer import Trainer

_LOADERS = 4  # threads
_BUFFERED_BATCHES = 8
_CHECKPOINT_SECONDS = 60
_SAMPLES = 10  # contact sheets per training
_SAMPLE_HEIGHT = 256  # pixels
_TRIAL_CROPS = 4  # on which bundled styles are compared
_CALIBRATION_CROPS = 16  # whose energy content losses are relative to
_FEW_PHOTOS = 100

OnNote = Callable[[str], None]


@dataclass(frozen=True)
class StepReport:
    """A training step that is done.

    Attributes:
        step: Its number, from 1.
        steps: The number of steps.
        total: The weighted sum of the losses.
        content: Relative content loss.
        style: Relative style loss.
        tv: Total variation.
        seconds: Training time so far, including earlier sessions of a resumed training.
    """

    step: int
    steps: int
    total: float
    content: float
    style: float
    tv: float
    seconds: float


@dataclass(frozen=True)
class _Training:
    """A training that is ready for its first step.

    Attributes:
        run: Its folder.
        trainer: Network, losses and optimizer.
        sampler: Its crops.
        painting: The painting at the size at which it is learned.
        photos: Photos for the contact sheets.
        files: Names and hashes of the files that it was made from.
    """

    run: RunFolder
    trainer: "Trainer"
    sampler: CropSampler
    painting: Image.Image
    photos: list[Floats]
    files: dict[str, Any]

    def save_sample(self) -> None:
        """Write a contact sheet of this step."""
        results = [self.trainer.stylize(photo) for photo in self.photos]
        self.run.save_sample(self.trainer.step, contact_sheet(self.photos, results, self.painting))


def train_style(
    painting: ImageLike,
    photos: PhotoSource | str | os.PathLike[str],
    config: TrainConfig | None = None,
    *,
    name: str,
    run_dir: str | os.PathLike[str],
    credits: Credits | None = None,
    previews: Sequence[ImageLike] = (),
    resume: bool = False,
    force: bool = False,
    world: World = ALONE,
    on_step: Callable[[StepReport], None] = lambda report: None,
    on_unreadable: Callable[[str, str], None] = lambda photo, reason: None,
    on_note: OnNote = lambda note: None,
    on_compared: OnCompared = lambda compared, styles: None,
    on_download: OnDownload = ignore_download,
    should_stop: Callable[[], bool] = lambda: False,
) -> StyleFile:
    """Train a transformer network on a painting, and keep it among the user's styles.

    All that can be known without torch and without a download is checked first.

    Args:
        painting: The style image, as a path, a Pillow image or RGB values `(H, W, 3)` of type uint8.
        photos: Training photos: a folder, a zip archive, `coco`, or what `open_photos` returned.
        config: The settings.
        name: The style's name.
        run_dir: Folder for checkpoint, metrics and samples.
        credits: The painting's credits, for the style file.
        previews: Photos for the contact sheets; some of the training photos by default.
        resume: Whether to resume from the checkpoint in `run_dir`.
        force: Whether the style may replace one of the user's, or hide a bundled one.
        world: The processes that train together, which are joined here. In each step each of them takes `batch_size`
            crops of its own; only rank 0 writes. If torchrun has restarted them, or with `resume`, they resume from the
            last checkpoint if there is one.
        on_step: Called after each step.
        on_unreadable: Called once for each photo that is skipped, with the reason.
        on_note: Called with remarks for the user.
        on_compared: Called before each comparison of a bundled style with the painting, to start from the nearest.
        on_download: Called before photos or the loss network's weights are downloaded.
        should_stop: Called after each step; if it returns true, the training writes a checkpoint and stops.

    Returns:
        The style, as written to `run_dir/NAME.safetensors` and to the user's styles.

    Raises:
        ConfigError: If settings are invalid or differ from those of the training to resume.
        ImageError: If the painting or a preview cannot be read.
        DatasetError: If there are too few photos.
        DownloadError: If photos cannot be downloaded.
        LossWeightsError: If VGG-19's weights are missing, cannot be downloaded, or end below the layers.
        StyleFileError: If the style cannot be written; says where it is if only one of its places fails.
        TrainingDiverged: If a loss is no longer finite; the last checkpoint is kept.
        RankLost: If another of the processes is gone.
        KeyboardInterrupt: If `should_stop` returned true in one of the processes.
    """
    check_torch()
    config, run = config or TrainConfig(), RunFolder(Path(run_dir))
    device = select_device(config.device) if world.is_distributed else "cpu"  # a single process joins nothing
    with world.joined(device):
        resume = _is_resumed(run, resume, world)
        if world.is_leader:
            check_places(name, run, resume=resume, force=force)
        inputs = read_inputs(painting, previews, config, run, resume=resume)
        training = _prepare(inputs, photos, config, run, world, on_note, on_compared, on_download)
        with run.lock() if world.is_leader else contextlib.nullcontext():
            _start(training, inputs, name, resume=resume)
            _loop(training, on_step, on_unreadable, should_stop)
            return _keep(training, name, credits or Credits(), on_note)


def _is_resumed(run: RunFolder, resume: bool, world: World) -> bool:
    """Return whether there is a training to resume; distributed ones may be restarted with their first command."""
    restarted = world.any(world.restarts > 0)  # each machine counts for itself
    if not (restarted or world.is_distributed):
        return resume
    return world.any(world.is_leader and (resume or restarted) and run.read_name() != "")


def _prepare(
    inputs: Inputs,
    photos: PhotoSource | str | os.PathLike[str],
    config: TrainConfig,
    run: RunFolder,
    world: World,
    on_note: OnNote,
    on_compared: OnCompared,
    on_download: OnDownload,
) -> _Training:
    """Open the photos, download what is missing, and build networks and losses."""
    select_device(config.device)  # an unavailable device is an error before any download
    source = open_photos(photos, on_download=on_download) if isinstance(photos, str | os.PathLike) else photos
    first = world.rank * config.batch_size
    sampler = CropSampler(
        source, crop_size=config.crop_size, batch_size=config.batch_size, seed=config.seed, first=first
    )
    _note_photos(len(source.names), on_note)
    loss_weights = find_loss_weights(config.loss_weights, config.loss_network, on_download=on_download)
    on_note("Loading torch and the loss network …")
    from stylekit.training.trainer import Trainer

    painting, start = to_floats(np.asarray(inputs.painting)), inputs.start
    if not inputs.is_start_known:
        crops = sampler.crops(0, range(_TRIAL_CROPS))
        start = find_nearest_start(painting, crops, config.network, on_note, on_compared)
    files = describe_files(inputs, start, loss_weights)
    trainer = Trainer(config, painting, read_loss_weights(loss_weights), world, start.style if start else None)
    trainer.calibrate(sampler.crops(0, range(_CALIBRATION_CROPS)))
    shown = [_reduced(photo) for photo in inputs.previews or sampler.examples(3)]
    return _Training(run, trainer, sampler, inputs.painting, shown, files)


def _note_photos(number: int, on_note: OnNote) -> None:
    if number < _FEW_PHOTOS:
        on_note(f"Only {number} training photos: {_FEW_PHOTOS} or more of all sorts of things give a better style.")
    else:
        on_note(f"{number:,} training photos.")


def _reduced(photo: Image.Image) -> Floats:
    """Return a photo at the height of contact sheets."""
    width = max(8, round(photo.width * _SAMPLE_HEIGHT / photo.height))
    return to_floats(np.asarray(photo.resize((width, _SAMPLE_HEIGHT))))


def _start(training: _Training, inputs: Inputs, name: str, *, resume: bool) -> None:
    """Create the run folder, or restore its checkpoint; then give all processes the same state."""
    run, trainer = training.run, training.trainer
    if trainer.world.is_leader:
        if not resume:
            started_from = training.files["init_from"]
            run.start(trainer.config, inputs.painting_hash, name, started_from["file"] if started_from else "")
        elif (checkpoint := run.load_checkpoint()) is not None:
            trainer.restore(*checkpoint)
        run.drop_metrics_after(trainer.step)
    if trainer.world.is_distributed:
        trainer.restore(*unpack_state(trainer.world.broadcast(pack_state(*trainer.state()))))


def _loop(
    training: _Training,
    on_step: Callable[[StepReport], None],
    on_unreadable: Callable[[str, str], None],
    should_stop: Callable[[], bool],
) -> None:
    """Take the steps that are left, and keep metrics, samples and checkpoints of them."""
    run, trainer, sampler = training.run, training.trainer, training.sampler
    world, steps = trainer.world, trainer.config.steps
    sample_every = max(1, steps // _SAMPLES)
    reported: set[str] = set()
    saved_at = time.monotonic()
    began = saved_at - trainer.seconds
    for crops in prefetch(sampler.batch, range(trainer.step, steps), workers=_LOADERS, buffer=_BUFFERED_BATCHES):
        total, content, style, tv = trainer.train_step(crops)
        trainer.seconds = time.monotonic() - began
        report = StepReport(trainer.step, steps, total, content, style, tv, trainer.seconds)
        if world.is_leader:
            run.append_metrics((report.step, total, content, style, tv, round(report.seconds, 3)))
        for photo, reason in list(sampler.unreadable.items()):
            if photo not in reported:
                reported.add(photo)
                on_unreadable(photo, reason)
        on_step(report)
        if world.is_leader and (report.step % sample_every == 0 or report.step == steps):
            training.save_sample()
        stopping = world.any(should_stop())
        due = stopping or report.step == steps or time.monotonic() - saved_at > _CHECKPOINT_SECONDS
        if world.is_leader and due:
            run.save_checkpoint(*trainer.state())
            saved_at = time.monotonic()
        if stopping and report.step < steps:
            raise KeyboardInterrupt


def _keep(training: _Training, name: str, credits: Credits, on_note: OnNote) -> StyleFile:
    """Write the style to the run folder and to the user's styles, then draw the loss curves."""
    run, trainer = training.run, training.trainer
    metadata = StyleMetadata(
        name=name,
        network=trainer.config.network,
        network_config=trainer.network_config,
        trained_with=describe_training(trainer, training.files),
        **dataclasses.asdict(credits),
    )
    style = StyleFile(metadata, final_weights(trainer))
    if trainer.world.is_leader:
        path = run.path / f"{name}{SUFFIX}"
        save_style_file(style, path)
        try:
            save_own_style(style)
        except StyleFileError as error:
            raise StyleFileError(
                f"The style is trained, but not among your styles: {error.message}",
                f"Use it as --style {path}, or add it by `stylekit styles import {path} --name {name}`.",
            ) from error
        try:
            save_loss_curves(run.metrics, run.path / "loss.png")
        except Exception as error:  # of a decoration: the style is trained and saved
            on_note(f"Cannot draw the loss curves: {error}")
    return style
