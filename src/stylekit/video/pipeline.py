"""The stages of painting a video: frames are read, compared, stylized and steadied in separate threads."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from queue import SimpleQueue

from stylekit.config.apply import ApplyConfig
from stylekit.engines.protocol import UsedStatistics
from stylekit.engines.smoothed import SmoothedEngine
from stylekit.errors import ImageError
from stylekit.images.pixels import Pixels
from stylekit.stylization.style import Style
from stylekit.system.prefetch import buffered, prefetch
from stylekit.video.frames import Frame
from stylekit.video.segments import PaintState
from stylekit.video.steadiness import Change, compare_frame, keep_still_parts

_BUFFER = 2  # frames that wait between two stages

# The change is None if frames are not compared; it and the image are None if the frame repeats the previous one.
_Compared = tuple[Frame, Change | None]
_Stylized = tuple[Frame, Change | None, Pixels | None, tuple[UsedStatistics, ...]]


@dataclass(frozen=True)
class PaintedFrame:
    """A painted frame.

    Attributes:
        time: When it is shown, in units of the result's `time_base`.
        image: `(H, W, 3)` RGB.
        state: The state from which the next frame is painted.
    """

    time: int
    image: Pixels
    state: PaintState

    @property
    def alpha(self) -> Pixels | None:
        """`(H, W)`, 0 is transparent; None if the frame is opaque."""
        return self.state.alpha


def require_frames(frames: Iterator[Frame], name: str) -> Iterator[Frame]:
    """Yield a video's frames; raise an error if there are none.

    Args:
        frames: The frames.
        name: The video's name in the error.

    Raises:
        ImageError: If there are no frames.
    """
    first = next(frames, None)
    if first is None:
        raise ImageError(f"{name} has no frames between --start and --end.", "Check --start and --end.")
    yield first
    yield from frames


def paint_frames(
    frames: Iterator[Frame],
    style: Style,
    config: ApplyConfig,
    state: PaintState,
    on_frame: Callable[[PaintState], None],
) -> Generator[PaintedFrame]:
    """Yield painted frames; while the caller uses a frame, the next ones are read, compared, stylized and steadied.

    Args:
        frames: The frames that have not been painted.
        style: The style.
        config: The settings.
        state: The state after the frames that have been painted.
        on_frame: Called with the new state after each frame has been used.
    """
    compared = buffered(_compare(buffered(frames, _BUFFER), state.reference, config.steady), _BUFFER)
    stylize = _stylize_in_turn(compared, style, config, state) if config.steady else _stylize(compared, style, config)
    with closing(buffered(_steady(buffered(stylize, _BUFFER), state), _BUFFER)) as painted_frames:
        for painted in painted_frames:
            yield painted
            on_frame(painted.state)


def _compare(frames: Iterable[Frame], reference: Pixels | None, steady: float) -> Iterator[_Compared]:
    """Compare each frame with the previous ones."""
    for frame in frames:
        if frame.pixels is None or not steady:
            yield frame, None
            continue
        change = compare_frame(frame.pixels, reference, steady)
        reference = change.reference
        yield frame, change


def _stylize_in_turn(
    compared: Iterable[_Compared], style: Style, config: ApplyConfig, state: PaintState
) -> Iterator[_Stylized]:
    """Stylize frames one after another, with normalization statistics that change slowly from frame to frame."""
    engine = SmoothedEngine(style.engine, config.steady, state.statistics)
    smoothed = Style(style.metadata, engine)
    for frame, change in compared:
        if change is not None and change.is_cut:
            engine.forget()
        image = _image(frame, smoothed, config)
        yield frame.without_pixels(), change, image, engine.statistics


def _stylize(compared: Iterable[_Compared], style: Style, config: ApplyConfig) -> Iterator[_Stylized]:
    """Stylize frames independently, several at the same time."""
    idle: SimpleQueue[Style] = SimpleQueue()
    engines = style.engine.replicas()
    for engine in engines:
        idle.put(Style(style.metadata, engine))

    def stylize(item: _Compared) -> _Stylized:
        frame, change = item
        replica = idle.get()
        try:
            return frame.without_pixels(), change, _image(frame, replica, config), ()
        finally:
            idle.put(replica)

    with closing(prefetch(stylize, compared, workers=len(engines), buffer=len(engines))) as stylized:
        yield from stylized


def _image(frame: Frame, style: Style, config: ApplyConfig) -> Pixels | None:
    """Return a frame's stylized image; None if the frame repeats the previous one."""
    return None if frame.pixels is None else style.stylize_batch([frame.pixels], config.look)[0]


def _steady(stylized: Iterable[_Stylized], state: PaintState) -> Iterator[PaintedFrame]:
    """Keep the parts of the previous result in which the scene has not changed."""
    image, alpha, origin = state.image, state.alpha, state.origin
    for frame, change, new, statistics in stylized:
        if new is not None:
            alpha = frame.alpha
            origin = None if frame.checksum is None else (frame.time, frame.checksum)
            image = new if change is None else keep_still_parts(new, image, change)
        assert image is not None  # the first frame of a video never repeats a previous one
        state = PaintState(
            image,
            reference=state.reference if change is None else change.reference,
            statistics=statistics,
            frames=state.frames + 1,
            broken=state.broken + frame.is_broken,
            transparent=state.transparent + (alpha is not None and bool((alpha < 255).any())),
            end=frame.time + frame.duration,
            alpha=alpha,
            origin=origin,
        )
        yield PaintedFrame(frame.time, image, state)
