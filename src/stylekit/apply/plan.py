"""Which photos and videos a command means, and where their results go.

Looks at file names alone, and opens nothing but GIF and WebP, which may be either.
"""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import NoReturn

from stylekit.config.apply import ApplyConfig
from stylekit.errors import ConfigError, ImageError
from stylekit.images.formats import FORMATS, READABLE_SUFFIXES, format_of_suffix, output_suffix
from stylekit.video.animations import is_animation
from stylekit.video.formats import ANIMATION_SUFFIXES, VIDEO_FORMATS, VIDEO_SUFFIXES, video_codec, video_suffix

_SUFFIXES = READABLE_SUFFIXES | VIDEO_SUFFIXES


@dataclass(frozen=True)
class PlannedPhoto:
    """A photo or video and its results.

    Attributes:
        source: the photo or video.
        outputs: the result of each style, in the order of the styles.
        is_video: whether it moves, and its results do.
    """

    source: Path
    outputs: tuple[Path, ...]
    is_video: bool = False


@dataclass(frozen=True)
class Plan:
    """What `apply` is about to do.

    Attributes:
        photos: in order.
        is_batch: whether a failure costs only itself: a folder was given, or there is more than one output.
    """

    photos: tuple[PlannedPhoto, ...]
    is_batch: bool

    def share(self, rank: int, size: int) -> "Plan":
        """Return what one of several processes is to do: every `size`-th of the sorted photos. All shares are a batch.

        The whole is planned first, in each process, so that all agree on it.
        """
        in_order = sorted(self.photos, key=lambda photo: photo.source)
        return Plan(tuple(in_order[rank::size]), is_batch=True)


@dataclass(frozen=True)
class _Found:
    """A photo with the folder that it was found through; None where it was named itself."""

    source: Path
    root: Path | None


def plan_outputs(inputs: Sequence[Path], output: Path | None, labels: Sequence[str], config: ApplyConfig) -> Plan:
    """Decide on every output before any work.

    Args:
        inputs: photos and folders.
        output: the result's file or the results' folder; None puts results beside photos and folders.
        labels: what stands for each style in file names.
        config: settings.

    Raises:
        ImageError: if a folder holds no photo.
        ConfigError: if two results would lie at one path, a result would replace an input, or a format is asked for
            that nothing could have.
    """
    if config.format is not None and config.format not in FORMATS:
        raise ConfigError(f"Unknown format {config.format!r}.", f"Use one of {', '.join(FORMATS)}.")
    found = list(_unique(_find(inputs, config.recursive)))
    folders = [path for path in inputs if os.path.isdir(path)]  # noqa: PTH112 - is_dir raises on what may not be read
    if output is not None and _names_a_file(output, found, folders, labels):
        plan = Plan((_planned_file(found[0].source, output, config),), is_batch=False)
    elif output is not None and output.is_file():
        raise ConfigError(f"{output} is a file, not a folder for the results.", "Choose another --output.")
    else:
        found = [photo for photo in found if output is None or not _lies_in(photo.source, output, folders)]
        photos = _without_outputs(_place(found, output, labels, config))
        plan = Plan(photos, is_batch=bool(folders) or len(photos) * len(labels) > 1)
    if not plan.photos:
        raise ImageError(
            f"There are no photos in {', '.join(map(str, inputs))}.",
            f"Photos and videos end in {', '.join(sorted(_SUFFIXES))}; hidden files are passed over.",
        )
    if config.format is not None and all(photo.is_video for photo in plan.photos):
        raise ConfigError("--format is for photos, and there are only videos.", "The suffix of --output sets theirs.")
    _check_collisions(plan.photos)
    for path in (path for photo in plan.photos for path in photo.outputs if path.suffix.lower() in VIDEO_FORMATS):
        video_codec(path, config.codec)
    return plan


def _find(inputs: Sequence[Path], recursive: bool) -> Iterator[_Found]:
    for path in inputs:
        if os.path.isdir(path):  # noqa: PTH112 - as above
            yield from (_Found(photo, path) for photo in _walk(path, recursive))
        else:
            yield _Found(path, None)


def _walk(folder: Path, recursive: bool) -> Iterator[Path]:
    """Photos of a folder in the order of their names; hidden ones, junk and what was seen already are passed over."""
    seen = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:  # a loop of links
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if recursive and not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in _SUFFIXES:
                yield Path(root) / name


