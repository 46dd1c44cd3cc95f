"""Unique paths for results, named after their inputs and styles."""

import os
import unicodedata
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from stylekit.apply.inputs import InputFile, RealPaths, becomes_video
from stylekit.config.apply import ApplyConfig
from stylekit.errors import ConfigError
from stylekit.images.formats import output_suffix
from stylekit.video.formats import video_suffix


def name_outputs(
    files: Sequence[InputFile], output: Path | None, labels: Sequence[str], config: ApplyConfig, real_paths: RealPaths
) -> list[tuple[Path, ...]]:
    """Return the paths of the results of each input, one for each style. All paths are distinct.

    Args:
        files: The inputs.
        output: The folder for all results; None puts results beside their inputs.
        labels: The names of the styles in file names.
        config: The settings.
        real_paths: Resolves links, to recognize paths of the same file.

    Raises:
        ConfigError: If `output` is None and an input folder has no name, such as `/`.
    """
    named = [_outputs(file, output, labels, config) for file in files]
    groups: dict[str, list[int]] = {}
    for index, outputs in enumerate(named):
        groups.setdefault(path_key(outputs[0], real_paths), []).append(index)
    for group in groups.values():
        if len(group) > 1:
            distinct = _distinct([files[index] for index in group], output, labels, config, real_paths)
            for index, outputs in zip(group, distinct, strict=True):
                named[index] = outputs
    return _numbered(named, real_paths)


def path_key(path: Path, real_paths: RealPaths) -> str:
    """Return a key that is equal for paths that may be the same file.

    Many file systems ignore case and Unicode normalization.
    """
    return unicodedata.normalize("NFC", real_paths.of_output(path)).casefold()


def _distinct(
    group: list[InputFile], output: Path | None, labels: Sequence[str], config: ApplyConfig, real_paths: RealPaths
) -> list[tuple[Path, ...]]:
    """Name the results of inputs whose usual names collide, by adding the input's suffix, its folder, or both."""
    folders = _folders_below_common([file.path for file in group]) if output else [Path()] * len(group)
    named: list[tuple[Path, ...]] = []
    for with_suffix, with_folder in ((True, False), (False, True), (True, True)):
        named = [
            _outputs(file, output, labels, config, with_suffix=with_suffix, folder=folder if with_folder else None)
            for file, folder in zip(group, folders, strict=True)
        ]
        if len({path_key(outputs[0], real_paths) for outputs in named}) == len(group):
            break
    return named


def _numbered(named: list[tuple[Path, ...]], real_paths: RealPaths) -> list[tuple[Path, ...]]:
    """Add numbers to names that still collide."""
    taken: set[str] = set()
    result = []
    for outputs in named:
        candidate, number = outputs, 1
        while any(path_key(path, real_paths) in taken for path in candidate):
            number += 1
            candidate = tuple(path.with_stem(f"{path.stem}-{number}") for path in outputs)
        taken.update(path_key(path, real_paths) for path in candidate)
        result.append(candidate)
    return result


def _folders_below_common(paths: list[Path]) -> list[Path]:
    """Return each path's folder relative to the innermost folder that contains all of them."""
    parts = [Path(os.path.abspath(path)).parent.parts for path in paths]  # noqa: PTH100 - keeps linked folders
    common = len(list(takewhile(lambda same: len(set(same)) == 1, zip(*parts, strict=False))))
    return [Path(*(part.strip(":\\/") for part in each[common:])) for each in parts]


def _outputs(
    file: InputFile,
    output: Path | None,
    labels: Sequence[str],
    config: ApplyConfig,
    *,
    with_suffix: bool = False,
    folder: Path | None = None,
) -> tuple[Path, ...]:
    """Name the results of an input.

    Args:
        file: The input.
        output: The folder for all results; None puts results beside their inputs.
        labels: The names of the styles in file names.
        config: The settings.
        with_suffix: Whether to include the suffix of the input in the names.
        folder: The folder of the results, relative to `output`; None keeps the folder of the input, relative to the
            input folder in which it was found.
    """
    stem = file.path.stem
    if with_suffix:
        stem += f"-{file.path.suffix.lower().lstrip('.')}"
    suffix = video_suffix(file.path) if becomes_video(file.path, config) else output_suffix(file.path, config.format)
    if output is not None and folder is not None:
        return tuple(output / folder / f"{stem}-{label}{suffix}" for label in labels)
    return tuple(
        output_folder(file.path.parent, file.root, output, label) / f"{stem}-{label}{suffix}" for label in labels
    )


def output_folder(folder: Path, root: Path | None, output: Path | None, label: str) -> Path:
    """Return the folder for the results of the files in a folder.

    Args:
        folder: The folder with the files.
        root: The input folder in which `folder` was found; None if the files themselves are inputs.
        output: The folder for all results; None puts results beside their inputs.
        label: The name of the style in file names.

    Returns:
        `folder` or `output` if the files themselves are inputs. Otherwise the folder that corresponds to `folder` in
        `output`, or in a new folder beside `root`.

    Raises:
        ConfigError: If `output` is None and `root` has no name, such as `/`.
    """
    if root is None:
        return output or folder
    return (_beside(root, label) if output is None else output) / folder.relative_to(root)


def _beside(folder: Path, label: str) -> Path:
    """Return the path of the output folder next to a folder. It is relative if the folder's path is relative."""
    if folder.name not in ("", ".."):
        return folder.with_name(f"{folder.name}-{label}")
    absolute = Path(os.path.abspath(folder))  # noqa: PTH100 - resolve would follow a linked folder
    if not absolute.name:
        raise ConfigError(f"Cannot derive a name for the output folder from {absolute}.", "Choose one with --output.")
    beside = absolute.with_name(f"{absolute.name}-{label}")
    return beside if folder.is_absolute() else Path(os.path.relpath(beside))
