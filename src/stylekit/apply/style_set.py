"""The styles of a run, which are checked first and loaded when the first image is ready."""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property

from stylekit.apply.repeats import Recipes
from stylekit.config.apply import ApplyConfig
from stylekit.config.checks import check_shares, require
from stylekit.styles.library import load_style_file_by_name
from stylekit.styles.names import style_label
from stylekit.stylization.style import Style


class StyleSet:
    """The styles that are applied to every input, either separately or as a single blend.

    Args:
        styles: The names of styles, or the paths of style files or of importable weights.
        blend: The share of each style in a blend of all styles; None applies each style separately.
        config: The settings.

    Attributes:
        names: The names of the styles in reports, in the order of the results.
        labels: The names of the styles in file names.
        recipes: The recipes to store in the results and to compare with the recipes of existing results.

    Raises:
        ConfigError: If there are no styles, two have the same name, or the shares are invalid.
        StyleNotFound: If a style does not exist.
        StyleFileError: If a style file is corrupt.
    """

    def __init__(self, styles: Sequence[str], blend: Sequence[float] | None, config: ApplyConfig) -> None:
        require(bool(styles), "No style given.", "Pass at least one with --style.")
        labels = [style_label(name) for name in styles]
        repeated = [label for label, times in Counter(labels).items() if times > 1]
        require(
            not repeated, f"Two styles have the name {''.join(repeated[:1])!r}.", "Leave one out, or rename its file."
        )
        self._files = [load_style_file_by_name(name) for name in styles]
        if blend is not None:
            check_shares(blend, len(styles))
        self._blend = blend
        self._config = config
        self.recipes = Recipes.of(self._files, labels, blend, config)
        mixed = "-".join(labels)
        self.names = list(styles) if blend is None else [mixed]
        self.labels = labels if blend is None else [f"{mixed}{_shares_label(blend)}"]

    @cached_property
    def loaded(self) -> list[Style]:
        """The styles with their engines.

        Raises:
            DeviceUnavailable: If the device is unavailable or out of memory.
        """
        config = self._config
        if self._blend is not None:
            return [
                Style.blended(
                    self._files, self._blend, device=config.device, engine=config.engine, threads=config.threads
                )
            ]
        return [
            Style.from_file(file, device=config.device, engine=config.engine, threads=config.threads)
            for file in self._files
        ]


def _shares_label(shares: Sequence[float]) -> str:
    """Return the shares of a blend in percent, as the end of a file name: `-70-30`; empty if they are equal."""
    if len(set(shares)) == 1:
        return ""
    return "".join(f"-{100 * share / sum(shares):.0f}" for share in shares)