def _unique(found: Iterator[_Found]) -> Iterator[_Found]:
    """Each photo once, though it may be named twice, or once and through its folder."""
    seen = set()
    for photo in found:
        real = os.path.realpath(photo.source)
        if real not in seen:
            seen.add(real)
            yield photo


def _names_a_file(output: Path, found: list[_Found], folders: list[Path], labels: Sequence[str]) -> bool:
    if folders or len(found) != 1 or len(labels) != 1 or output.is_dir():
        return False
    return output.suffix.lower() in {*READABLE_SUFFIXES, *VIDEO_FORMATS}


def _planned_file(source: Path, output: Path, config: ApplyConfig) -> PlannedPhoto:
    """Plan the one result, whose suffix sets the format, if nothing contradicts it."""
    suffix = output.suffix.lower()
    is_video = source.suffix.lower() in VIDEO_SUFFIXES
    if suffix in {*VIDEO_FORMATS, *ANIMATION_SUFFIXES} and _is_video(source, config):
        return PlannedPhoto(source, (output,), is_video=True)
    if is_video:
        suffixes = ", ".join(sorted({*VIDEO_FORMATS, *ANIMATION_SUFFIXES}))
        raise ConfigError(f"The video {source.name} does not become {suffix}.", f"Use {suffixes}.")
    if suffix in VIDEO_FORMATS and source.suffix.lower() in READABLE_SUFFIXES:
        suffixes = ", ".join(sorted(READABLE_SUFFIXES))
        raise ConfigError(f"The photo {source.name} does not become {suffix}.", f"Use {suffixes}.")
    if suffix in VIDEO_FORMATS:
        suffixes = ", ".join(sorted(VIDEO_SUFFIXES))
        raise ConfigError(f"{source.name} is no video by its name.", f"Videos are files that end in {suffixes}.")
    if format_of_suffix(suffix) != (config.format or format_of_suffix(suffix)):
        raise ConfigError(
            f"{output.name} and --format {config.format} contradict each other.",
            "The suffix of --output sets the format; leave out --format.",
        )
    return PlannedPhoto(source, (output,))


def _lies_in(source: Path, output: Path, folders: list[Path]) -> bool:
    """Whether a photo is an earlier result: it lies in the output folder, which lies in a folder given."""
    real = Path(os.path.realpath(output))
    inside = any(real.is_relative_to(os.path.realpath(f)) and real != Path(os.path.realpath(f)) for f in folders)
    return inside and Path(os.path.realpath(source)).is_relative_to(real)


def _place(found: list[_Found], output: Path | None, labels: Sequence[str], config: ApplyConfig) -> list[PlannedPhoto]:
    plain = [_outputs(photo, output, labels, config) for photo in found]
    groups: dict[str, list[int]] = {}
    for index, outputs in enumerate(plain):
        groups.setdefault(_key(outputs[0]), []).append(index)
    placed: dict[int, tuple[Path, ...]] = dict(enumerate(plain))
    for group in groups.values():
        if len(group) > 1:
            apart = _told_apart([found[index] for index in group], output, labels, config)
            placed.update(zip(group, apart, strict=True))
    return [
        PlannedPhoto(photo.source, placed[index], _is_video(photo.source, config)) for index, photo in enumerate(found)
    ]


def _told_apart(
    group: list[_Found], output: Path | None, labels: Sequence[str], config: ApplyConfig
) -> list[tuple[Path, ...]]:
    """Name the results of photos whose usual names collide: by suffix, then by folder, then by number."""
    folders = _folders_below_common([photo.source for photo in group]) if output else [Path()] * len(group)
    for by_suffix, by_folder in ((True, False), (False, True), (True, True)):
        named = [
            _outputs(photo, output, labels, config, by_suffix=by_suffix, folder=folder if by_folder else None)
            for photo, folder in zip(group, folders, strict=True)
        ]
        if len({_key(outputs[0]) for outputs in named}) == len(group):
            return named
    seen: Counter[str] = Counter()
    numbered = []
    for outputs in named:
        seen[_key(outputs[0])] += 1
        number = seen[_key(outputs[0])]
        numbered.append(outputs if number == 1 else tuple(path.with_stem(f"{path.stem}-{number}") for path in outputs))
    return numbered


