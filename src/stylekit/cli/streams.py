"""Standard input and output in the place of files."""

import shutil
import sys
import tempfile
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from stylekit.errors import ConfigError, StylekitError
from stylekit.video.formats import VIDEO_SUFFIXES

STREAM = Path("-")


def listed(source: Path) -> list[Path]:
    """Read a list of paths, one a line, from a file or, for `-`, standard input.

    Raises:
        ConfigError: if it cannot be read.
    """
    try:
        text = sys.stdin.buffer.read() if source == STREAM else source.read_bytes()
        lines = text.removeprefix(BOM_UTF8).decode(sys.getfilesystemencoding(), "surrogateescape").split("\n")
    except OSError as error:
        raise ConfigError(f"The list {source} cannot be read: {error.strerror}.", "Check --files-from.") from None
    return [Path(line.rstrip("\r")) for line in lines if line.strip()]


@contextmanager
def streamed(
    inputs: Sequence[Path], output: Path | None, *, outputs: int, format: str | None
) -> Iterator[tuple[list[Path], Path | None]]:
    """Put files in the place of `-`: the photo on standard input, and the picture to be sent to standard output.

    Args:
        inputs: as given.
        output: as given.
        outputs: how many pictures each photo becomes.
        format: of the picture; None makes it a PNG, which loses nothing.

    Yields:
        Inputs and output without `-`. The picture goes out when the block ends without an error.

    Raises:
        StylekitError: if the photo on standard input cannot be kept.
        ConfigError: if more than one picture, or a video, would go to standard output, it is a terminal, or a photo
            from standard input would go nowhere.
    """
    if STREAM not in (*inputs, output):
        yield list(inputs), output
        return
    if output is None:
        raise ConfigError("A photo from standard input has no folder for its result.", "Add --output PATH, or -o -.")
    if output == STREAM and (len(inputs) != 1 or inputs[0].is_dir() or outputs != 1):
        raise ConfigError("Standard output takes one picture.", "Give one photo and one style, or another --output.")
    if output == STREAM and inputs[0].suffix.lower() in VIDEO_SUFFIXES:
        raise ConfigError(f"The video {inputs[0].name} cannot go to standard output.", "Give --output a file's name.")
    if output == STREAM and sys.stdout.isatty():
        raise ConfigError("Standard output is a terminal.", "Send it to a file: stylekit apply … -o - > picture.png")
    with tempfile.TemporaryDirectory(prefix="stylekit-") as folder:
        if STREAM in inputs:
            photo = Path(folder) / "standard input"
            _keep_standard_input(photo)
            inputs = [photo if path == STREAM else path for path in inputs]
        if output != STREAM:
            yield list(inputs), output
            return
        picture = Path(folder) / f"standard output.{format or 'png'}"
        yield list(inputs), picture
        if picture.exists():  # a dry run has made none
            with picture.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()


def _keep_standard_input(path: Path) -> None:
    try:
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
    except OSError as error:
        raise StylekitError(
            f"Standard input cannot be copied to {path.parent}: {error.strerror}.",
            "Make room there, or name another folder by TMPDIR.",
        ) from None
