"""Training for fast style transfer (Johnson et al. 2016): a transformer network learns the style of a painting."""

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
from stylekit.errors import ConfigError, StyleFileError
from stylekit.images.pixels import Floats, to_floats
from stylekit.images.reading import ImageLike
from stylekit.losses.weights import find_loss_weights, read_loss_weights
from stylekit.styles.library import save_own_style
from stylekit.styles.names import SUFFIX
from stylekit.styles.style_file import Credits, StyleFile, StyleMetadata, save_style_file
from stylekit.system.devices import select_device
from stylekit.system.distributed import ALONE, World
from stylekit.system.prefetch import prefetch
from stylekit.training.charts import contact_sheet, sample_photo, save_loss_curves
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
_SAMPLES = 10  # contact sheets per training run
_TRIAL_CROPS = 4  # for the comparison of bundled styles with the painting
_CALIBRATION_CROPS = 16  # for `Trainer.calibrate`
_FEW_PHOTOS = 100

OnNote = Callable[[str], None]


@dataclass(frozen=True)
class StepReport:
    """The results of a training step.

    Attributes:
        step: The number of the step, from 1.
        steps: The total number of steps.
        total: The weighted sum of the losses.
        content: Relative content loss.
        style: Relative style loss.
        tv: Total variation.
        seconds: Training time so far, including earlier sessions of a resumed run.
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
    """A training run that is ready for its first step.

    Attributes:
        run: The folder of the run.
        trainer: Network, losses and optimizer.
        sampler: The source of training crops.
        painting: The painting, scaled to the size at which it is learned.
        photos: Photos for the contact sheets.
        files: Names and hashes of the input files.
    """

    run: RunFolder
    trainer: "Trainer"
    sampler: CropSampler
    painting: Image.Image
    photos: list[Floats]
    files: dict[str, Any]

    def save_sample(self) -> None:
        """Write the contact sheet of the current step."""
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
    """Train a transformer network on a painting, and add it to the user's styles.

    Everything that can be checked without torch and without a download is checked first.

    Args:
        painting: The style image, as a path, a Pillow image or RGB values `(H, W, 3)` of type uint8.
        photos: Training photos: a folder, a zip archive, `coco`, or the result of `open_photos`.
        config: The training settings; the defaults if None.
        name: The style's name.
        run_dir: Folder for checkpoint, metrics and samples.
        credits: The painting's credits, for the style file.
        previews: Photos for the contact sheets; some of the training photos by default.
        resume: Whether to resume from the checkpoint in `run_dir`.
        force: Whether the style may replace one of the user's styles, or override a bundled style.
        world: The processes that train together, which this function joins into a group. In each step, each process
            takes `batch_size` different crops; only rank 0 writes files. With `resume`, or if torchrun has restarted
            them, the processes resume from the last checkpoint, if any.
        on_step: Called after each step.
        on_unreadable: Called once for each photo that is skipped, with the reason.
        on_note: Called with messages for the user.
        on_compared: Called before each bundled style is compared with the painting, to find the nearest to start from.
        on_download: Called before photos or the loss network's weights are downloaded.
        should_stop: Called after each step; if the result is true, training writes a checkpoint and stops.

    Returns:
        The style, as written to `run_dir/NAME.safetensors` and to the user's styles.

    Raises:
        ConfigError: If settings are invalid or differ from those of the run to resume.
        ImageError: If the painting or a preview cannot be read.
        DatasetError: If there are too few photos.
        DownloadError: If photos cannot be downloaded.
        LossWeightsError: If VGG-19's weights are missing and cannot be downloaded, or end before the highest layer.
        StyleFileError: If the style cannot be written, or cannot be added to the user's styles. In the second case, the
            message contains its path in `run_dir`.
        TrainingDiverged: If a loss is no longer finite; the last checkpoint is kept.
        RankLost: If another process has been lost.
        KeyboardInterrupt: If `should_stop` returned true in one of the processes.
    """
    check_torch()
    config, run = config or TrainConfig(), RunFolder(Path(run_dir))
    if config.minutes is not None and world.is_distributed:
        raise ConfigError("--minutes works only in a single process.", "Use --steps with torchrun.")
    device = select_device(config.device) if world.is_distributed else "cpu"  # not used by a single process
    with world.joined(device):
        resume = _is_resumed(run, resume, world)
        if world.is_leader:
            check_places(name, run, resume=resume, force=force)
        inputs = read_inputs(painting, previews, config, run, resume=resume)
        training = _prepare(inputs, photos, config, run, world, resume, on_note, on_compared, on_download)
        with run.lock() if world.is_leader else contextlib.nullcontext():
            _start(training, inputs, name, resume=resume)
            _loop(training, on_step, on_unreadable, should_stop)
            return _keep(training, name, credits or Credits(), on_note)


def _is_resumed(run: RunFolder, resume: bool, world: World) -> bool:
    """Return whether to resume a training run; torchrun may restart distributed processes without `resume`."""
    restarted = world.any(world.restarts > 0)  # each machine counts its own restarts
    if not (restarted or world.is_distributed):
        return resume
    return world.any(world.is_leader and (resume or restarted) and run.read_name() != "")


def _prepare(
    inputs: Inputs,
    photos: PhotoSource | str | os.PathLike[str],
    config: TrainConfig,
    run: RunFolder,
    world: World,
    resume: bool,
    on_note: OnNote,
    on_compared: OnCompared,
    on_download: OnDownload,
) -> _Training:
    """Open the photos, download what is missing, and build networks and losses."""
    select_device(config.device)  # raises an error before any download if the device is unavailable
    source = open_photos(photos, on_download=on_download) if isinstance(photos, str | os.PathLike) else photos
    first = world.rank * config.batch_size
    sampler = CropSampler(
        source, crop_size=config.crop_size, batch_size=config.batch_size, seed=config.seed, first=first
    )
    _note_photos(len(source.names), on_note)
    loss_weights = find_loss_weights(config.loss_weights, config.loss_network, on_download=on_download)
    on_note("Loading torch and the loss network …")
    from stylekit.training.pace import steps_in
    from stylekit.training.trainer import Trainer

    painting, start = to_floats(np.asarray(inputs.painting)), inputs.start
    if not inputs.is_start_known:
        crops = sampler.crops(0, range(_TRIAL_CROPS))
        start = find_nearest_start(painting, crops, config.network, on_note, on_compared)
    files = describe_files(inputs, start, loss_weights)
    trainer = Trainer(config, painting, read_loss_weights(loss_weights), world, start.style if start else None)
    trainer.calibrate(sampler.crops(0, range(_CALIBRATION_CROPS)))
    if config.minutes is not None and not resume:
        trainer.set_steps(steps_in(60 * config.minutes, trainer, sampler))
        on_note(f"{config.minutes:g} min are about {trainer.config.steps:,} steps.")
    shown = [sample_photo(photo) for photo in inputs.previews or sampler.examples(3)]
    return _Training(run, trainer, sampler, inputs.painting, shown, files)


def _note_photos(number: int, on_note: OnNote) -> None:
    if number < _FEW_PHOTOS:
        on_note(f"Only {number} training photos: {_FEW_PHOTOS} or more varied photos give a better style.")
    else:
        on_note(f"{number:,} training photos.")


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
    """Take the remaining steps, and write their metrics, samples and checkpoints."""
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
                f"The style is trained, but cannot be added to your styles: {error.message}",
                f"Use it as --style {path}, or add it with `stylekit styles import {path} --name {name}`.",
            ) from error
        try:
            save_loss_curves(run.metrics, run.path / "loss.png")
        except Exception as error:  # the curves are optional: the style is trained and saved
            on_note(f"Cannot draw the loss curves: {error}")
    return style
