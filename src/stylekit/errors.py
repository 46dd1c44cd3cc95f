"""The errors a user can meet. Each carries one clear message and one hint that says what to do next."""

_LONGEST = 480  # characters of a message


class StylekitError(Exception):
    """A known failure.

    Args:
        message: what went wrong, in one line, naming the file or setting at fault.
        hint: what to do next, in one line; empty where the message says it all.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        if len(message) > _LONGEST:  # it quotes a hostile file
            message = f"{message[: _LONGEST // 2]} … {message[-_LONGEST // 4 :]}"
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(StylekitError):
    """A setting out of its range, or settings that contradict each other (wrong usage: exit code 2)."""


class DeviceUnavailable(StylekitError):
    """The device that was asked for is absent or cannot be used."""


class OutOfMemory(StylekitError):
    """A device has too little memory for the work."""


class ImageError(StylekitError):
    """A picture that cannot be read or written."""


class OutputExists(StylekitError):
    """The output is there already and overwriting was not asked for."""


class StyleNotFound(StylekitError):
    """No style has that name, or no file lies at that path."""


class StyleFileError(StylekitError):
    """A style file, or a weights file to import, that is not what it should be."""


class LossWeightsError(StylekitError):
    """Weights of the loss network that are absent, damaged or do not reach far enough."""


class CatalogError(StylekitError):
    """A catalog of styles that cannot be had, or is not what it should be."""


class DownloadError(StylekitError):
    """A download that failed."""


class ChecksumMismatch(DownloadError):
    """A download whose SHA-256 is not the one expected."""


class DatasetError(StylekitError):
    """Training photos that are absent or too few."""


class RankLost(StylekitError):
    """One of several processes that work together has ended, or cannot be reached."""


class TrainingDiverged(StylekitError):
    """A training whose loss is no longer finite."""
