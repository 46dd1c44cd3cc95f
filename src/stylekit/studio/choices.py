"""The styles and look chosen on the page: validate them as the command line does, and format them as a command."""

import re
import shlex
import sys
from collections.abc import Sequence

import msgspec

from stylekit.config.apply import ApplyConfig
from stylekit.config.checks import check_shares
from stylekit.errors import ConfigError
from stylekit.studio.photos import Upload
from stylekit.studio.styles import Styles

_MOST_STYLES = 4  # in a blend


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A chosen style and its share in a blend."""

    style: str
    share: float = 1.0


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The styles and the look that the user chose. Several styles are blended."""

    styles: tuple[Part, ...]
    strength: float = ApplyConfig.strength
    stroke_size: float | None = ApplyConfig.stroke_size
    keep_colors: bool = ApplyConfig.keep_colors

    @property
    def config(self) -> ApplyConfig:
        """The settings of `apply` for this choice.

        Raises:
            ConfigError: If a setting is out of range.
        """
        return ApplyConfig(
            strength=self.strength, stroke_size=self.stroke_size, keep_colors=self.keep_colors, again=True
        )

    @property
    def shares(self) -> list[float] | None:
        """The shares in a blend; None for a single style."""
        return [part.share for part in self.styles] if len(self.styles) > 1 else None

    def check(self, styles: Styles) -> None:
        """Check that the styles exist and the settings are in range.

        Raises:
            ConfigError: If a setting or the number of styles is out of range.
            StyleNotFound: If a style does not exist.
        """
        if not 1 <= len(self.styles) <= _MOST_STYLES:
            raise ConfigError(f"Choose 1 to {_MOST_STYLES} styles, not {len(self.styles)}.")
        if self.shares is not None:
            check_shares(self.shares, len(self.styles))
        for part in self.styles:
            styles.get(part.style)
        _ = self.config

    def at_full_strength(self) -> "Choice":
        """Return the choice at full strength: the page itself applies the strength to previews."""
        return msgspec.structs.replace(self, strength=1.0)


def command_line(photos: Sequence[Upload], choice: Choice, styles: Styles) -> str:
    """Return the command that paints photos as the page does, quoted for the shell.

    Args:
        photos: The photos. The command refers to them by the names of the user's files.
        choice: The styles and the look.
        styles: The available styles.
    """
    words = ["stylekit", "apply", *(_as_input(photo.name) for photo in photos)]
    for part in choice.styles:
        style = styles.get(part.style).reference_for_user
        words += ["--style", f"{style}:{part.share:g}" if len(choice.styles) > 1 else style]
    words += ["--blend"] * (len(choice.styles) > 1)
    if choice.strength != ApplyConfig.strength:
        words += ["--strength", f"{choice.strength:g}"]
    if choice.stroke_size is not None:
        words += ["--stroke-size", f"{choice.stroke_size:g}"]
    words += ["--keep-colors"] * choice.keep_colors
    words += ["--again"] * any(photo.is_painted for photo in photos)
    return " ".join(map(_quoted_for_windows, words)) if sys.platform == "win32" else shlex.join(words)


def _quoted_for_windows(word: str) -> str:
    """Quote a word for PowerShell and, in most cases, cmd. Windows file names contain no straight quotation marks."""
    return word if re.fullmatch(r"[\w.:/+-]+", word) else '"' + re.sub("[`$\u201c-\u201e]", r"`\g<0>", word) + '"'


def _as_input(name: str) -> str:
    return f"./{name}" if name.startswith("-") else name
