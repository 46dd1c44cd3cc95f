"""`stylekit train`: learn a style from a painting."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from stylekit.cli import options
from stylekit.cli.completion import starts
from stylekit.cli.console import Output
from stylekit.cli.hints import check_paintings, input_path
from stylekit.cli.options import inputs, look, machine, output, panel
from stylekit.cli.parsing import check_images, parse_content_layers, parse_layers
from stylekit.cli.train_printer import Printer, restored_handlers
from stylekit.config.checks import POOLINGS
from stylekit.config.train import PRECISIONS, TRAIN_PRESETS, TRAIN_STYLE_LOSSES, TrainConfig
from stylekit.errors import ConfigError
from stylekit.losses.layers import LOSS_NETWORKS
from stylekit.networks import architectures
from stylekit.styles.names import check_style_name
from stylekit.system.distributed import World, read_world

_PRESET = "good"

_training = panel("Training")
_losses = panel("Losses")
_credits = panel("Credits")


def _unset(option: Callable[..., Any], setting: str, help: str, **more: Any) -> Any:
    """Declare an option that defaults to None, so that a preset or a resumed run can set it."""
    more.setdefault("show_default", str(getattr(TrainConfig(), setting)))
    if "choices" not in more:
        more.setdefault("metavar", "N")
    return option(help, **more)


def train(
    painting: Annotated[
        Path, typer.Argument(metavar="PAINTING", help="Painting whose style to learn.", parser=input_path)
    ],
    content: Annotated[
        str, inputs("Training photos; coco downloads COCO val2017 (816 MB) once.", metavar="FOLDER|ZIP|coco")
    ],
    preview: Annotated[
        list[Path] | None, inputs("Photo to stylize in the samples; can be repeated.", metavar="PHOTO")
    ] = None,
    name: Annotated[
        str | None, output("Name of the style.", metavar="NAME", show_default="the painting's file name")
    ] = None,
    run_dir: Annotated[
        Path | None,
        output("Folder for the checkpoint, metrics and samples.", metavar="FOLDER", show_default="runs/NAME"),
    ] = None,
    resume: Annotated[bool, output("Resume from the checkpoint in the run folder.", "--resume")] = False,
    force: options.Force = False,
    preset: Annotated[
        str | None,
        _training("Trade-off between training time and quality.", choices=tuple(TRAIN_PRESETS), show_default=_PRESET),
    ] = None,
    network: Annotated[
        str | None,
        _unset(
            _training,
            "network",
            "Architecture of the style network.",
            choices=[known.name for known in architectures()],
        ),
    ] = None,
    init_from: Annotated[
        str | None,
        _unset(
            *(_training, "init_from", "Style to start from; nearest picks the most similar bundled style."),
            metavar="nearest|none|NAME|FILE",
            complete=starts,
        ),
    ] = None,
    steps: Annotated[int | None, _unset(_training, "steps", "Number of optimizer steps.")] = None,
    minutes: Annotated[
        float | None, _training("Train for about N minutes instead of --steps.", metavar="N", show_default=False)
    ] = None,
    batch_size: Annotated[int | None, _unset(_training, "batch_size", "Photos per step.")] = None,
    crop_size: Annotated[int | None, _unset(_training, "crop_size", "Side length of the training crops in px.")] = None,
    lr: Annotated[float | None, _unset(_training, "learning_rate", "Peak learning rate.", metavar="N")] = None,
    seed: Annotated[int | None, _unset(_training, "seed", "Random seed for weights and crops.")] = None,
    style_size: Annotated[
        int | None, _unset(look, "style_size", "Shorter side of the painting in px; smaller values give finer strokes.")
    ] = None,
    octaves: Annotated[
        int | None, _unset(look, "octaves", "Number of image scales to compare; more scales give larger strokes.")
    ] = None,
    content_weight: Annotated[
        float | None, _unset(look, "content_weight", "Weight of the content loss.", metavar="N")
    ] = None,
    style_weight: Annotated[
        float | None, _unset(look, "style_weight", "Weight of the style loss.", metavar="N")
    ] = None,
    tv_weight: Annotated[
        float | None,
        _unset(look, "tv_weight", "Weight of the total variation loss; larger values smooth the image.", metavar="N"),
    ] = None,
    stability_weight: Annotated[
        float | None,
        _unset(look, "stability_weight", "Weight of the stability loss, which reduces flicker in videos.", metavar="N"),
    ] = None,
    content_layers: Annotated[
        str | None,
        _losses(
            "Layers of the content loss.",
            metavar="LAYER,…",
            show_default="relu3_3,relu4_2",
        ),
    ] = None,
    style_layers: Annotated[
        str | None,
        _losses("Layers of the style loss.", metavar="LAYER[:WEIGHT],…", show_default="relu1_1, relu2_1 … relu5_1"),
    ] = None,
    style_loss: Annotated[
        str | None, _unset(_losses, "style_loss", "Statistics of the painting to match.", choices=TRAIN_STYLE_LOSSES)
    ] = None,
    loss_network: Annotated[
        str | None, _unset(_losses, "loss_network", "Network that computes the losses.", choices=tuple(LOSS_NETWORKS))
    ] = None,
    loss_weights: Annotated[
        Path | None,
        _losses("VGG-19 weights file.", metavar="FILE", show_default="downloaded once, 575 MB"),
    ] = None,
    pooling: Annotated[
        str | None, _unset(_losses, "pooling", "Pooling in vgg19: maximum or average.", choices=POOLINGS)
    ] = None,
    title: Annotated[str, _credits("Title of the painting.", metavar="TEXT", show_default=False)] = "",
    artist: Annotated[str, _credits("Name of the painter.", metavar="TEXT", show_default=False)] = "",
    year: Annotated[str, _credits("Year of the painting.", metavar="TEXT", show_default=False)] = "",
    license: Annotated[str, _credits("License of the trained weights.", metavar="TEXT", show_default=False)] = "",
    source: Annotated[str, _credits("Source of the painting, such as a URL.", metavar="TEXT", show_default=False)] = "",
    device: Annotated[str | None, options.device_option(show_default="auto")] = None,
    precision: Annotated[
        str | None,
        _unset(
            machine,
            "precision",
            "Number format; auto uses bfloat16 where the hardware supports it.",
            choices=PRECISIONS,
        ),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Learn a painting's style, for use with `stylekit apply PHOTO --style NAME`.

    Examples:
      stylekit train wave.jpg --content photos/
      stylekit train wave.jpg --content coco --preset best --name my-wave
      stylekit train wave.jpg --content photos/ --resume

    Ctrl-C saves a checkpoint. To continue, repeat the command with --resume.
    """
    world = read_world()
    console = Output(quiet=quiet, verbose=verbose, as_json=json, silent=not world.is_leader)
    if minutes is not None and steps is not None:
        raise ConfigError("--minutes and --steps exclude each other.", "Leave out one of them.")
    name = name or _name_from(painting)
    settings = {
        "network": network,
        "steps": steps,
        "minutes": minutes,
        "batch_size": batch_size,
        "crop_size": crop_size,
        "style_size": style_size,
        "octaves": octaves,
        "content_layers": parse_content_layers(content_layers) if content_layers is not None else None,
        "style_layers": parse_layers(style_layers) if style_layers is not None else None,
        "style_loss": style_loss,
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
    given = {key: value for key, value in settings.items() if value is not None}
    run_dir = run_dir or Path("runs") / name
    if resume and not (world.is_distributed and _is_new(run_dir)):
        config = _resumed_config(run_dir, preset, given)
    else:
        config = TrainConfig.from_preset(preset or _PRESET, **given)
    credits = {"title": title, "artist": artist, "year": year, "licence": license, "source": source}
    _run(console, painting, content, config, name, run_dir, credits, preview or [], resume, force, world)


def _name_from(painting: Path) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", painting.stem.lower()).strip("-_") or "style"


def _is_new(run_dir: Path) -> bool:
    """Return whether no run has started in the folder: on a cluster, even the first run has --resume."""
    from stylekit.training.run_folder import RunFolder

    return not RunFolder(run_dir).read_name()


def _resumed_config(run_dir: Path, preset: str | None, given: dict[str, Any]) -> TrainConfig:
    """Return the settings in the run folder, updated with the given ones; `train_style` rejects contradictions."""
    from stylekit.training.run_folder import RunFolder

    started = RunFolder(run_dir).read_config()
    if preset is not None:
        settings = TrainConfig.from_preset(preset)
        keys = {key for values in TRAIN_PRESETS.values() for key in values}
        given = {**{key: getattr(settings, key) for key in keys}, **given}
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
    check_paintings([painting], "photo.jpg", None)
    check_images([painting, *previews])
    from stylekit.styles.style_file import Credits
    from stylekit.training.run_folder import RunFolder
    from stylekit.training.train import train_style

    template = "total {total:.3f}  content {content:.3f}  style {style:.4f}"
    with console.downloads() as begin, console.bar("steps", template) as bar, restored_handlers():
        printer = Printer(console, bar, patient=world.is_distributed)
        try:
            train_style(
                painting,
                content,
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
                on_compared=printer.show_comparison,
                on_download=lambda download: begin(download.name, download.size, download.path),
                on_unreadable=lambda photo, reason: console.failure(f"failed {photo}: {reason}"),
                should_stop=printer.should_stop,
            )
        except KeyboardInterrupt:
            if RunFolder(run_dir).has_checkpoint:
                console.failure(f"Saved a checkpoint in {run_dir}; add --resume to the same command to continue.")
            raise
    path = run_dir / f"{name}.safetensors"
    console.document({"name": name, "path": str(path), "run_dir": str(run_dir)})
    console.result(str(path))
    console.note(f"Try it: stylekit apply PHOTO --style {name}")
