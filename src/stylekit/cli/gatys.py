"""`stylekit gatys`: one picture by optimisation."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylekit.cli import options
from stylekit.cli.console import Output
from stylekit.cli.parsing import check_pictures, parse_layers
from stylekit.cli.progress import Bar
from stylekit.config.apply import ApplyConfig
from stylekit.config.checks import POOLINGS, check_quality
from stylekit.config.gatys import OPTIMIZERS, STARTS, STYLE_LOSSES, GatysConfig
from stylekit.errors import ConfigError, OutputExists, StylekitError
from stylekit.images.formats import format_of_suffix
from stylekit.losses.layers import LOSS_NETWORKS
from stylekit.system.files import clear_stale

if TYPE_CHECKING:
    from PIL import Image

    from stylekit.optimization.scales import GatysReport

_DEFAULT = GatysConfig()
_LINES = 20  # progress lines without a terminal


def gatys(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="The photo to paint.")],
    paintings: Annotated[list[Path], typer.Argument(metavar="PAINTING...", help="The painting, or several.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where the picture goes.")],
    style_weights: Annotated[
        str, typer.Option(metavar="X,…", help="How much each painting counts.", show_default="all the same")
    ] = "",
    size: Annotated[int, typer.Option(metavar="N", help="Longer side of the picture in px.")] = _DEFAULT.size,
    steps: Annotated[
        int, typer.Option(metavar="N", help="Evaluations of the losses at the last scale; fewer at coarser ones.")
    ] = _DEFAULT.steps,
    optimizer: Annotated[
        str, typer.Option(metavar="|".join(OPTIMIZERS), help="How the picture is optimised.")
    ] = _DEFAULT.optimizer,
    lr: Annotated[float, typer.Option(metavar="X", help="Adam's step.")] = _DEFAULT.learning_rate,
    init: Annotated[
        str, typer.Option(metavar="content|noise|style|FILE", help="What is optimised at first.")
    ] = _DEFAULT.init,
    style_scale: Annotated[
        float, typer.Option(metavar="X", help="Size of the painting beside the picture; larger gives larger strokes.")
    ] = _DEFAULT.style_scale,
    style_loss: Annotated[
        str, typer.Option(metavar="|".join(STYLE_LOSSES), help="What of the painting is matched.")
    ] = _DEFAULT.style_loss,
    content_layers: Annotated[
        str,
        typer.Option(metavar="LAYER,…", help="Layers of the content loss.", show_default="relu4_2, or the highest"),
    ] = "",
    style_layers: Annotated[
        str,
        typer.Option(
            metavar="LAYER[:WEIGHT],…",
            help="Layers of the style loss.",
            show_default="relu1_1 to relu5_1, as far as there are",
        ),
    ] = "",
    content_weight: Annotated[
        float, typer.Option(metavar="X", help="Weight of the content loss.")
    ] = _DEFAULT.content_weight,
    style_weight: Annotated[float, typer.Option(metavar="X", help="Weight of the style loss.")] = _DEFAULT.style_weight,
    tv_weight: Annotated[float, typer.Option(metavar="X", help="Weight of the total variation.")] = _DEFAULT.tv_weight,
    pooling: Annotated[str, typer.Option(metavar="|".join(POOLINGS), help="Pooling of vgg19.")] = _DEFAULT.pooling,
    mask: Annotated[
        Path | None, typer.Option(metavar="FILE", help="White where the photo is painted, black where it stays.")
    ] = None,
    keep_colors: options.KeepColors = _DEFAULT.keep_colors,
    save_every: Annotated[
        int, typer.Option(metavar="N", help="Write the picture so far every N steps.", show_default="at the end only")
    ] = _DEFAULT.save_every,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the noise of --init noise.")] = _DEFAULT.seed,
    loss_network: Annotated[
        str, typer.Option(metavar="|".join(LOSS_NETWORKS), help="Network that judges the picture.")
    ] = _DEFAULT.loss_network,
    loss_weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File with VGG-19's weights.", show_default="downloaded once, 575 MB"),
    ] = None,
    quality: options.Quality = ApplyConfig.quality,
    strip_metadata: options.StripMetadata = ApplyConfig.strip_metadata,
    max_pixels: options.MaxPixels = _DEFAULT.max_pixels,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing picture.")] = False,
    device: options.Device = _DEFAULT.device,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Paint one photo by optimising the picture itself (Gatys et al. 2015): slow, and any painting will do.

    Ctrl-C writes the picture so far.
    """
    console = Output(quiet=quiet, verbose=verbose, as_json=json)
    config = GatysConfig(
        size=size,
        steps=steps,
        optimizer=optimizer,
        learning_rate=lr,
        init=init,
        painting_weights=_numbers(style_weights),
        style_scale=style_scale,
        style_loss=style_loss,
        content_layers=_layers(content_layers),
        style_layers=parse_layers(style_layers),
        content_weight=content_weight,
        style_weight=style_weight,
        tv_weight=tv_weight,
        pooling=pooling,
        keep_colors=keep_colors,
        save_every=save_every,
        seed=seed,
        device=device,
        loss_network=loss_network,
        loss_weights=str(loss_weights) if loss_weights is not None else None,
        max_pixels=max_pixels,
    )
    check_quality(quality)
    config.check_paintings(len(paintings))
    start = None if init in STARTS else Path(init)
    pictures = [photo, *paintings, *(path for path in (mask, start) if path is not None)]
    check_pictures(pictures)
    _check_output(output, [*pictures, *([loss_weights] if loss_weights else [])], overwrite)
    _run(
        console,
        photo,
        paintings,
        output,
        mask,
        config,
        quality=quality,
        strip_metadata=strip_metadata,
        overwrite=overwrite,
    )


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in text.split(",")) if text else ()
    except ValueError:
        raise ConfigError(f"{text!r} are not the paintings' weights.", "Write them as --style-weights 2,1.") from None


