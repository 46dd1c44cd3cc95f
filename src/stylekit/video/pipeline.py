"""Frames through the stages of painting."""

import dataclasses
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from queue import SimpleQueue

from stylekit.config.apply import ApplyConfig
from stylekit.engines.protocol import UsedStatistics
from stylekit.engines.smoothed import SmoothedEngine
from stylekit.errors import ImageError
from stylekit.images.pixels import Pixels
from stylekit.stylization.style import Style
from stylekit.system.prefetch import ahead, prefetch
from stylekit.video.frames import Frame
from stylekit.video.segments import Memory
from stylekit.video.steadiness import Change, steadied, watched

_AHEAD = 2  # frames that wait between two stages


@dataclass(frozen=True)
class _Painted:
    """A frame that is painted, with what the next one goes on from."""

    time: int
    picture: Pixels
    alpha: Pixels | None
    memory: Memory


def _one_or_more(frames: Iterator[Frame], name: str) -> Iterator[Frame]:
    """Pass frames on; none at all are an error."""
    first = next(frames, None)
    if first is None:
        raise ImageError(f"{name} has no frames in that time.", "Check --start and --end.")
    yield first
    yield from frames


def _painted(
    frames: Iterator[Frame], style: Style, config: ApplyConfig, count: Callable[[_Painted], None], memory: Memory
) -> Generator[_Painted]:
    """Paint frames: while one is read, others are compared, stylised, steadied and written."""
    wanted = ahead(islice(frames, memory.frames, None), _AHEAD)
    changes = ahead(_changes(wanted, memory.seen, config.steady), _AHEAD)
    stylized = ahead(_stylized(changes, style, config, memory.statistics), _AHEAD)
    with closing(ahead(_kept(stylized, memory), _AHEAD)) as pictures:
        for painted in pictures:
            yield painted
            count(painted)


def _changes(frames: Iterable[Frame], seen: Pixels | None, steady: float) -> Iterator[tuple[Frame, Change | None]]:
    """Compare each frame with those before."""
    for frame in frames:
        if frame.pixels is None or not steady:
            yield frame, None
            continue
        change = watched(frame.pixels, seen, steady)
        seen = change.seen
        yield frame, change


_Stylized = tuple[Frame, Change | None, Pixels | None, tuple[UsedStatistics, ...]]


def _stylized(
    changes: Iterable[tuple[Frame, Change | None]],
    style: Style,
    config: ApplyConfig,
    statistics: tuple[UsedStatistics, ...],
) -> Iterator[_Stylized]:
    """Stylise frames; those that repeat the one before have no picture."""
    return _smoothly(changes, style, config, statistics) if config.steady else _each(changes, style, config)


def _smoothly(
    changes: Iterable[tuple[Frame, Change | None]],
    style: Style,
    config: ApplyConfig,
    statistics: tuple[UsedStatistics, ...],
) -> Iterator[_Stylized]:
    """Stylise frames one after another, each with statistics that follow from those of the last."""
    engine = SmoothedEngine(style.engine, config.steady, statistics)
    style = Style(style.metadata, engine)
    for frame, change in changes:
        if change is not None and change.is_cut:
            engine.forget()
        yield _without_pixels(frame), change, _stylize(frame, style, config), engine.last


def _each(changes: Iterable[tuple[Frame, Change | None]], style: Style, config: ApplyConfig) -> Iterator[_Stylized]:
    """Stylise frames of which none follows from the last, and so several at the same time."""
    idle: SimpleQueue[Style] = SimpleQueue()
    engines = style.engine.replicas()
    for engine in engines:
        idle.put(Style(style.metadata, engine))

    def stylized(item: tuple[Frame, Change | None]) -> _Stylized:
        mine = idle.get()
        try:
            frame, change = item
            return _without_pixels(frame), change, _stylize(frame, mine, config), ()
        finally:
            idle.put(mine)

    with closing(prefetch(stylized, changes, workers=len(engines), ahead=len(engines))) as frames:
        yield from frames


def _without_pixels(frame: Frame) -> Frame:
    """What is still wanted of a frame once it is stylised."""
    return dataclasses.replace(frame, pixels=None)


def _stylize(frame: Frame, style: Style, config: ApplyConfig) -> Pixels | None:
    if frame.pixels is None:
        return None
    return style.stylize(
        frame.pixels,
        stroke_size=config.stroke_size,
        strength=config.strength,
        keep_colors=config.keep_colors,
        tile=config.tile,
    )


def _kept(stylized: Iterable[_Stylized], memory: Memory) -> Iterator[_Painted]:
    """Keep of the last picture what has not changed."""
    picture, alpha = memory.picture, memory.alpha
    for frame, change, new, statistics in stylized:
        if new is not None:
            alpha = frame.alpha
            picture = new if change is None else steadied(new, picture, change)
        assert picture is not None  # no video begins with a frame that repeats the one before
        memory = Memory(
            picture,
            seen=memory.seen if change is None else change.seen,
            statistics=statistics,
            frames=memory.frames + 1,
            broken=memory.broken + frame.is_broken,
            end=frame.time + frame.duration,
            alpha=alpha,
        )
        yield _Painted(frame.time, picture, alpha, memory)
