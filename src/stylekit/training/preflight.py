"""Checks to run before training: everything that can be verified without torch and before any download."""

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from stylekit.config.checks import MAX_PIXELS
from stylekit.config.train import TrainConfig
from stylekit.errors import ImageError, StyleFileError, StylekitError
from stylekit.images.errors import RAISE_LIMIT
from stylekit.images.photo import Photo
from stylekit.images.pixels import Pixels
from stylekit.images.reading import ImageLike, as_painting, as_photo
from stylekit.losses.weights import check_loss_weights
from stylekit.styles.library import check_free
from stylekit.styles.locations import own_styles_dir
from stylekit.styles.names import check_style_name
from stylekit.system.extras import install_hint, is_installed
from stylekit.system.files import file_hash, writing
from stylekit.system.paths import OTHER_HOME
from stylekit.training.run_folder import OTHER_RUN_DIR, RunFolder
from stylekit.training.warm_start import Start, find_start

_MIN_PAINTING = 32  # pixels on each side


def check_torch() -> None:
    """Check that torch is installed.

    Raises:
        ModuleNotFoundError: If torch is not installed; the message contains the command that installs it.
    """
    if not is_installed("torch"):
        raise ModuleNotFoundError(
            f"stylekit.train_style needs the extra 'torch': {install_hint('torch')}", name="torch"
        )


@dataclass(frozen=True)
class Inputs:
    """The user's input for training, read and checked.

    Attributes:
        painting: The painting, scaled to the size at which it is learned.
        painting_name: The name of the painting's file; empty if the painting was not a file.
        painting_hash: SHA-256 of the painting's file, or of its pixels if it was not a file.
        previews: The user's photos for the contact sheets; may be empty.
        start: The style to start from; None for fresh weights, or if `is_start_known` is false.
        is_start_known: Whether the style to start from is known; if not, the nearest bundled style must be found.
    """

    painting: Image.Image
    painting_name: str
    painting_hash: str
    previews: list[Image.Image]
    start: Start | None
    is_start_known: bool


def check_places(name: str, run: RunFolder, *, resume: bool, force: bool) -> None:
    """Check that a style can be trained under this name in this folder, and added to the user's styles.

    Args:
        name: The style's name.
        run: The folder of the training run.
        resume: Whether to resume the training run in the folder.
        force: Whether the style may replace one of the user's styles, or override a bundled style.

    Raises:
        ConfigError: If the name is invalid or taken, or the folder has other contents.
        StylekitError: If another training run uses the folder, or a folder is not writable.
    """
    if force or (resume and run.read_name() == name):
        check_style_name(name)
    else:
        check_free(name)
    if not resume:
        run.check_new()
    if run.path.is_dir():
        with run.lock():
            pass
    else:
        _check_writable(run.path, StylekitError, OTHER_RUN_DIR)
    _check_writable(own_styles_dir(), StyleFileError, OTHER_HOME)


def _check_writable(folder: Path, kind: type[StylekitError], hint: str) -> None:
    """Check that files can be written to a folder, or to the nearest of its parents that exists."""
    existing = folder.absolute()
    with writing(folder, kind, hint):
        while not existing.exists():
            existing = existing.parent
        tempfile.TemporaryFile(dir=existing).close()


def read_inputs(
    painting: ImageLike, previews: Sequence[ImageLike], config: TrainConfig, run: RunFolder, *, resume: bool
) -> Inputs:
    """Read and check the user's input for training.

    Args:
        painting: The style image.
        previews: Photos for the contact sheets.
        config: The training settings.
        run: The folder of the training run.
        resume: Whether to resume the training run in the folder.

    Raises:
        ConfigError: If the run to resume was started with other settings or another painting, or the style to start
            from has another network.
        ImageError: If the painting or a preview cannot be read, or the painting is too small.
        LossWeightsError: If the loss weights cannot be read, or end before the highest of the layers.
        StyleNotFound: If the style to start from does not exist.
        StyleFileError: If the file of the style to start from is corrupt.
    """
    check_loss_weights(config.loss_weights, config.loss_network, [*config.content_layers, *config.style_layers])
    pixels = _read_pixels(painting, as_painting)
    file = Path(painting) if isinstance(painting, str | Path) else None
    digest = file_hash(file) if file else hashlib.sha256(pixels.tobytes()).hexdigest()
    if resume:
        run.check_same(config, digest)
    resumed_from = run.read_start() if resume else None
    return Inputs(
        painting=_scaled(pixels, config.style_size, file.name if file else "image"),
        painting_name=file.name if file else "",
        painting_hash=digest,
        previews=[Image.fromarray(_read_pixels(preview, as_photo)) for preview in previews],
        start=find_start(config, resumed_from),
        is_start_known=config.init_from != "nearest" or resumed_from is not None,
    )


def _read_pixels(image: ImageLike, read: Callable[..., Photo]) -> Pixels:
    try:
        return read(image, max_pixels=MAX_PIXELS).pixels
    except ImageError as error:
        if error.hint != RAISE_LIMIT:
            raise
        raise ImageError(error.message, "Scale the image down first.") from error


def _scaled(painting: Pixels, shorter_side: int, name: str) -> Image.Image:
    """Return a painting, scaled so that its shorter side has the given length in pixels."""
    height, width = painting.shape[:2]
    if min(height, width) < _MIN_PAINTING:
        raise ImageError(
            f"The painting {name} is too small: {width} x {height} px.",
            "Use a painting with at least 512 px on each side.",
        )
    scale = shorter_side / min(height, width)
    size = round(width * scale), round(height * scale)
    return Image.fromarray(painting).resize(size, Image.Resampling.LANCZOS)
