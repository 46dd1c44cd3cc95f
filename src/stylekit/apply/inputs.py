"""Find the photos and videos among the inputs of a command, by file name."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stylekit.config.apply import ApplyConfig
from stylekit.errors import ImageError
from stylekit.images.formats import READABLE_SUFFIXES
from stylekit.system.files import walk_files
from stylekit.system.paths import is_file, is_folder
from stylekit.video.animations import is_animation
from stylekit.video.formats import VIDEO_SUFFIXES

INPUT_SUFFIXES = READABLE_SUFFIXES | VIDEO_SUFFIXES

_RAW_SUFFIXES = frozenset(
    (
        *(".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".mef", ".mrw", ".nef", ".nrw"),
        *(".orf", ".pef", ".raf", ".raw", ".rw2", ".sr2", ".srf", ".srw", ".x3f"),
    )
)
_SYSTEM_FILES = ("thumbs.db", "desktop.ini")
_TEXT_BYTES = 1024  # at the beginning of a file, which show whether the file is text
_MOST_SUFFIXES = 6  # listed in a message


@dataclass(frozen=True)
class InputFile:
    """A photo or video to stylize.

    Attributes:
        path: The path of the file.
        root: The input folder in which the file was found; None if the file itself is an input.
    """

    path: Path
    root: Path | None


@dataclass(frozen=True)
class Inputs:
    """The inputs of a command, sorted by kind.

    Attributes:
        folders: The folders among the inputs.
        files: The photos and videos. A file that occurs several times among the inputs is listed once.
        unreadable: For each folder that cannot be read: its path, the input folder in which it was found, and the
            error. An input folder itself may be unreadable.
        others: The number of other files in the folders, by suffix. Hidden files are not counted.
    """

    folders: tuple[Path, ...]
    files: tuple[InputFile, ...]
    unreadable: tuple[tuple[Path, Path, ImageError], ...] = ()
    others: Counter[str] = field(default_factory=Counter)


class RealPaths:
    """Resolves links in paths, querying each folder only once.

    `os.path.realpath` alone would query the file system about every parent folder of every file.
    """

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def of_file(self, path: Path) -> str:
        """Return the real path of a file, which need not exist. If the file is a link, the link is followed."""
        return os.path.realpath(path) if os.path.islink(path) else self.of_output(path)  # noqa: PTH114 - raises no error for an unreadable path

    def of_output(self, path: Path) -> str:
        """Return the real path of a file to write. A link is not followed, because the link itself will be replaced."""
        folder, name = os.path.split(path)  # strings, because pathlib would account for half of the planning time
        if folder not in self._folders:
            try:
                self._folders[folder] = os.path.realpath(folder)
            except ValueError:  # a null character
                self._folders[folder] = folder
        return os.path.join(self._folders[folder], name)  # noqa: PTH118


def find_inputs(paths: Sequence[Path], real_paths: RealPaths, *, recursive: bool) -> Inputs:
    """Find the photos and videos among files and in folders.

    Args:
        paths: Files, which need not exist, and folders. Hidden files in folders are skipped.
        real_paths: Resolves links, to recognize a file that occurs several times.
        recursive: Whether to search subfolders too.
    """
    folders: list[Path] = []
    unique: dict[str, InputFile] = {}
    unreadable: list[tuple[Path, Path, ImageError]] = []
    others: Counter[str] = Counter()

    def add(file: InputFile) -> None:
        unique.setdefault(real_paths.of_file(file.path), file)

    for path in paths:
        if not is_folder(path):
            add(InputFile(path, None))
            continue
        folders.append(path)
        errors: list[OSError] = []
        names: list[str] = []
        for file in walk_files(
            path, INPUT_SUFFIXES, recursive=recursive, on_other=names.append, on_error=errors.append
        ):
            if _is_typescript(file):
                names.append(file.name)
            else:
                add(InputFile(file, path))
        others.update(Path(name).suffix.lower() for name in names if name.lower() not in _SYSTEM_FILES)
        unreadable += [(Path(error.filename), path, _unreadable(error)) for error in errors]
    return Inputs(tuple(folders), tuple(unique.values()), tuple(unreadable), others)


def _is_typescript(path: Path) -> bool:
    """Return whether a file with the suffix of MPEG transport streams is text, as TypeScript is."""
    if path.suffix.lower() != ".ts" or not is_file(path):
        return False
    try:
        with path.open("rb") as file:
            start = file.read(_TEXT_BYTES)
    except OSError:  # the input will fail later, with the reason
        return False
    return start != b"" and not any(byte < 9 for byte in start)  # a stream has such bytes in each packet


def _unreadable(error: OSError) -> ImageError:
    reason = (error.strerror or type(error).__name__).lower()
    return ImageError(f"Cannot read the folder {error.filename}: {reason}.", "Check the folder's permissions.")


def describe_others(others: Counter[str]) -> dict[str, int]:
    """Return the number of skipped files for each reason, such as `not images (.pdf, .txt)`."""
    raw = Counter({suffix: number for suffix, number in others.items() if suffix in _RAW_SUFFIXES})
    reasons = {"raw photos, which must be developed first": raw, "not images": others - raw}
    return {f"{reason} ({_named(counts)})": counts.total() for reason, counts in reasons.items() if counts}


def _named(suffixes: Counter[str]) -> str:
    """Join suffixes for a message, the most frequent ones first."""
    names = sorted(suffixes, key=lambda suffix: (-suffixes[suffix], not suffix, suffix))
    return ", ".join(
        [suffix or "no suffix" for suffix in names[:_MOST_SUFFIXES]] + ["…"] * (len(names) > _MOST_SUFFIXES)
    )


def becomes_video(path: Path, config: ApplyConfig) -> bool:
    """Return whether the result of an input is a video or animation; with `--format`, animations become photos."""
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return True
    try:
        return config.format is None and is_animation(path)
    except OSError:  # the input will fail later
        return False
