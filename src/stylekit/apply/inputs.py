"""The photos and videos among the inputs of a command, found by name."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stylekit.config.apply import ApplyConfig
from stylekit.errors import ImageError
from stylekit.images.formats import READABLE_SUFFIXES
from stylekit.system.files import walk_files
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
_MOST_SUFFIXES = 6  # that are named


@dataclass(frozen=True)
class InputFile:
    """A photo or video.

    Attributes:
        path: Its path.
        root: The folder that was given and contains it; None if the file itself was given.
    """

    path: Path
    root: Path | None


@dataclass(frozen=True)
class Inputs:
    """What the inputs of a command are.

    Attributes:
        folders: The folders that were given.
        files: Each photo and video once, although it may be given twice, or once itself and once by its folder.
        unreadable: Each folder that cannot be read, the folder that was given and contains it or is it, and the reason.
        others: How many other files are in the folders, by suffix. Hidden files do not count.
    """

    folders: tuple[Path, ...]
    files: tuple[InputFile, ...]
    unreadable: tuple[tuple[Path, Path, ImageError], ...] = ()
    others: Counter[str] = field(default_factory=Counter)


class RealPaths:
    """The paths of files without links. The folder of several files is resolved once.

    `realpath` alone asks the file system about every folder above every file.
    """

    def __init__(self) -> None:
        """Start without folders."""
        self._folders: dict[str, str] = {}

    def of_file(self, path: Path) -> str:
        """Return the path of a file, which need not exist; a link is followed."""
        return os.path.realpath(path) if os.path.islink(path) else self.of_output(path)  # noqa: PTH114 - never raises

    def of_output(self, path: Path) -> str:
        """Return the path of a file that is to be written, which replaces a link."""
        folder, name = os.path.split(path)  # strings: pathlib would take half of a plan's time
        if folder not in self._folders:
            try:
                self._folders[folder] = os.path.realpath(folder)
            except ValueError:  # a null character
                self._folders[folder] = folder
        return os.path.join(self._folders[folder], name)  # noqa: PTH118


def find_inputs(paths: Sequence[Path], real_paths: RealPaths, *, recursive: bool) -> Inputs:
    """Return the photos and videos that files and folders stand for.

    Args:
        paths: Files, which need not exist, and folders, whose hidden files are skipped.
        real_paths: Tells which paths are one file.
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
            add(InputFile(file, path))
        others.update(Path(name).suffix.lower() for name in names if name.lower() not in _SYSTEM_FILES)
        unreadable += [(Path(error.filename), path, _unreadable(error)) for error in errors]
    return Inputs(tuple(folders), tuple(unique.values()), tuple(unreadable), others)


def _unreadable(error: OSError) -> ImageError:
    reason = (error.strerror or type(error).__name__).lower()
    return ImageError(f"Cannot read the folder {error.filename}: {reason}.", "Check the folder's permissions.")


def describe_others(others: Counter[str]) -> dict[str, int]:
    """Return why files of other suffixes are skipped, with their number: `not images (.pdf, .txt)`."""
    raw = Counter({suffix: number for suffix, number in others.items() if suffix in _RAW_SUFFIXES})
    reasons = {"raw photos, which must be developed first": raw, "not images": others - raw}
    return {f"{reason} ({_named(counts)})": counts.total() for reason, counts in reasons.items() if counts}


def _named(suffixes: Counter[str]) -> str:
    """Return suffixes in words, those of most files first."""
    names = sorted(suffixes, key=lambda suffix: (-suffixes[suffix], not suffix, suffix))
    return ", ".join(
        [suffix or "no suffix" for suffix in names[:_MOST_SUFFIXES]] + ["…"] * (len(names) > _MOST_SUFFIXES)
    )


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder; an unreadable path is not one."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises an error for an unreadable path


def becomes_video(path: Path, config: ApplyConfig) -> bool:
    """Return whether an input's result is a video or animation; `--format` turns animations into photos."""
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return True
    try:
        return config.format is None and is_animation(path)
    except OSError:  # it fails later, alone
        return False
