"""The errors that users can meet.

Every one carries a message, one line that says what is wrong, and a hint, one line that says what to do next::

    StylekitError
    ├── ConfigError           --strength must be between 0 and 1, not 2.
    ├── DeviceUnavailable     Device cuda is unavailable or out of memory.
    ├── OutOfMemory           Out of memory on cuda:0.
    ├── ImageError            lion.jpg does not exist. / lion.jpg is not a readable image.
    ├── OutputExists          lion-udnie.jpg already exists.
    ├── StyleNotFound         Unknown style 'undie'.
    ├── StyleFileError        mine.safetensors is not a valid style file: its weights are corrupt.
    ├── LossWeightsError      vgg.pth does not contain VGG-19's weights: features.0.weight is missing.
    ├── CatalogError          Invalid catalog https://…: it is not JSON.
    ├── DownloadError         Cannot download https://…: the server does not respond.
    │   └── ChecksumMismatch  Checksum mismatch for https://….
    ├── DatasetError          Training needs 2 or more readable photos, not 0.
    ├── RankLost              Another of the 4 processes has exited or cannot be reached.
    └── TrainingDiverged      The loss is no longer finite at step 12.

The sentences are the templates of their kind: `OPTION must be RANGE, not VALUE`, `Unknown THING 'NAME'`,
`Invalid THING VALUE: REASON`, `PATH is not a THING: REASON`, `Cannot VERB PATH: REASON`.
"""

_MAX_LENGTH = 480  # characters


class StylekitError(Exception):
    """A known failure.

    Args:
        message: What is wrong, in one line, naming the file or option at fault.
        hint: What to do next, in one line; empty if the message says it all.

    Attributes:
        message: As given, with the middle left out if it is very long.
        hint: As given.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        """Keep the message and the hint."""
        if len(message) > _MAX_LENGTH:  # it quotes a hostile file
            message = f"{message[: _MAX_LENGTH // 2]} … {message[-_MAX_LENGTH // 4 :]}"
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(StylekitError):
    """A setting is invalid, or settings contradict each other (wrong usage: exit code 2)."""


class DeviceUnavailable(StylekitError):
    """The requested device is missing or does not work."""


class OutOfMemory(StylekitError):
    """A device has too little memory for the work."""


class ImageError(StylekitError):
    """An image or a video cannot be read or written."""


class OutputExists(StylekitError):
    """The output already exists, and overwriting was not requested."""


class StyleNotFound(StylekitError):
    """No style has this name, or no file has this path."""


class StyleFileError(StylekitError):
    """A style file, or a weights file to import, is invalid or corrupt."""


class LossWeightsError(StylekitError):
    """The loss network's weights are missing or corrupt, or lack a layer."""


class CatalogError(StylekitError):
    """A catalog of styles cannot be read or is invalid."""


class DownloadError(StylekitError):
    """A download failed."""


class ChecksumMismatch(DownloadError):
    """A downloaded file does not have the expected SHA-256."""


class DatasetError(StylekitError):
    """Training photos are missing or too few."""


class RankLost(StylekitError):
    """One of several processes that work together has exited or cannot be reached."""


class TrainingDiverged(StylekitError):
    """The loss of a training is no longer finite."""
