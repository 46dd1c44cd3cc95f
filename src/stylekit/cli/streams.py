"""Support for standard input, standard output and pipes in place of files."""

import os
import shutil
import stat
import sys
import tempfile
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from stylekit.errors import ConfigError, StylekitError
from stylekit.system.paths import is_folder
from stylekit.video.formats import VIDEO_SUFFIXES

STREAM = Path("-")

_DESCRIPTORS = (Path("/dev/fd"), Path("/proc/self/fd"))  # the shell's `<(…)` is a path in one of them


def read_list(source: Path) -> list[Path]:
    """Read a list of paths from a file, or from standard input if the file is `-`.

    Args:
        source: A list with one path per line, or with a NUL after each path, as `find -print0` writes it. UTF-16 is
            recognized by its byte order mark.

    Raises:
        ConfigError: If it cannot be read.
    """
    try:
        data = sys.stdin.buffer.read() if source == STREAM else source.read_bytes()
    except OSError as error:
        raise ConfigError(f"Cannot read --files-from {source}: {error.strerror}.", "Check the path.") from error
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):  # written by Windows PowerShell
        data = data.decode("utf-16", "replace").encode(errors="replace")
    if b"\0" in data:
        names = data.split(b"\0")
    else:
        names = [line.rstrip(b"\r") for line in data.removeprefix(BOM_UTF8).split(b"\n")]
    paths = [Path(os.fsdecode(name)) for name in names if name.strip()]
    return [path.absolute() if path == STREAM else path for path in paths]  # in a list, `-` is a file


def is_stream(path: Path) -> bool:
    """Return whether a path is standard input or a pipe: it can be read only once, and has no folder for results."""
    if path in (STREAM, Path("/dev/stdin")) or path.parent in _DESCRIPTORS:
        return True
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except (OSError, ValueError):
        return False


@contextmanager
def streamed(
    inputs: Sequence[Path], output: str | None, *, outputs: int, format: str | None
) -> Iterator[tuple[list[Path], str | None]]:
    """Replace streams with temporary files: copies of standard input and pipes, and a file for standard output.

    Args:
        inputs: The inputs as given.
        output: The output as given; a string, because `./-` is a file and a folder may end in `/`.
        outputs: The number of results for each input.
        format: The format of the result on standard output; None for PNG.

    Yields:
        The inputs and the output, all of them files. The result is sent to standard output when the block ends without
            an error.

    Raises:
        StylekitError: If standard input or a pipe cannot be copied, or the result cannot be sent.
        ConfigError: If standard output is a terminal or would get a video or more than one image, or a photo from
            a stream has no output.
    """
    if output is None and any(map(is_stream, inputs)):
        raise ConfigError(
            "A photo from standard input or a pipe needs an output.", "Add --output PATH, or -o - for standard output."
        )
    is_piped = output == str(STREAM)
    if is_piped:
        _check_piped(inputs, outputs)
    with copied_streams(inputs) as files:
        if not is_piped:
            yield files, output
            return
        with tempfile.TemporaryDirectory(prefix="stylekit-") as folder:
            result = Path(folder) / f"standard output.{format or 'png'}"
            yield files, str(result)
            if result.exists():  # a dry run has none
                _send(result)


@contextmanager
def copied_streams(inputs: Sequence[Path]) -> Iterator[list[Path]]:
    """Replace standard input and pipes among the inputs with temporary copies.

    Raises:
        StylekitError: If a stream cannot be copied.
        ConfigError: If standard input is a terminal.
    """
    if not any(map(is_stream, inputs)):
        yield list(inputs)
        return
    with tempfile.TemporaryDirectory(prefix="stylekit-") as folder:
        yield [
            _copied(path, Path(folder, str(number))) if is_stream(path) else path for number, path in enumerate(inputs)
        ]


def _copied(stream: Path, folder: Path) -> Path:
    """Copy a stream to a new folder."""
    is_standard_input = stream in (STREAM, Path("/dev/stdin"))
    if is_standard_input and sys.stdin.isatty():
        raise ConfigError(
            "Standard input is a terminal.", "Redirect a photo to it: stylekit apply - -o result.jpg < photo.jpg"
        )
    name = "standard input" if is_standard_input else stream.name
    try:
        folder.mkdir()
        with (folder / name).open("wb") as file:
            if is_standard_input:
                shutil.copyfileobj(sys.stdin.buffer, file)
            else:
                with stream.open("rb") as source:
                    shutil.copyfileobj(source, file)
    except OSError as error:
        raise StylekitError(
            f"Cannot copy {name} to {folder}: {error.strerror}.",
            "Free some space there, or set TMPDIR to another folder.",
        ) from error
    return folder / name


def _send(result: Path) -> None:
    try:
        with result.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except BrokenPipeError as error:
        raise StylekitError("The program reading standard output exited before the whole image was written.") from error


def _check_piped(inputs: Sequence[Path], outputs: int) -> None:
    """Check that the result is a single image and that standard output is not a terminal."""
    if len(inputs) != 1 or is_folder(inputs[0]) or outputs != 1:
        raise ConfigError(
            "Only a single image can be written to standard output.",
            "Give one photo and one style, or choose another --output.",
        )
    if inputs[0].suffix.lower() in VIDEO_SUFFIXES:
        raise ConfigError(f"Cannot write the video {inputs[0].name} to standard output.", "Pass a file to --output.")
    if sys.stdout.isatty():
        raise ConfigError("Standard output is a terminal.", "Redirect it to a file: stylekit apply … -o - > result.png")
