"""Keep recently used networks loaded, and interrupt them between tiles."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stylekit.engines.blended import BlendedEngine
from stylekit.engines.moments import Moments
from stylekit.engines.protocol import Engine, EngineFacts, Images, UsedStatistics
from stylekit.networks.shapes import NormStatistics
from stylekit.styles.library import read_style
from stylekit.styles.style_file import StyleFile
from stylekit.stylization.style import Style

_MOST_BYTES = 600_000_000
_COPIES = 4  # of the weights that a loaded network keeps, approximately


class Interruptible:
    """An engine that calls a function before each run of another engine; see `Engine`.

    Args:
        engine: The engine to wrap.
        check: Called before each tile; an exception raised here ends the painting.
    """

    def __init__(self, engine: Engine, check: Callable[[], None]) -> None:
        """Wrap the engine."""
        self._engine = engine
        self._check = check

    @property
    def facts(self) -> EngineFacts:
        """See `Engine.facts`."""
        return self._engine.facts

    @property
    def held_bytes(self) -> int:
        """See `Engine.held_bytes`."""
        return self._engine.held_bytes

    def run(self, images: Images) -> Images:
        """See `Engine.run`."""
        self._check()
        return self._engine.run(images)

    def run_after(
        self, image: Images, previous: tuple[UsedStatistics, ...], share: float
    ) -> tuple[Images, tuple[UsedStatistics, ...]]:
        """See `Engine.run_after`."""
        self._check()
        return self._engine.run_after(image, previous, share)

    def moments(self, tile: Images, rows: slice, columns: slice) -> Moments:
        """See `Engine.moments`."""
        self._check()
        return self._engine.moments(tile, rows, columns)

    def with_norm(self, statistics: NormStatistics) -> "Interruptible":
        """See `Engine.with_norm`."""
        return Interruptible(self._engine.with_norm(statistics), self._check)

    def replicas(self) -> "list[Interruptible]":
        """See `Engine.replicas`."""
        return [self]


@dataclass(frozen=True)
class _Network:
    file: StyleFile
    engine: Engine

    @property
    def bytes(self) -> int:
        return _COPIES * sum(array.nbytes for array in self.file.weights.values())


class Networks:
    """The most recently used networks that fit in a fixed amount of memory. Not thread-safe."""

    def __init__(self) -> None:
        """Start with no networks."""
        self._loaded: OrderedDict[tuple[Path, int], _Network] = OrderedDict()

    def load(self, path: Path) -> None:
        """Load the network of a style file.

        Raises:
            StyleFileError: If the file cannot be read.
        """
        self._network(path)

    def style(self, paths: Sequence[Path], shares: Sequence[float] | None, check: Callable[[], None]) -> Style:
        """Return a style, or a blend of several, ready to paint.

        Args:
            paths: The style files.
            shares: The shares of the styles in a blend; None for a single style.
            check: See `Interruptible`.

        Raises:
            StyleFileError: If a file cannot be read.
            DeviceUnavailable: If the device is unavailable or out of memory.
        """
        networks = [self._network(path) for path in paths]
        engine = networks[0].engine
        if shares is not None:
            used = [(network.engine, share) for network, share in zip(networks, shares, strict=True) if share]
            engine = BlendedEngine([engine for engine, _ in used], [share for _, share in used])
        return Style(networks[0].file.metadata, Interruptible(engine, check))

    def _network(self, path: Path) -> _Network:
        key = self._key(path)
        if key not in self._loaded:
            file = read_style(path)
            self._loaded[key] = _Network(file, Style.from_file(file).engine)
        self._loaded.move_to_end(key)
        while len(self._loaded) > 1 and sum(network.bytes for network in self._loaded.values()) > _MOST_BYTES:
            self._loaded.popitem(last=False)
        return self._loaded[key]

    def _key(self, path: Path) -> tuple[Path, int]:
        """Return a key for a file's content, which changes if the style is trained again in the meantime."""
        try:
            return path, path.stat().st_mtime_ns
        except OSError:  # reading the file raises an error with the reason
            return path, 0
