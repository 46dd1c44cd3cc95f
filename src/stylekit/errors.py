"""The errors that stylekit raises.

Each error has a message, which says in one line what is wrong, and a hint, which says in one line what to do next::

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
    ├── RankLost              Another process (of 4) has exited or cannot be reached.
    └── TrainingDiverged      The loss is no longer finite at step 12.

All messages follow a few patterns: `OPTION must be RANGE, not VALUE`, `Unknown THING 'NAME'`,
`Invalid THING VALUE: REASON`, `PATH is not a THING: REASON`, `Cannot VERB PATH: REASON`.
"""

_MAX_LENGTH = 480  # characters


class StylekitError(Exception):
    """The base class of all errors that stylekit raises on purpose.

    Args:
        message: What is wrong, in one line that mentions the file or option that caused it.
        hint: What to do next, in one line; empty if there is nothing to add.

    Attributes:
        message: The message. If it is very long, its middle is left out.
        hint: The hint.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        if len(message) > _MAX_LENGTH:  # the message may quote a malicious file
            message = f"{message[: _MAX_LENGTH // 2]} … {message[-_MAX_LENGTH // 4 :]}"
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(StylekitError):
    """A setting is invalid, or settings contradict each other (wrong usage: exit code 2)."""


class DeviceUnavailable(StylekitError):
    """The requested device is missing, or does not work."""


class OutOfMemory(StylekitError):
    """A device does not have enough memory."""


class ImageError(StylekitError):
    """An image or a video cannot be read or written."""


class OutputExists(StylekitError):
    """An output file already exists, and overwriting it was not requested."""


class StyleNotFound(StylekitError):
    """There is no style with the given name, or no style file at the given path."""


class StyleFileError(StylekitError):
    """A style file, or a file of weights to import, is invalid or corrupt."""


class LossWeightsError(StylekitError):
    """The weights of a loss network are missing or corrupt, or lack a required layer."""


class CatalogError(StylekitError):
    """A catalog of styles cannot be read or is invalid."""


class DownloadError(StylekitError):
    """A download failed."""


class ChecksumMismatch(DownloadError):
    """A downloaded file does not have the expected SHA-256."""


class DatasetError(StylekitError):
    """Training photos are missing or too few."""


class RankLost(StylekitError):
    """In a distributed run, another process has exited or cannot be reached."""


class TrainingDiverged(StylekitError):
    """The training loss is no longer finite."""
