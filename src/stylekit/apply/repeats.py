"""Recognize results of earlier runs by the recipes stored in them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylekit._version import __version__
from stylekit.apply.plan import PlannedInput
from stylekit.config.apply import ApplyConfig
from stylekit.images.formats import SUFFIX_FORMATS
from stylekit.images.recipes import read_recipe
from stylekit.styles.style_file import StyleFile
from stylekit.video.formats import VIDEO_CODECS, VIDEO_FORMATS, VIDEO_SUFFIXES, video_codec
from stylekit.video.recipes import read_video_recipe

# The settings that change the result; `tile`, for example, does not.
_IMAGE_OPTIONS = ("max_size", "stroke_size", "strength", "keep_colors")
_VIDEO_OPTIONS = ("steady", "fps", "start", "end")
_LOSSY_FORMATS = ("jpeg", "webp", "avif", "heic")
_LONGEST = 80  # maximum characters that a message quotes from a recipe, because the recipe may be malicious


@dataclass(frozen=True)
class Job(PlannedInput):
    """A planned input whose outputs were checked just before processing.

    Attributes:
        existing: The indices of the styles whose outputs exist and must not be overwritten.
    """

    existing: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Skip:
    """Why an output is skipped, and how to write it anyway.

    Attributes:
        reason: Why the output is skipped.
        hint: The option that writes the output anyway, and what the option does.
    """

    reason: str
    hint: str


ALREADY_PAINTED = Skip("already painted", "--overwrite paints it again")
PAINTED_BY_STYLEKIT = Skip("painted by stylekit", "--again paints it anyway")


@dataclass(frozen=True)
class Recipes:
    """The recipes of a run, which are stored in the results and compared with the recipes of existing files.

    Attributes:
        styles: For each style, the name, hash and share of each of its style files. Only a blend has several.
        config: The settings.
    """

    styles: tuple[tuple[dict[str, Any], ...], ...]
    config: ApplyConfig

    @classmethod
    def of(
        cls, files: Sequence[StyleFile], names: Sequence[str], shares: Sequence[float] | None, config: ApplyConfig
    ) -> "Recipes":
        """Return the recipes for style files, or for a blend of them.

        Args:
            files: The style files.
            names: The names of the style files.
            shares: The share of each style file in a single blended style; None applies each style file separately.
            config: The settings.
        """
        parts = [
            {"name": name, "weights_sha256": file.weights_sha256, "share": 1.0}
            for file, name in zip(files, names, strict=True)
        ]
        if shares is None:
            return cls(tuple((part,) for part in parts), config)
        total = sum(shares)
        blend = [{**part, "share": round(share / total, 4)} for part, share in zip(parts, shares, strict=True)]
        return cls((tuple(blend),), config)

    def recipe(self, style: int, output: Path, *, is_video: bool = False) -> str:
        """Return the recipe to store in an output, as JSON in ASCII."""
        options = _options(self.config, output, is_video)
        return json.dumps({"stylekit": __version__, "styles": self.styles[style], "options": options})

    def judge(self, job: Job) -> tuple[dict[int, Skip], tuple[str, ...]]:
        """Decide which outputs of a job to skip, from the recipes in its input and in existing outputs.

        Returns:
            The reason for each output to skip, by style index; and notes about the input.
        """
        skips = {style: self._existing(style, job) for style in job.existing}
        painting = None if self.config.again or len(skips) == len(job.outputs) else read_painting(job.source)
        if painting is None:
            return skips, ()
        hashes = _hashes(painting)
        for style in range(len(job.outputs)):
            repeats = hashes == [part["weights_sha256"] for part in self.styles[style]]
            if style not in skips and (repeats or not job.is_named):
                skips[style] = PAINTED_BY_STYLEKIT
        return skips, (f"painted by stylekit before, in the style {_names(painting)}",)

    def _existing(self, style: int, job: Job) -> Skip:
        """Return the reason for skipping an existing output."""
        painting = read_painting(job.outputs[style])
        others = [] if painting is None else self._other_settings(painting, style, job)
        if not others:
            return ALREADY_PAINTED
        return Skip(f"painted with other settings: {', '.join(others)}", ALREADY_PAINTED.hint)

    def _other_settings(self, painting: dict[str, Any], style: int, job: Job) -> list[str]:
        """Return the options with which an existing output was painted, except those that this run uses as well."""
        others = []
        styles = self.styles[style]
        if "method" in painting:
            return [f"stylekit {painting['method']}"[:_LONGEST]]
        if _hashes(painting) != [part["weights_sha256"] for part in styles]:
            others.append(f"other weights of {_names(painting)}")
        elif [part.get("share") for part in painting["styles"]] != [part["share"] for part in styles]:
            others.append(" ".join(f"{part['name']}:{part.get('share')}" for part in painting["styles"]))
        output, is_video = job.outputs[style], job.is_video
        now = _options(self.config, output, is_video)
        then = _options(ApplyConfig(), output, is_video) | painting["options"]
        others += [_spelled(name, then[name]) for name, value in now.items() if then[name] != value]
        return [*others, "no --strip-metadata"] if self.config.strip_metadata else others


def read_painting(path: Path) -> dict[str, Any] | None:
    """Read the recipe from a painting by stylekit.

    Returns:
        The recipe, with the keys `stylekit` (the version), `styles` and `options`. None if the file has no recipe or
        cannot be read.
    """
    read = read_video_recipe if path.suffix.lower() in VIDEO_SUFFIXES else read_recipe
    try:
        recipe = json.loads(read(path) or "null")
        texts = [text for part in recipe["styles"] for text in (part["name"], _hash(part))]
        is_valid = texts and all(isinstance(text, str) for text in texts) and isinstance(recipe["options"], dict)
        return recipe if is_valid else None
    except (TypeError, ValueError, KeyError, RecursionError):  # anyone can write metadata
        return None


def _hashes(painting: Mapping[str, Any]) -> list[str]:
    return [_hash(part) for part in painting["styles"]]


def _hash(part: Mapping[str, Any]) -> Any:
    """Return the checksum of a style's weights or, in the results of `stylekit gatys`, of a painting."""
    return part["painting_sha256"] if "painting_sha256" in part else part["weights_sha256"]


def _names(painting: Mapping[str, Any]) -> str:
    return "-".join(part["name"] for part in painting["styles"])[:_LONGEST]


def _options(config: ApplyConfig, output: Path, is_video: bool) -> dict[str, Any]:
    """Return the settings that affect the result."""
    names = _IMAGE_OPTIONS + _VIDEO_OPTIONS * is_video
    options = {name: getattr(config, name) for name in names}
    suffix = output.suffix.lower()
    if suffix in VIDEO_FORMATS:
        codec = video_codec(output, config.codec)
        return {**options, "codec": codec, "crf": VIDEO_CODECS[codec].crf if config.crf is None else config.crf}
    return {**options, "quality": config.quality} if SUFFIX_FORMATS.get(suffix) in _LOSSY_FORMATS else options


def _spelled(name: str, value: object) -> str:
    """Return a setting as a command-line option."""
    option = f"--{name.replace('_', '-')}"
    match value:
        case True:
            return option
        case None if name == "stroke_size":
            return f"{option} auto"
        case None | False:
            return f"no {option}"
    return f"{option} {value:g}" if isinstance(value, float) else f"{option} {value}"[:_LONGEST]