def _folders_below_common(sources: list[Path]) -> list[Path]:
    """Return each source's folder relative to the innermost folder that holds all of them."""
    parts = [Path(os.path.abspath(source)).parent.parts for source in sources]  # noqa: PTH100 - keeps linked folders
    common = len(list(takewhile(lambda same: len(set(same)) == 1, zip(*parts, strict=False))))
    return [Path(*(part.strip(":\\/") for part in each[common:])) for each in parts]


def _outputs(
    photo: _Found,
    output: Path | None,
    labels: Sequence[str],
    config: ApplyConfig,
    *,
    by_suffix: bool = False,
    folder: Path | None = None,
) -> tuple[Path, ...]:
    """Name a photo's results.

    Args:
        photo: The photo.
        output: The folder of all results; None puts them beside photos and folders.
        labels: What stands for each style in file names.
        config: Settings.
        by_suffix: Whether the photo's suffix becomes part of the name.
        folder: Folder below `output`; None takes the photo's own, relative to where it was found.
    """
    stem = photo.source.stem
    if by_suffix:
        stem += f"-{photo.source.suffix.lower().lstrip('.')}"
    is_video = _is_video(photo.source, config)
    suffix = video_suffix(photo.source) if is_video else output_suffix(photo.source, config.format)
    if output is not None and folder is not None:
        return tuple(output / folder / f"{stem}-{label}{suffix}" for label in labels)
    return tuple(_folder(photo, output, label) / f"{stem}-{label}{suffix}" for label in labels)


def _is_video(source: Path, config: ApplyConfig) -> bool:
    """Whether a result moves; an animation's does not where a format for pictures is asked for."""
    return source.suffix.lower() in VIDEO_SUFFIXES or (config.format is None and is_animation(source))


def _folder(photo: _Found, output: Path | None, label: str) -> Path:
    if photo.root is None:
        return output or photo.source.parent
    if output is None:
        root = Path(os.path.abspath(photo.root))  # noqa: PTH100 - resolve would follow a linked folder
        if not root.name:
            raise ConfigError(f"{root} has no name to call the results' folder by.", "Choose one with --output.")
        output = root.with_name(f"{root.name}-{label}")
    return output / photo.source.parent.relative_to(photo.root)


def _without_outputs(photos: list[PlannedPhoto]) -> tuple[PlannedPhoto, ...]:
    """Leave out photos that are another photo's result: those of an earlier run."""
    results = {identity for photo in photos for path in photo.outputs if (identity := _identity(path)) is not None}
    own = {photo.source: {_identity(path) for path in photo.outputs} for photo in photos}
    kept = []
    for photo in photos:
        identity = _identity(photo.source)
        if identity is None or identity not in results or identity in own[photo.source]:
            kept.append(photo)
    return tuple(kept)


def _check_collisions(photos: Sequence[PlannedPhoto]) -> None:
    sources = {_identity(photo.source): photo.source for photo in photos}
    sources.pop(None, None)
    owners: dict[str, Path] = {}
    for photo in photos:
        for path in photo.outputs:
            if (source := sources.get(_identity(path))) is not None or _key(path) in owners:
                _refuse(path, photo.source, source, owners)
            owners[_key(path)] = photo.source


def _refuse(path: Path, photo: Path, source: Path | None, owners: dict[str, Path]) -> NoReturn:
    """Say why a result cannot be written to `path`."""
    if source is None:
        raise ConfigError(
            f"{owners[_key(path)]} and {photo} would both become {path}.",
            "Rename one, or give them outputs of their own in two runs.",
        )
    if source == photo:
        raise ConfigError(f"{path} would be its own result.", "Choose another --output.")
    raise ConfigError(f"{path} would replace the input {source}.", "Choose another --output.")


def _key(path: Path) -> str:
    """Return what paths to one file have in common, on any file system: many ignore case and normalize Unicode."""
    return unicodedata.normalize("NFC", os.path.realpath(path)).casefold()


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from all others whatever it is called; None where there is none."""
    try:
        file = path.stat()
    except (OSError, ValueError):
        return None
    return file.st_dev, file.st_ino
