"""Plan a batch: which photos and videos to stylize, and where to write the results.

A plan depends on file names only. GIF and WebP files are opened to distinguish photos from animations.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NoReturn

from stylekit.apply.inputs import (
    INPUT_SUFFIXES,
    InputFile,
    Inputs,
    RealPaths,
    becomes_video,
    describe_others,
    find_inputs,
)
from stylekit.apply.naming import name_outputs, output_folder, path_key
from stylekit.config.apply import ApplyConfig
from stylekit.config.checks import check_choice
from stylekit.errors import ConfigError, ImageError, StylekitError
from stylekit.images.formats import FORMATS, READABLE_SUFFIXES, SUFFIX_FORMATS, format_of_suffix
from stylekit.system.paths import is_file, is_folder
from stylekit.video.formats import ANIMATION_SUFFIXES, VIDEO_FORMATS, VIDEO_SUFFIXES, video_codec

_SUFFIX = re.compile(r"\.(?=.*[a-z])[a-z0-9]{1,5}")  # excludes `.5` and `. Moritz`, which occur in folder names
_FORMAT_OF_VIDEO = "--format is for photos, but all inputs are videos."


@dataclass(frozen=True)
class PlannedInput:
    """A photo or video and the paths of its results.

    Attributes:
        source: The path of the photo or video, or of a folder that cannot be read.
        outputs: The paths of the results, one for each style, in the order of the styles.
        is_video: Whether the results are videos or animations.
        is_named: Whether the file itself is an input of the command, rather than a folder that contains it.
        error: The error with which the input will fail; None if it may succeed.
    """

    source: Path
    outputs: tuple[Path, ...]
    is_video: bool = False
    is_named: bool = True
    error: StylekitError | None = None


@dataclass(frozen=True)
class Plan:
    """The inputs that a run of `apply` will process, and the outputs that it will write.

    Attributes:
        inputs: The photos and videos, in order.
        is_batch: Whether the run continues after an input fails: true for a folder, or for more than one output.
        ignored: The reasons why files in folders are not stylized, and how many files each reason applies to.
    """

    inputs: tuple[PlannedInput, ...]
    is_batch: bool
    ignored: Mapping[str, int] = field(default_factory=dict)

    def share(self, rank: int, size: int) -> "Plan":
        """Return the part of the plan that one of several processes carries out. The part is always a batch.

        Every process makes the same plan and takes every `size`-th input in sorted order.

        Args:
            rank: The index of the process, from 0.
            size: The number of processes.
        """
        in_order = sorted(self.inputs, key=lambda planned: planned.source)
        return Plan(tuple(in_order[rank::size]), is_batch=True, ignored=self.ignored if rank == 0 else {})


def plan_outputs(inputs: Sequence[Path], output: Path | str | None, labels: Sequence[str], config: ApplyConfig) -> Plan:
    """Plan the path of every result.

    Args:
        inputs: Photos, videos and folders.
        output: The path of the only result, or the folder for the results. A string that ends in `/` is always a
            folder. None puts results beside their inputs.
        labels: The names of the styles in file names.
        config: The settings.

    Raises:
        ImageError: If no photos or videos are found, or none of them can be read.
        ConfigError: If a result would overwrite an input, or a format is unknown or does not suit an input.
    """
    real_paths = RealPaths()
    found = find_inputs(inputs, real_paths, recursive=config.recursive)
    plan = plan_found(found, output, labels, config, real_paths)
    readable = [planned for planned in plan.inputs if planned.error is None]
    if not readable and found.unreadable:
        raise found.unreadable[0][-1]
    if not readable:
        raise ImageError(
            f"No photos or videos in {', '.join(map(str, inputs))}.",
            f"Supported suffixes: {', '.join(sorted(INPUT_SUFFIXES))}. Hidden files are skipped.",
        )
    if config.format is not None and all(planned.is_video for planned in readable):
        raise ConfigError(_FORMAT_OF_VIDEO, "Choose a video's format by the suffix of --output.")
    for path in (path for planned in readable for path in planned.outputs if path.suffix.lower() in VIDEO_FORMATS):
        video_codec(path, config.codec)
    return plan


def plan_found(
    found: Inputs, output: Path | str | None, labels: Sequence[str], config: ApplyConfig, real_paths: RealPaths
) -> Plan:
    """Plan the results for the inputs found, if any.

    Args:
        found: The inputs.
        output: As in `plan_outputs`.
        labels: The names of the styles in file names.
        config: The settings.
        real_paths: Resolves paths, to detect those that name the same file.

    Raises:
        ConfigError: If a result would overwrite an input, or if the output or format is invalid.
    """
    if config.format is not None:
        check_choice("format", config.format, FORMATS)
    if output is not None and _is_file_name(output, found, labels):
        return _plan_file(found.files[0].path, Path(output), config)
    return _plan_folder(found, None if output is None else Path(output), labels, config, real_paths)


def _is_file_name(output: Path | str, found: Inputs, labels: Sequence[str]) -> bool:
    """Return whether `output` is the path of the only result, rather than the folder for the results.

    Raises:
        ConfigError: If `output` looks like the path of a file that cannot be the result.
    """
    path = Path(output)
    if is_folder(path):
        return False
    suffix = path.suffix.lower()
    if str(output).endswith(("/", os.sep)) or not _SUFFIX.fullmatch(suffix):
        if is_file(path):
            raise ConfigError(f"--output {output} is a file, not a folder.", "Choose a folder for the results.")
        return False
    if suffix not in {*READABLE_SUFFIXES, *VIDEO_FORMATS}:
        images = ", ".join(format.suffix for format in FORMATS.values())
        raise ConfigError(
            f"Cannot write {suffix} files: --output {output}.",
            f"Images are written as {images}, videos as {', '.join(VIDEO_FORMATS)}; a folder's name ends in /.",
        )
    if found.folders or len(found.files) != 1 or len(labels) != 1:
        results = "a folder's results" if found.folders else "several results"
        and_format = f" --format {SUFFIX_FORMATS[suffix]}" if suffix in SUFFIX_FORMATS else ""
        raise ConfigError(
            f"--output {output} is the name of a single file, but {results} need a folder.",
            f"Use --output {path.with_suffix('')}/{and_format}, or --output {output}/ for a folder of that name.",
        )
    return True


def _plan_file(source: Path, output: Path, config: ApplyConfig) -> Plan:
    """Plan a single result, whose format depends on the suffix of `output`."""
    if _identity(source) is not None and _identity(source) == _identity(output):
        raise _overwritten(source, source)
    suffix, source_suffix = output.suffix.lower(), source.suffix.lower()
    if suffix in {*VIDEO_FORMATS, *ANIMATION_SUFFIXES} and becomes_video(source, config):
        return Plan((PlannedInput(source, (output,), is_video=True),), is_batch=False)
    if source_suffix in VIDEO_SUFFIXES:
        _reject_suffix(f"the video {source.name}", suffix, {*VIDEO_FORMATS, *ANIMATION_SUFFIXES})
    if suffix in VIDEO_FORMATS and source_suffix in READABLE_SUFFIXES:
        _reject_suffix(f"the photo {source.name}", suffix, READABLE_SUFFIXES)
    if suffix in VIDEO_FORMATS:
        suffixes = ", ".join(sorted(VIDEO_SUFFIXES))
        raise ConfigError(f"{source.name} does not have a video suffix.", f"Supported suffixes: {suffixes}.")
    if format_of_suffix(suffix) != (config.format or format_of_suffix(suffix)):
        raise ConfigError(
            f"--output {output.name} and --format {config.format} contradict each other.",
            "Leave out --format: the suffix of --output sets the format.",
        )
    return Plan((PlannedInput(source, (output,)),), is_batch=False)


def _reject_suffix(what: str, suffix: str, suffixes: frozenset[str] | set[str]) -> NoReturn:
    raise ConfigError(
        f"Cannot write {what} as {suffix}.", f"Use one of these suffixes in --output: {', '.join(sorted(suffixes))}."
    )


def _plan_folder(
    found: Inputs, output: Path | None, labels: Sequence[str], config: ApplyConfig, real_paths: RealPaths
) -> Plan:
    """Plan results that are written to a folder."""
    earlier = set() if output is None else _in_output(found, output, real_paths)
    files = [file for file in found.files if file not in earlier]
    names = name_outputs(files, output, labels, config, real_paths)
    identity = cache(_identity)
    planned = _without_results(
        [
            PlannedInput(file.path, outputs, becomes_video(file.path, config), is_named=file.root is None)
            for file, outputs in zip(files, names, strict=True)
        ],
        identity,
    )
    _check_overwriting(planned, identity)
    unreadable = [
        PlannedInput(path, tuple(output_folder(path, root, output, label) for label in labels), error=error)
        for path, root, error in found.unreadable
    ]
    ignored = describe_others(found.others)
    keys = {path_key(path, real_paths) for outputs in names for path in outputs} if earlier else set()
    if others := sum(path_key(file.path, real_paths) not in keys for file in earlier):
        ignored["in the output folder"] = others
    is_batch = bool(found.folders) or len(planned) * len(labels) > 1
    return Plan((*planned, *unreadable), is_batch, ignored)


def _in_output(found: Inputs, output: Path, real_paths: RealPaths) -> set[InputFile]:
    """Return the inputs inside the output folder, which are earlier results, if an input folder contains it."""
    real = Path(os.path.realpath(output))
    if not any(real.is_relative_to(folder) for folder in map(os.path.realpath, found.folders) if folder != str(real)):
        return set()
    return {file for file in found.files if Path(real_paths.of_file(file.path)).is_relative_to(real)}


_Identity = Callable[[Path], tuple[int, int] | None]


def _without_results(inputs: list[PlannedInput], identity: _Identity) -> list[PlannedInput]:
    """Leave out inputs that are results of other inputs, written by an earlier run."""
    results = {identity(path) for planned in inputs for path in planned.outputs} - {None}
    return [
        planned
        for planned in inputs
        if identity(planned.source) not in results or identity(planned.source) in map(identity, planned.outputs)
    ]


def _check_overwriting(inputs: Sequence[PlannedInput], identity: _Identity) -> None:
    """Raise an error if a result would overwrite an input."""
    sources = {identity(planned.source): planned.source for planned in inputs}
    sources.pop(None, None)
    for planned in inputs:
        for path in planned.outputs:
            if (source := sources.get(identity(path))) is not None:
                raise _overwritten(source, planned.source)


def _overwritten(source: Path, by: Path) -> ConfigError:
    result = "its own result" if source == by else f"the result of {by}"
    return ConfigError(f"{source} would be overwritten by {result}.", "Choose another --output.")


def _identity(path: Path) -> tuple[int, int] | None:
    """Return the device and inode of a file, which identify it under any name; None if it does not exist."""
    try:
        file = path.stat()
    except (OSError, ValueError):
        return None
    return file.st_dev, file.st_ino