def _layers(text: str) -> tuple[str, ...]:
    if ":" in text:
        raise ConfigError("Content layers all count the same.", "Write them as --content-layers relu3_3,relu4_2.")
    return tuple(parse_layers(text))


def _check_output(output: Path, inputs: list[Path], overwrite: bool) -> None:
    format = format_of_suffix(output.suffix)
    if output.is_dir():
        raise ConfigError(f"{output} is a folder.", "--output names the picture's file.")
    if any(output.exists() and path.exists() and path.samefile(output) for path in inputs):
        raise ConfigError(f"{output} is one of the inputs.", "Name another --output.")
    if output.exists() and not overwrite:
        raise OutputExists(f"{output} exists already.", "Add --overwrite, or name another --output.")
    from stylekit.images.writing import check_writable

    check_writable(output, format=format)


def _run(
    console: Output,
    photo: Path,
    paintings: list[Path],
    output: Path,
    mask: Path | None,
    config: GatysConfig,
    *,
    quality: int,
    strip_metadata: bool,
    overwrite: bool,
) -> None:
    console.note("Loading torch and the loss network …")
    from stylekit.images.reading import photo_from_image
    from stylekit.images.writing import save_photo
    from stylekit.losses.weights import find_loss_weights
    from stylekit.optimization.optimize import gatys as paint

    clear_stale(output.absolute().parent)
    written = False

    def save(picture: "Image.Image") -> None:
        nonlocal written
        result, format = photo_from_image(picture), format_of_suffix(output.suffix)
        notes = save_photo(
            result,
            output,
            format=format,
            quality=quality,
            strip_metadata=strip_metadata,
            overwrite=overwrite or written,
        )
        for note in () if written else notes:
            console.note(f"note {output}: {note}")
        written = True

    with console.downloads() as progress_of:
        find_loss_weights(config.loss_weights, config.loss_network, on_progress=progress_of("VGG-19"))
    template = (
        "scale {scale}/{scales}, {width} x {height}  step {step}/{steps}  "
        "total {total:.3f}  content {content:.3f}  style {style:.4f}  tv {tv:.3f}"
    )
    with console.bar("", template) as bar:
        bar.start(1)
        printer = _Printer(console, bar)
        try:
            picture = paint(
                photo,
                paintings,
                config,
                mask=mask,
                on_step=printer.show,
                on_note=lambda note: console.note(f"note {photo}: {note}"),
                on_picture=save,
            )
        except (KeyboardInterrupt, StylekitError):
            if written:
                console.failure(f"The picture so far is {output}.")
            raise
    save(picture)
    console.document({"path": str(output), "width": picture.width, "height": picture.height})
    console.result(str(output))


class _Printer:
    """Shows an optimisation's steps: in a live bar, or as a line now and then."""

    def __init__(self, console: Output, bar: Bar) -> None:
        self._console = console
        self._bar = bar
        self._lines = 0

    def show(self, report: "GatysReport") -> None:
        fields = dataclasses.asdict(report)
        self._bar.reach(fields.pop("done"), **fields)
        if not self._console.animated and report.done * _LINES >= self._lines + 1:
            self._lines = int(report.done * _LINES)
            self._console.note(
                f"{report.done:.0%}  {report.width} x {report.height}  step {report.step}/{report.steps}  "
                f"total {report.total:.3f}  content {report.content:.3f}  style {report.style:.4f}  "
                f"{report.seconds:.0f} s"
            )
