"""Recognition of mistaken command lines, with the command that was probably meant as a hint."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from stylekit.cli.completion import known_styles
from stylekit.errors import ConfigError
from stylekit.images.formats import READABLE_SUFFIXES
from stylekit.styles.names import is_path
from stylekit.system.paths import exists, is_folder
from stylekit.video.formats import ANIMATION_SUFFIXES, VIDEO_FORMATS, VIDEO_SUFFIXES

ALL_STYLES = "all"

# For each required option: an example value, and what it stands for.
_EXAMPLES = {
    "--content": ("photos/", "the folder of photos to learn from"),
    "--output": ("result.jpg", "the file of the result"),
    "--name": ("my-style", "a name for the style"),
    "--onnx": ("style.onnx", "the file to write"),
}

Correct = Callable[[list[str]], list[str]]  # turns the arguments that were given into those that were meant


class Misunderstood(ConfigError):
    """A mistaken command line, for which the intended one is known.

    Args:
        message: What is wrong.
        correct: Turns the arguments that were given into those that were meant.
        advice: What to do; the hint ends with the command that was meant.
    """

    def __init__(self, message: str, correct: Correct, advice: str = "") -> None:
        """Store the correction; the hint is made once the arguments are known."""
        super().__init__(message)
        self._correct = correct
        self._advice = advice

    def corrected(self, arguments: list[str]) -> ConfigError:
        """Return an error whose hint is the command that was meant."""
        meant = command(*self._correct(arguments))
        return ConfigError(self.message, f"{self._advice} `{meant}`." if self._advice else f"Did you mean `{meant}`?")


def command(*arguments: str) -> str:
    """Return a `stylekit` command line, quoted for a shell."""
    return shlex.join(("stylekit", *arguments))


def not_a_command(word: str) -> Misunderstood | None:
    """Return the error for a file or style in place of a command; None if the word is neither."""
    if Path(word).suffix.lower() in READABLE_SUFFIXES | VIDEO_SUFFIXES or exists(word):
        return Misunderstood(f"Missing command before {word}.", lambda arguments: ["apply", *arguments])
    if word in known_styles():
        return Misunderstood(
            f"{word} is a style, not a command.",
            lambda arguments: ["apply", *(argument for argument in arguments if argument != word), "--style", word],
        )
    return None


def missing_option(option: str) -> Misunderstood | None:
    """Return the error for a missing required option; None if there is no example for it."""
    if option not in _EXAMPLES:
        return None
    example, meaning = _EXAMPLES[option]
    return Misunderstood(
        f"Missing {option}.", lambda arguments: [*arguments, option, example], f"Add {meaning}, for example:"
    )


def input_path(text: str) -> Path:
    """Return an input as a path.

    `./-` becomes absolute, so that only a plain `-` means standard input.

    Raises:
        ConfigError: If it is empty, as an unset variable of the shell is; the empty path would be the working folder.
        Misunderstood: If it is a URL.
    """
    if not text:
        raise ConfigError("An input is empty.", "Check the variables in the command; the working folder is `.`.")
    if "://" in text:
        file = text.partition("?")[0].rstrip("/").rpartition("/")[2]
        raise Misunderstood(
            f"{text} is a URL, not a file.",
            _replacing(text, file),
            f"Download it first: `curl -fLo {shlex.quote(file)} {shlex.quote(text)}`, then",
        )
    path = Path(text)
    return path.absolute() if path == Path("-") and text != "-" else path


def check_inputs(paths: Sequence[Path]) -> None:
    """Check that no input of `apply` is actually the name of a style.

    Raises:
        Misunderstood: If one is, and no file has that name.
    """
    for name in filter(_is_style, map(str, paths)):
        raise Misunderstood(f"{name} is a style, not a photo.", _replacing(name, "--style", name))


def check_paintings(paintings: Sequence[Path], photo: str, output: str | None) -> None:
    """Check that no painting of `gatys` or `train` is actually the name of a style.

    Args:
        paintings: The paintings.
        photo: The photo to stylize.
        output: The output file; None if the command has none.

    Raises:
        Misunderstood: If one is, and no file has that name.
    """
    for name in filter(_is_style, map(str, paintings)):
        meant = ["apply", photo, "--style", name, *(["--output", output] if output else [])]
        raise Misunderstood(f"{name} is a style, not a painting.", _replacing_all(meant))


def check_styles(styles: Sequence[str], paths: Sequence[Path]) -> list[str]:
    """Return the styles given to `apply --style`, with `all` expanded to every style on this machine.

    Args:
        styles: The values of `--style`.
        paths: The inputs.

    Raises:
        Misunderstood: If a value is a comma-separated list.
        ConfigError: If a value is an image.
    """
    for style in styles:
        if "," in style and not is_path(style):
            first, *others = filter(None, style.split(","))
            meant = [first, *(word for other in others for word in ("--style", other))]
            raise Misunderstood(f"--style takes one style, not {style!r}.", _replacing(style, *meant))
        if Path(style).suffix.lower() in READABLE_SUFFIXES:
            train = command("train", style, "--content", "photos/")
            gatys = command("gatys", str(paths[0]) if paths else "photo.jpg", style, "--output", "result.jpg")
            raise ConfigError(
                f"{style} is an image, not a style.",
                f"Train a style from it with `{train}`, or stylize one photo with `{gatys}`.",
            )
    if ALL_STYLES not in styles:
        return list(styles)
    return list(dict.fromkeys(name for style in styles for name in (_all_styles() if style == ALL_STYLES else [style])))


def check_output(output: str | None, paths: Sequence[Path]) -> None:
    """Check that a single photo is not written as a video.

    Raises:
        Misunderstood: If it is.
    """
    photo_suffixes = READABLE_SUFFIXES - ANIMATION_SUFFIXES
    if output is None or len(paths) != 1 or paths[0].suffix.lower() not in photo_suffixes:
        return
    if output.endswith("/") or is_folder(Path(output)):
        return
    if Path(output).suffix.lower() in VIDEO_FORMATS:
        image = str(Path(output).with_suffix(paths[0].suffix.lower()))
        raise Misunderstood(
            f"{paths[0]} is a photo, and {output} would be a video.",
            _replacing(output, image),
        )


def _is_style(text: str) -> bool:
    return text in known_styles() and not exists(text)


def _all_styles() -> list[str]:
    from stylekit.styles.catalog import local_styles
    from stylekit.styles.locations import find_style

    if find_style(ALL_STYLES) is not None:  # a style of the user's own
        return [ALL_STYLES]
    return sorted(entry.name for entry in local_styles() if not entry.problem)


def _replacing_all(meant: list[str]) -> Correct:
    return lambda arguments: meant


def _replacing(value: str, *words: str) -> Correct:
    """Return a function that replaces a value by words: an argument, or part of `--option=value` or `-ovalue`."""

    def replace(arguments: list[str]) -> list[str]:
        replaced: list[str] = []
        for argument in arguments:
            prefix = argument.removesuffix(value)
            is_meant = argument == value or (argument.startswith("-") and prefix != argument)
            replaced += [prefix + words[0], *words[1:]] if is_meant else [argument]
        return replaced

    return replace
