"""Fast style transfer's training (Johnson et al. 2016): one painting becomes a transformer network."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylekit._version import __version__
from stylekit.config.train import TrainConfig
from stylekit.errors import ConfigError, ImageError, TrainingDiverged
from stylekit.images.reading import load_photo
from stylekit.losses.weights import find_loss_weights, read_loss_weights
from stylekit.styles.library import check_free, locate_style, read_style, save_own_style
from stylekit.styles.locations import bundled_styles_dir
from stylekit.styles.names import SUFFIX, check_style_name
from stylekit.styles.style_file import Credits, StyleFile, StyleMetadata, Weights, half_precision, save_style_file
from stylekit.system.distributed import ALONE, World
from stylekit.system.files import file_hash
from stylekit.system.prefetch import prefetch
from stylekit.training.charts import contact_sheet, save_loss_curves
from stylekit.training.photos import CropSampler, PhotoSource
from stylekit.training.run_folder import RunFolder, pack_state, unpack_state, writing
from stylekit.training.trainer import Trainer
from stylekit.training.warm_start import nearest_style

_LOADERS = 4
_BATCHES_AHEAD = 8
_CHECKPOINT_SECONDS = 60
_SAMPLES = 10  # contact sheets over a training
_SAMPLE_HEIGHT = 256
_LEAST_PAINTING = 32
_TRIED = 4  # crops on which bundled styles are tried
_CALIBRATION = 16  # crops whose energy is the measure of content losses


@dataclass(frozen=True)
class StepReport:
    """A finished training step.

    Attributes:
        step: its number, from 1.
        steps: how many there will be.
        total: the weighted sum of the losses.
        content: relative content loss.
        style: relative style loss.
        tv: total variation.
        seconds: training time so far, earlier sessions of a resumed training included.
    """

    step: int
    steps: int
    total: float
    content: float
    style: float
    tv: float
    seconds: float


def train_style(
    painting: Path,
    photos: PhotoSource,
    config: TrainConfig | None = None,
    *,
    name: str,
    run_dir: Path,
    credits: Credits | None = None,
    previews: Sequence[Path] = (),
    resume: bool = False,
    force: bool = False,
    world: World = ALONE,
    on_step: Callable[[StepReport], None] = lambda report: None,
    on_unreadable: Callable[[str, str], None] = lambda photo, reason: None,
    on_note: Callable[[str], None] = lambda note: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> StyleFile:
    """Train a transformer network on a painting and keep it among the user's own styles.

    Args:
        painting: the style image's file.
        photos: training photos.
        config: settings.
        name: the style's name.
        run_dir: folder for checkpoint, metrics and samples.
        credits: what the style file says about the painting.
        previews: photos for the contact sheets; some of the training photos by default.
        resume: whether to go on from the checkpoint in `run_dir`.
        force: whether the style may replace one of the user's own, or hide a bundled one.
        world: processes that train together, joined. Each takes `batch_size` crops of its own in a step; rank 0 alone
            writes. Where torchrun has started them anew, or with `resume`, they go on from the last checkpoint if
            there is one.
        on_step: called after each step.
        on_unreadable: called once for each photo that is passed over, with the reason.
        on_note: called with what is worth knowing once.
        should_stop: asked after each step; once it says yes, a checkpoint is written and the training interrupted.

    Returns:
        The style, as it was written to `run_dir/NAME.safetensors` and among the user's styles.

    Raises:
        ConfigError: if settings are wrong or contradict the training that is to be resumed.
        ImageError: if the painting or a preview cannot be read.
        DatasetError: if there are too few photos.
        LossWeightsError: if VGG-19's weights are absent or do not reach the layers.
        TrainingDiverged: if the loss is no longer finite; the last checkpoint is kept.
        RankLost: if another of the processes is gone.
        KeyboardInterrupt: if `should_stop` said yes, in one of them.
    """
    config = config or TrainConfig()
    run = RunFolder(run_dir)
    resume = _goes_on(run, resume, world)
    if force or (resume and run.read_name() == name):
        check_style_name(name)
    else:
        check_free(name)
    style_image = _load_painting(painting, config.style_size)
    weights_file = find_loss_weights(config.loss_weights, config.loss_network)
    painting_hash = file_hash(painting)
    if resume:
        run.check_same(config, painting_hash)
    sampler = CropSampler(
        photos,
        crop_size=config.crop_size,
        batch_size=config.batch_size,
        seed=config.seed,
        first=world.rank * config.batch_size,
    )
    start_file = _start_file(config, _floats(style_image), sampler, run.read_start() if resume else None, on_note)
    start = _read_start(start_file, config.network) if start_file else None
    origins = {  # as they are now: files change while a training runs
        "init_from": {**_named(start_file), "trained_with": start.metadata.trained_with}
        if start_file and start
        else None,
        "loss_weights": _named(weights_file),
    }
    trainer = Trainer(config, _floats(style_image), read_loss_weights(weights_file), world, start)
    trainer.calibrate(sampler.crops(0, range(_CALIBRATION)))
    sheet_photos = _sheet_photos(previews, sampler)
    if world.leads:
        if not resume:
            run.start(config, painting_hash, name, start_file.name if start_file else "")
        elif (checkpoint := run.load_checkpoint()) is not None:
            trainer.restore(*checkpoint)
        run.drop_metrics_after(trainer.step)
    if world.is_shared:  # all begin as rank 0 does
        trainer.restore(*unpack_state(world.from_first(pack_state(*trainer.state()))))

    def save_sample() -> None:
        results = [trainer.stylise(photo) for photo in sheet_photos]
        run.save_sample(trainer.step, contact_sheet(sheet_photos, results, style_image))

    named: set[str] = set()

    def show(report: StepReport) -> None:
        for photo, reason in list(sampler.unreadable.items()):
            if photo not in named:
                named.add(photo)
                on_unreadable(photo, reason)
        on_step(report)

    _loop(trainer, sampler, run, save_sample, show, should_stop)
    recipe = {**_recipe(config, painting, painting_hash, trainer), **origins}
    metadata = StyleMetadata(
        name=name,
        network=config.network,
        network_config=trainer.network_config,
        trained_with=recipe,
        **dataclasses.asdict(credits or Credits()),
    )
    style = StyleFile(metadata, _final_weights(trainer))
    if world.leads:
        curves = run.path / "loss.png"
        with writing(curves):
            save_loss_curves(run.metrics, curves)
        save_style_file(style, run.path / f"{name}{SUFFIX}")
        save_own_style(style)
    return style


def _start_file(
    config: TrainConfig,
    painting: NDArray[np.float32],
    sampler: CropSampler,
    begun_with: str | None,
    on_note: Callable[[str], None],
) -> Path | None:
    """The style that the training begins with, or, where it is resumed, the bundled one that it has begun with."""
    if config.init_from == "none":
        return None
    if config.init_from != "nearest":
        return locate_style(config.init_from)
    if begun_with is not None:
        return bundled_styles_dir() / begun_with if begun_with else None
    nearest = nearest_style(painting, sampler.crops(0, range(_TRIED)), config.network)
    beginning = f"{nearest.stem}, the bundled style that is nearest to the painting" if nearest else "fresh weights"
    on_note(f"Starting from {beginning}.")
    return nearest


def _read_start(path: Path, network: str) -> StyleFile:
    start = read_style(path)
    if start.metadata.network != network:
        raise ConfigError(
            f"{path.name} is a {start.metadata.network} network, not {network}.",
            f"Add --network {start.metadata.network}, or start from another style.",
        )
    return start


def _goes_on(run: RunFolder, resume: bool, world: World) -> bool:
    """Whether there is a training to go on with.

    Several processes may be started again by whatever watches over them, with the command that began the training.
    """
    restarted = world.any(world.restarts > 0)  # each machine counts for itself
    if not (restarted or world.is_shared):
        return resume
    return world.any(world.leads and (resume or restarted) and run.read_name() != "")


def _loop(
    trainer: Trainer,
    sampler: CropSampler,
    run: RunFolder,
    save_sample: Callable[[], None],
    on_step: Callable[[StepReport], None],
    should_stop: Callable[[], bool],
) -> None:
    world, steps = trainer.world, trainer.config.steps
    sample_every = max(1, steps // _SAMPLES)
    saved_at = time.monotonic()
    began = saved_at - trainer.seconds
    for crops in prefetch(sampler.batch, range(trainer.step, steps), workers=_LOADERS, ahead=_BATCHES_AHEAD):
        total, content, style, tv = trainer.train_step(crops)
        trainer.seconds = time.monotonic() - began
        report = StepReport(trainer.step, steps, total, content, style, tv, trainer.seconds)
        if world.leads:
            run.append_metrics((report.step, total, content, style, tv, round(report.seconds, 3)))
        on_step(report)
        if world.leads and (report.step % sample_every == 0 or report.step == steps):
            save_sample()
        stopping = world.any(should_stop())
        due = stopping or report.step == steps or time.monotonic() - saved_at > _CHECKPOINT_SECONDS
        if world.leads and due:
            run.save_checkpoint(*trainer.state())
            saved_at = time.monotonic()
        if stopping and report.step < steps:
            raise KeyboardInterrupt


def _final_weights(trainer: Trainer) -> Weights:
    with np.errstate(over="ignore"):
        weights = half_precision(trainer.weights())
    if not all(np.isfinite(array).all() for array in weights.values()):
        raise TrainingDiverged("The weights have grown out of half precision's range.", "Lower --lr.")
    return weights


def _load_painting(path: Path, shorter_side: int) -> Image.Image:
    pixels = load_photo(path, max_pixels=2**31).pixels
    height, width = pixels.shape[:2]
    if min(height, width) < _LEAST_PAINTING:
        raise ImageError(f"The painting {path} is too small: {width} x {height} px.", "512 px or more are good.")
    scale = shorter_side / min(height, width)
    size = round(width * scale), round(height * scale)
    return Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)


def _sheet_photos(previews: Sequence[Path], sampler: CropSampler) -> list[NDArray[np.float32]]:
    if previews:
        photos = [Image.fromarray(load_photo(path, max_pixels=2**31).pixels) for path in previews]
    else:
        photos = sampler.examples(3)
    widths = [max(8, round(photo.width * _SAMPLE_HEIGHT / photo.height)) for photo in photos]
    sized = [photo.resize((width, _SAMPLE_HEIGHT)) for photo, width in zip(photos, widths, strict=True)]
    return [_floats(photo) for photo in sized]


def _floats(image: Image.Image) -> NDArray[np.float32]:
    return np.asarray(image, np.float32) / np.float32(255)


def _recipe(config: TrainConfig, painting: Path, painting_hash: str, trainer: Trainer) -> dict[str, Any]:
    """All that is needed to train the style again but the files that it began with."""
    reached = np.mean(trainer.recent, axis=0).round(5).tolist() if trainer.recent else []
    return {
        **config.to_dict(),
        "style_layers": trainer.style_layers,
        "style_gains": dict(trainer.criterion.style_gains),
        "processes": trainer.world.size,
        "device": trainer.device.type,
        "precision": str(trainer.precision).removeprefix("torch."),
        "painting": {"file": painting.name, "sha256": painting_hash},
        "losses": dict(zip(("total", "content", "style", "tv"), reached, strict=False)),
        "seconds": round(trainer.seconds),
        "stylekit": __version__,
    }


def _named(path: Path) -> dict[str, str]:
    """A file without its folder, which is nobody's business."""
    return {"file": path.name, "sha256": file_hash(path)}
