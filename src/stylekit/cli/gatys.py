"""`stylekit gatys`: stylize a single photo by optimization."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylekit.cli import options
from stylekit.cli.console import Output, duration
from stylekit.cli.hints import check_paintings, input_path
from stylekit.cli.options import look, output, panel
from stylekit.cli.parsing import check_images, parse_content_layers, parse_layers
from stylekit.cli.progress import Bar
from stylekit.cli.streams import copied_streams
from stylekit.config.apply import ApplyConfig
from stylekit.config.checks import POOLINGS, check_quality
from stylekit.config.gatys import OPTIMIZERS, STARTS, STYLE_LOSSES, GatysConfig
from stylekit.errors import ConfigError, OutputExists, StylekitError
from stylekit.images.formats import format_of_suffix
from stylekit.losses.layers import LOSS_NETWORKS
from stylekit.system.files import clear_stale
from stylekit.system.paths import exists, is_folder

if TYPE_CHECKING:
    from PIL import Image

    from stylekit.optimization.scales import GatysReport

_DEFAULT = GatysConfig()
_LINES = 20  # of progress, if no bar is shown
_PROGRESS = "{width} x {height} px  step {step}/{steps}"
_LOSSES = "total {total:.3f}  content {content:.3f}  style {style:.4f}"  # last, because they do not fit in 80 columns

_losses = panel("Losses")
_optimization = panel("Optimization")


def gatys(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="Photo to stylize.", parser=input_path)],
    paintings: Annotated[
        list[Path], typer.Argument(metavar="PAINTING", help="One or more paintings.", parser=input_path)
    ],
    output_path: Annotated[Path, output("Output file.", "--output", "-o", metavar="FILE")],
    size: Annotated[int, output("Longer side of the result in px.", metavar="N")] = _DEFAULT.size,
    quality: options.Quality = ApplyConfig.quality,
    overwrite: options.Overwrite = False,
    strip_metadata: options.StripMetadata = ApplyConfig.strip_metadata,
    save_every: Annotated[
        int, output("Save the current image every N steps.", metavar="N", show_default="off")
    ] = _DEFAULT.save_every,
    max_pixels: options.MaxPixels = _DEFAULT.max_pixels,
    style_weights: Annotated[str, look("Weight of each painting.", metavar="X,…", show_default="equal weights")] = "",
    style_scale: Annotated[
        float, look("Size of the painting relative to the result; larger values give larger strokes.", metavar="X")
    ] = _DEFAULT.style_scale,
    content_weight: Annotated[float, look("Weight of the content loss.", metavar="X")] = _DEFAULT.content_weight,
    style_weight: Annotated[float, look("Weight of the style loss.", metavar="X")] = _DEFAULT.style_weight,
    tv_weight: Annotated[float, look("Weight of the total variation loss.", metavar="X")] = _DEFAULT.tv_weight,
    keep_colors: options.KeepColors = _DEFAULT.keep_colors,
    mask: Annotated[
        Path | None, look("Mask image: white areas are stylized, black areas are kept.", metavar="FILE")
    ] = None,
    steps: Annotated[
        int, _optimization("Loss evaluations at the finest scale; coarser scales use fewer.", metavar="N")
    ] = _DEFAULT.steps,
    optimizer: Annotated[str, _optimization("Optimization algorithm.", choices=OPTIMIZERS)] = _DEFAULT.optimizer,
    lr: Annotated[float, _optimization("Learning rate for adam.", metavar="X")] = _DEFAULT.learning_rate,
    init: Annotated[
        str, _optimization("Starting image.", metavar="content|noise|style|FILE", complete=lambda: list(STARTS))
    ] = _DEFAULT.init,
    seed: Annotated[int, _optimization("Seed of --init noise.", metavar="N")] = _DEFAULT.seed,
    style_loss: Annotated[
        str, _losses("Statistics of the painting to match.", choices=STYLE_LOSSES)
    ] = _DEFAULT.style_loss,
    content_layers: Annotated[
        str, _losses("Layers of the content loss.", metavar="LAYER,…", show_default="relu4_2")
    ] = "",
    style_layers: Annotated[
        str,
        _losses("Layers of the style loss.", metavar="LAYER[:WEIGHT],…", show_default="relu1_1, relu2_1 … relu5_1"),
    ] = "",
    loss_network: Annotated[
        str, _losses("Network that computes the losses.", choices=tuple(LOSS_NETWORKS))
    ] = _DEFAULT.loss_network,
    loss_weights: Annotated[
        Path | None,
        _losses("VGG-19 weights file.", metavar="FILE", show_default="downloaded once, 575 MB"),
    ] = None,
    pooling: Annotated[str, _losses("Pooling in vgg19: maximum or average.", choices=POOLINGS)] = _DEFAULT.pooling,
    device: options.Device = _DEFAULT.device,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Stylize one photo in the style of any painting, by optimization.

    Examples:
      stylekit gatys lion.jpg night.jpg --output lion-night.jpg
      stylekit gatys lion.jpg night.jpg -o lion.png --size 1024 --steps 300
      stylekit gatys lion.jpg a.jpg b.jpg -o lion.png --style-weights 2,1

    Slow, but gives the best results (Gatys et al. 2015). Ctrl-C saves the
    current image.
    """
    console = Output(quiet=quiet, verbose=verbose, as_json=json)
    config = GatysConfig(
        size=size,
        steps=steps,
        optimizer=optimizer,
        learning_rate=lr,
        init=init,
        painting_weights=_parse_weights(style_weights),
        style_scale=style_scale,
        style_loss=style_loss,
        content_layers=parse_content_layers(content_layers),
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
    others = [path for path in (mask, start) if path is not None]
    check_paintings(paintings, str(photo), str(output_path))
    _check_output(output_path, [photo, *paintings, *others, *([loss_weights] if loss_weights else [])], overwrite)
    with copied_streams([photo, *paintings]) as files:
        check_images([*files, *others])
        _run(
            console,
            files[0],
            files[1:],
            output_path,
            mask,
            config,
            quality=quality,
            strip_metadata=strip_metadata,
            overwrite=overwrite,
        )


def _parse_weights(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in text.split(",")) if text else ()
    except ValueError:
        raise ConfigError(f"--style-weights must be numbers such as 2,1, not {text!r}.") from None


def _check_output(path: Path, inputs: list[Path], overwrite: bool) -> None:
    format = format_of_suffix(path.suffix)
    if is_folder(path):
        raise ConfigError(f"{path} is a folder.", f"Add a file name: --output {path / 'result.png'}.")
    if any(exists(path) and exists(other) and other.samefile(path) for other in inputs):
        raise ConfigError(f"{path} is one of the inputs.", "Choose another --output.")
    if exists(path) and not overwrite:
        raise OutputExists(f"{path} already exists.", "Add --overwrite, or choose another --output.")
    from stylekit.images.writing import check_writable

    check_writable(path, format=format)


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
    from stylekit.optimization.optimize import gatys as optimize
    from stylekit.optimization.recipe import gatys_recipe

    recipe = gatys_recipe(paintings, config, mask=mask)
    clear_stale(output.absolute().parent)
    saved = False

    def save(image: "Image.Image") -> None:
        nonlocal saved
        result = photo_from_image(image)
        notes = save_photo(
            dataclasses.replace(result, metadata=dataclasses.replace(result.metadata, recipe=recipe)),
            output,
            format=format_of_suffix(output.suffix),
            quality=quality,
            strip_metadata=strip_metadata,
            overwrite=overwrite or saved,
        )
        for note in () if saved else notes:
            console.note(f"note {output}: {note}")
        saved = True

    template = f"{_PROGRESS}  {_LOSSES}"
    with console.downloads() as begin, console.bar("", template) as bar:
        printer = _Printer(console, bar)
        try:
            image = optimize(
                photo,
                paintings,
                config,
                mask=mask,
                on_step=printer.show,
                on_note=lambda note: console.note(f"note {photo}: {note}"),
                on_image=save,
                on_download=lambda download: begin(download.name, download.size, download.path),
            )
        except (KeyboardInterrupt, StylekitError):
            if saved:
                console.failure(f"Saved the current image as {output}.")
            raise
    save(image)
    console.document({"path": str(output), "width": image.width, "height": image.height})
    console.result(str(output))


class _Printer:
    """Shows the steps of an optimization, in a live bar or as occasional lines."""

    def __init__(self, console: Output, bar: Bar) -> None:
        self._console = console
        self._bar = bar
        self._lines = 0

    def show(self, report: "GatysReport") -> None:
        if report.scale == report.step == 1:
            self._bar.start(1)
        fields = dataclasses.asdict(report)
        self._bar.update(fields.pop("done"), **fields)
        if not self._console.animated and report.done * _LINES >= self._lines + 1:
            self._lines = int(report.done * _LINES)
            left = duration(report.seconds * (1 - report.done) / report.done)
            times = f"{duration(report.seconds)}, {left} left"
            self._console.note(f"{report.done:.0%}  {times}  {_PROGRESS}  {_LOSSES}".format(**fields))
