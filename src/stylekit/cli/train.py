"""`stylekit train`: painting -> style."""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stylekit.cli import options
from stylekit.cli.console import Muted, Output
from stylekit.cli.parsing import check_pictures, parse_layers
from stylekit.cli.progress import Bar
from stylekit.config.train import TRAIN_PRESETS, TrainConfig
from stylekit.errors import ConfigError
from stylekit.losses.layers import LOSS_NETWORKS
from stylekit.styles.names import check_style_name
from stylekit.system.distributed import World, read_world

if TYPE_CHECKING:
    from stylekit.training.train import StepReport

_DEFAULT = TrainConfig()
_PRESET = "good"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LINES = 20  # progress lines of a training without a terminal


def _option(help: str, default: object, metavar: str = "N") -> Any:
    """An option that is None unless given, so that presets and resumed trainings can fill it."""
    return typer.Option(metavar=metavar, help=help, show_default=str(default))


def train(
    painting: Annotated[Path, typer.Argument(metavar="PAINTING", help="The painting whose style is learnt.")],
    content: Annotated[
        str,
        typer.Option(metavar="FOLDER|ZIP|coco", help="Training photos; `coco` downloads COCO val2017 (816 MB) once."),
    ],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the style; the painting's by default.")
    ] = None,
    preset: Annotated[str | None, _option("How long and how well.", _PRESET, "|".join(TRAIN_PRESETS))] = None,
    network: Annotated[str | None, _option("Transformer network.", _DEFAULT.network, "fast|johnson")] = None,
    steps: Annotated[int | None, _option("Optimiser steps.", _DEFAULT.steps)] = None,
    batch_size: Annotated[int | None, _option("Photos a step.", _DEFAULT.batch_size)] = None,
    crop_size: Annotated[int | None, _option("Side of the training crops in px.", _DEFAULT.crop_size)] = None,
    style_size: Annotated[
        int | None, _option("Shorter side of the painting in px; smaller gives smaller strokes.", _DEFAULT.style_size)
    ] = None,
    octaves: Annotated[
        int | None, _option("Sizes at which styles are compared; more give larger strokes.", _DEFAULT.octaves)
    ] = None,
    content_layers: Annotated[
        str | None, _option("Layers of the content loss.", ",".join(_DEFAULT.content_layers), "LAYER,…")
    ] = None,
    style_layers: Annotated[
        str | None,
        _option(
            "Layers of the style loss.", "relu1_1 to relu5_1, as far as the loss network has them", "LAYER[:WEIGHT],…"
        ),
    ] = None,
    content_weight: Annotated[
        float | None, _option("Weight of the content loss.", _DEFAULT.content_weight, "X")
    ] = None,
    style_weight: Annotated[float | None, _option("Weight of the style loss.", _DEFAULT.style_weight, "X")] = None,
    tv_weight: Annotated[float | None, _option("Weight of the total variation.", _DEFAULT.tv_weight, "X")] = None,
    stability_weight: Annotated[
        float | None, _option("Weight of the term against flicker in videos.", _DEFAULT.stability_weight, "X")
    ] = None,
    lr: Annotated[float | None, _option("Peak of the learning rate.", _DEFAULT.learning_rate, "X")] = None,
    pooling: Annotated[str | None, _option("Pooling of vgg19.", _DEFAULT.pooling, "max|avg")] = None,
    precision: Annotated[
        str | None, _option("auto is bfloat16 on CUDA, else float32.", _DEFAULT.precision, "auto|float32|bfloat16")
    ] = None,
    seed: Annotated[int | None, _option("Seed of weights and crops.", _DEFAULT.seed)] = None,
    loss_network: Annotated[
        str | None, _option("Network that judges the pictures.", _DEFAULT.loss_network, "|".join(LOSS_NETWORKS))
    ] = None,
    loss_weights: Annotated[
        Path | None, _option("File with VGG-19's weights.", "downloaded once, 575 MB", "FILE")
    ] = None,
    init_from: Annotated[
        str | None,
        _option(
            "Finished style to start from; nearest is the bundled one most like the painting.",
            _DEFAULT.init_from,
            "nearest|none|NAME|FILE",
        ),
    ] = None,
    run_dir: Annotated[
        Path | None, _option("Folder of checkpoint, metrics and samples.", "runs/NAME", "FOLDER")
    ] = None,
    preview: Annotated[
        list[Path] | None, typer.Option(metavar="PHOTO", help="Photo for the contact sheets; repeat for several.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run folder's checkpoint.")] = False,
    device: Annotated[str | None, _option("Where it runs.", _DEFAULT.device, "auto|cpu|cuda|cuda:N|mps")] = None,
    title: Annotated[str, typer.Option(help="The painting's title, for the style file.")] = "",
    artist: Annotated[str, typer.Option(help="Its painter.")] = "",
    year: Annotated[str, typer.Option(help="When it was painted.")] = "",
    licence: Annotated[str, typer.Option(help="Licence of the trained weights.")] = "",
    source: Annotated[str, typer.Option(help="Where the painting comes from.")] = "",
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Learn a painting's style. `stylekit apply PHOTO --style NAME` then knows it.

    Ctrl-C writes a checkpoint; the same command with --resume goes on from it.
    """
    world = read_world()
    console = Output(quiet=quiet, verbose=verbose, as_json=json) if world.leads else Muted()
    name = name or _name_from(painting)
    changes = {
        "network": network,
        "steps": steps,
        "batch_size": batch_size,
        "crop_size": crop_size,
        "style_size": style_size,
        "octaves": octaves,
        "content_layers": _plain_layers(content_layers) if content_layers is not None else None,
        "style_layers": parse_layers(style_layers) if style_layers is not None else None,
        "content_weight": content_weight,
        "style_weight": style_weight,
        "tv_weight": tv_weight,
        "stability_weight": stability_weight,
        "learning_rate": lr,
        "pooling": pooling,
        "precision": precision,
        "seed": seed,
        "device": device,
        "loss_network": loss_network,
        "loss_weights": str(loss_weights) if loss_weights is not None else None,
        "init_from": init_from,
    }
    given = {key: value for key, value in changes.items() if value is not None}
    run_dir = run_dir or Path("runs") / name
    if resume and not (world.is_shared and _is_new(run_dir)):
        config = _resumed_config(run_dir, preset, given)
    else:
        config = TrainConfig.from_preset(preset or _PRESET, **given)
    credits = {"title": title, "artist": artist, "year": year, "licence": licence, "source": source}
    _run(console, painting, content, config, name, run_dir, credits, preview or [], resume, force, world)


def _plain_layers(text: str) -> tuple[str, ...]:
    if ":" in text:
        raise ConfigError("The content layers have no weights of their own.", "Write them as relu2_2,relu3_3.")
    return tuple(parse_layers(text))


def _name_from(painting: Path) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", painting.stem.lower()).strip("-_") or "style"


def _is_new(run_dir: Path) -> bool:
    """Whether there is nothing yet to resume, as when a cluster starts for the first time what it may start again."""
    from stylekit.training.run_folder import RunFolder

    return not RunFolder(run_dir).read_name()


def _resumed_config(run_dir: Path, preset: str | None, given: dict[str, Any]) -> TrainConfig:
    """The settings with which the run was started, and what was given now: `train_style` refuses contradictions."""
    from stylekit.training.run_folder import RunFolder

    started = RunFolder(run_dir).read_config()
    if preset is not None:
        settings = TrainConfig.from_preset(preset)
        said = {key for values in TRAIN_PRESETS.values() for key in values}
        given = {**{key: getattr(settings, key) for key in said}, **given}
    return TrainConfig.from_dict({**started.to_dict(), **given})


def _run(
    console: Output,
    painting: Path,
    content: str,
    config: TrainConfig,
    name: str,
    run_dir: Path,
    credits: dict[str, str],
    previews: list[Path],
    resume: bool,
    force: bool,
    world: World,
) -> None:
    check_style_name(name)
    check_pictures([painting, *previews])
    console.note("Loading torch, the loss network and the photos …")
    from stylekit.losses.weights import find_loss_weights
    from stylekit.styles.style_file import Credits
    from stylekit.system.devices import select_device
    from stylekit.training.photos import open_photos
    from stylekit.training.run_folder import RunFolder
    from stylekit.training.train import train_style

    with console.downloads() as progress_of:
        photos = open_photos(content, on_progress=progress_of("COCO val2017"))
        find_loss_weights(config.loss_weights, config.loss_network, on_progress=progress_of("VGG-19"))
    console.note(f"{len(photos.names)} photos in {content}; run folder {run_dir}")
    template = "total {total:.3f}  content {content:.3f}  style {style:.4f}"
    device = select_device(config.device)
    with world.joined(device), console.bar("steps", template) as bar, _handlers_restored():
        printer = _Printer(console, bar, config.steps, patient=world.is_shared)
        try:
            train_style(
                painting,
                photos,
                config,
                name=name,
                run_dir=run_dir,
                credits=Credits(**credits),
                previews=previews,
                resume=resume,
                force=force,
                world=world,
                on_step=printer.show,
                on_note=console.note,
                on_unreadable=lambda photo, reason: console.failure(f"failed {photo}: {reason}"),
                should_stop=printer.should_stop,
            )
        except KeyboardInterrupt:
            if RunFolder(run_dir).has_checkpoint:
                console.failure(f"The checkpoint is in {run_dir}; the same command with --resume goes on from it.")
            raise
    path = run_dir / f"{name}.safetensors"
    console.document({"name": name, "path": str(path), "run_dir": str(run_dir)})
    console.result(str(path))
    console.note(f"Put it on a photo: stylekit apply PHOTO --style {name}")


@contextmanager
def _handlers_restored() -> Iterator[None]:
    """Put back the signals' handlers as they were before."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Printer:
    """Shows a training's steps: in a live bar, or as a line now and then.

    Args:
        console: what prints.
        bar: the live bar.
        steps: how many there will be.
        patient: whether a second signal means nothing; torchrun passes Ctrl-C on to processes that have heard of it.
    """

    def __init__(self, console: Output, bar: Bar, steps: int, *, patient: bool) -> None:
        self._console = console
        self._bar = bar
        self._every = max(1, steps // _LINES)
        self._started = False
        self._asked = False
        self._patient = patient

    def should_stop(self) -> bool:
        """Whether SIGINT or SIGTERM has asked to stop since the first step."""
        return self._asked

    def _ask(self, signum: int, frame: FrameType | None) -> None:
        """Stop after the step under way, so that the checkpoint is exact; a second signal interrupts at once."""
        if self._asked and self._patient:
            return
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        self._console.note("Stopping after this step …")

    def show(self, report: "StepReport") -> None:
        if not self._started:
            self._bar.start(report.steps - report.step + 1)
            self._started = True
            for number in _SIGNALS:
                signal.signal(number, self._ask)
        self._bar.advance(total=report.total, content=report.content, style=report.style)
        if not self._console.animated and (report.step % self._every == 0 or report.step == report.steps):
            self._console.note(
                f"step {report.step}/{report.steps}  total {report.total:.3f}  content {report.content:.3f}  "
                f"style {report.style:.4f}  {report.seconds:.0f} s"
            )
