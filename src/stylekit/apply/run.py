"""Photos and videos to stylised ones: one style load for all, decoding and encoding beside the network."""

import dataclasses
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from stylekit.apply.plan import Plan, plan_outputs
from stylekit.apply.reports import BatchReport, FileReport
from stylekit.config.apply import ApplyConfig
from stylekit.config.checks import check_shares
from stylekit.errors import ConfigError, ImageError, OutputExists, StylekitError
from stylekit.images.formats import format_of_suffix
from stylekit.images.photo import Photo
from stylekit.images.pillow import estimate_pixels
from stylekit.images.pixels import Pixels
from stylekit.images.reading import load_photo
from stylekit.images.writing import save_photo
from stylekit.styles.library import load_style_file_by_name
from stylekit.styles.names import style_label
from stylekit.styles.style_file import StyleFile, weights_hash
from stylekit.stylization.style import Style
from stylekit.system.distributed import ALONE, World
from stylekit.system.files import clear_stale
from stylekit.system.memory import memory_errors
from stylekit.system.prefetch import prefetch
from stylekit.video.claims import claim
from stylekit.video.paint import VideoReport, paint_video, probe

_WORKERS = 2  # threads that decode where no processes do, and as many that encode
_TOGETHER = 8  # photos of one size that a GPU paints at once
_MOST_PIXELS = 100_000_000  # decoded ahead, or painted together, unless it is a single photo
_LESS_MEMORY = "Use fewer --jobs, or reduce the photo first."
_AHEAD = 2  # photos decoded, and results waiting to be written, beyond the one in the network


def apply_styles(
    inputs: Sequence[Path | str],
    output: Path | str | None,
    styles: Sequence[str],
    config: ApplyConfig | None = None,
    *,
    blend: Sequence[float] | None = None,
    dry_run: bool = False,
    world: World = ALONE,
    on_plan: Callable[[int, bool], None] = lambda outputs, is_batch: None,
    on_file: Callable[[FileReport], None] = lambda report: None,
    on_frame: Callable[[VideoReport], None] = lambda report: None,
) -> BatchReport:
    """Stylise photos and videos, and folders of them.

    In a batch (a folder, or more than one output) a bad photo costs only itself, and outputs that exist are skipped,
    so that a broken batch goes on when it is run again. A single photo's failure is raised.

    Args:
        inputs: photos, videos and folders.
        output: the result's file (one input, one style) or the results' folder; None puts results beside photos, videos
            and folders.
        styles: names, or paths to style files or importable weights.
        config: settings.
        blend: shares in which the styles are mixed into one; None applies each by itself.
        dry_run: whether to report what would be done and do nothing.
        world: processes that share photos and videos out among themselves; each takes, and reports, its share.
        on_plan: called once with the number of outputs, and whether they are a batch.
        on_file: called for each output once it is done, skipped or failed; a single photo's failure is raised then.
        on_frame: called for each frame of a video.

    Raises:
        ConfigError: if two outputs would collide, an output would replace its photo, or a blend's shares make no sense.
        StyleNotFound, StyleFileError: if a style is missing or damaged.
        DeviceUnavailable: if the device is missing or full.
        ImageError, OutOfMemory, OutputExists: if a single photo or video fails.
    """
    config = config or ApplyConfig()
    began = time.monotonic()
    labels, names = [style_label(style) for style in styles], list(styles)
    if repeated := [label for label, times in Counter(labels).items() if times > 1]:
        raise ConfigError(f"Two styles are called {repeated[0]}.", "Name each once, or rename one of the files.")
    files = [load_style_file_by_name(style) for style in styles]
    if blend is not None:
        check_shares(blend, len(styles))
        labels = names = ["-".join(labels)]
    plan = plan_outputs([Path(path) for path in inputs], Path(output) if output else None, labels, config)
    if world.is_shared:
        plan = plan.share(world.rank, world.size)
    run = _Run(plan, names, files, config, blend, on_frame)
    on_plan(sum(len(photo.outputs) for photo in plan.photos), plan.is_batch)
    reports = []
    for report in run.preview() if dry_run else run.execute():
        reports.append(report)
        on_file(report)
    if run.failure is not None and not plan.is_batch:
        raise run.failure
    return BatchReport(tuple(reports), time.monotonic() - began)


@dataclass(frozen=True)
class _Job:
    """A photo or video with the outputs that are wanted of it, and those that are there already, by style's number."""

    source: Path
    is_video: bool
    wanted: dict[int, Path]
    existing: dict[int, Path]


_Loaded = tuple[_Job, Photo | StylekitError | None]


def _load(job: _Job, *, max_pixels: int, max_size: int | None) -> _Loaded:
    if job.is_video or not job.wanted:
        return job, None
    try:
        with memory_errors("cpu", _LESS_MEMORY):
            return job, load_photo(job.source, max_pixels=max_pixels, max_size=max_size)
    except StylekitError as error:
        return job, error


def _weight(job: _Job) -> int:
    # A video is not loaded ahead: it is read frame by frame as it is painted.
    return estimate_pixels(job.source) if job.wanted and not job.is_video else 0


def _pixels(loaded: _Loaded) -> Pixels:
    assert isinstance(loaded[1], Photo)
    return loaded[1].pixels


def _died(job: _Job) -> _Loaded:
    reason = f"{job.source.name} brought its decoder down"
    return job, ImageError(f"{reason}: it is damaged, or there is too little memory.", "Save it anew, or reduce it.")


class _Run:
    """A plan being carried out."""

    def __init__(
        self,
        plan: Plan,
        names: list[str],
        files: list[StyleFile],
        config: ApplyConfig,
        blend: Sequence[float] | None,
        on_frame: Callable[[VideoReport], None],
    ) -> None:
        self._plan = plan
        self._names = names
        self._files = files
        self._config = config
        self._blend = blend
        self._on_frame = on_frame
        self.failure: StylekitError | None = None  # the last

    @cached_property
    def _styles(self) -> list[Style]:
        """The styles with their engines, made only once there is work."""
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

    def _jobs(self) -> Iterator[_Job]:
        for photo in self._plan.photos:
            outputs = dict(enumerate(photo.outputs))
            existing = {i: path for i, path in outputs.items() if os.path.lexists(path) and not self._config.overwrite}
            wanted = {i: path for i, path in outputs.items() if i not in existing}
            yield _Job(photo.source, photo.is_video, wanted, existing)

    def preview(self) -> Iterator[FileReport]:
        """Say what would be done."""
        for job in self._jobs():
            failure = self._video_failure(job) if job.is_video and job.wanted else None
            for number, path in sorted((job.wanted | job.existing).items()):
                if number in job.existing:
                    yield self._skipped(job, number, path)
                elif failure is not None:
                    yield self._failed(job, number, path, failure)
                else:
                    yield self._report(job, number, path, "planned")

    def _video_failure(self, job: _Job) -> StylekitError | None:
        """Tell why a video cannot be painted, as far as a look at its file tells."""
        try:
            probe(job.source, self._config)
        except StylekitError as error:
            return error
        return None

    def execute(self) -> Iterator[FileReport]:
        """Do it."""
        for folder in {path.parent for photo in self._plan.photos for path in photo.outputs}:
            clear_stale(folder)
        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="encode") as writers:
            pending: deque[Future[FileReport]] = deque()
            interruption: KeyboardInterrupt | None = None
            try:
                for group in self._groups():
                    for result in self._paint(group, writers):
                        pending.append(result)
                        while len(pending) > _AHEAD or (pending and pending[0].done()):
                            yield pending.popleft().result()
            except KeyboardInterrupt as caught:
                interruption = caught  # what is being written will be whole, and is reported
            while pending:
                yield pending.popleft().result()
            if interruption is not None:
                raise interruption

    def _loaded(self) -> Iterator["_Loaded"]:
        load = partial(_load, max_pixels=self._config.max_pixels, max_size=self._config.max_size)
        jobs = self._config.jobs if self._plan.is_batch else 0
        return prefetch(
            load,
            self._jobs(),
            workers=jobs or _WORKERS,
            ahead=max(jobs, _AHEAD),
            weight=_weight,
            most_weight=_MOST_PIXELS,
            on_crash=_died if jobs else None,
        )

    def _groups(self) -> Iterator[list[_Loaded]]:
        """What has been loaded; photos of one size that come one after another together, where that is faster."""
        group: list[_Loaded] = []
        for job, photo in self._loaded():
            if group and (not isinstance(photo, Photo) or _pixels(group[0]).shape != photo.pixels.shape):
                yield group
                group = []
            group.append((job, photo))
            if not isinstance(photo, Photo) or len(group) >= self._most_together(photo):
                yield group
                group = []
        if group:
            yield group

    def _most_together(self, photo: Photo) -> int:
        alone = len(self._names) > 1 or self._styles[0].engine.device == "cpu"
        return 1 if alone else min(_TOGETHER, _MOST_PIXELS // photo.pixels[..., 0].size)

    def _paint(self, group: list[_Loaded], writers: ThreadPoolExecutor) -> Iterator[Future[FileReport]]:
        job, photo = group[0]
        for number, path in job.existing.items():
            yield _finished(self._skipped(job, number, path))
        if job.is_video:
            yield from (_finished(self._paint_video(job, number, path)) for number, path in job.wanted.items())
        elif isinstance(photo, Photo):
            for number in job.wanted:
                yield from self._paint_in(number, group, writers)
        elif photo is not None:
            yield from (_finished(self._failed(job, number, path, photo)) for number, path in job.wanted.items())

    def _paint_in(self, number: int, group: list[_Loaded], writers: ThreadPoolExecutor) -> Iterator[Future[FileReport]]:
        """Paint a group of photos in one of the styles."""
        began = time.monotonic()
        try:
            pictures = self._styles[number].stylize_together(
                [_pixels(loaded) for loaded in group],
                stroke_size=self._config.stroke_size,
                strength=self._config.strength,
                keep_colors=self._config.keep_colors,
                tile=self._config.tile,
            )
        except StylekitError as error:
            yield from (_finished(self._failed(job, number, job.wanted[number], error)) for job, _ in group)
            return
        seconds = (time.monotonic() - began) / len(group)
        for (job, photo), pixels in zip(group, pictures, strict=True):
            assert isinstance(photo, Photo)
            picture = dataclasses.replace(photo, pixels=pixels)
            yield writers.submit(self._save, job, number, job.wanted[number], picture, seconds)

    def _paint_video(self, job: _Job, number: int, path: Path) -> FileReport:
        files = [self._files[number]] if self._blend is None else self._files
        key = repr(([weights_hash(file.weights) for file in files], self._blend))
        try:
            with claim(path), memory_errors("cpu", "Use --max-size 1000, or take the video in parts: --start, --end."):
                if os.path.lexists(path) and not self._config.overwrite:  # another run has painted it meanwhile
                    return self._skipped(job, number, path)
                video = paint_video(
                    job.source, path, self._styles[number], self._config, style_key=key, on_frame=self._on_frame
                )
        except StylekitError as error:
            return self._failed(job, number, path, error)
        report = self._report(job, number, path, "done")
        return dataclasses.replace(
            report,
            width=video.width,
            height=video.height,
            frames=video.frames,
            seconds=video.seconds,
            notes=video.notes,
        )

    def _save(self, job: _Job, number: int, path: Path, picture: Photo, seconds: float) -> FileReport:
        config = self._config
        try:
            with memory_errors("cpu", _LESS_MEMORY):
                notes = save_photo(
                    picture,
                    path,
                    format=format_of_suffix(path.suffix),
                    quality=config.quality,
                    strip_metadata=config.strip_metadata,
                    overwrite=config.overwrite,
                )
        except OutputExists:
            return self._skipped(job, number, path)  # another run has painted it meanwhile
        except StylekitError as error:
            return self._failed(job, number, path, error)
        height, width = picture.pixels.shape[:2]
        report = self._report(job, number, path, "done")
        return dataclasses.replace(report, width=width, height=height, seconds=seconds, notes=(*picture.notes, *notes))

    def _report(self, job: _Job, number: int, path: Path, status: str) -> FileReport:
        return FileReport(job.source, path, self._names[number], status)

    def _skipped(self, job: _Job, number: int, path: Path) -> FileReport:
        """Report a result that was there already, which in a batch is no failure."""
        if self._plan.is_batch:
            return self._report(job, number, path, "skipped")
        hint = "Replace it with --overwrite, or choose another --output."
        return self._failed(job, number, path, OutputExists(f"{path} exists already.", hint))

    def _failed(self, job: _Job, number: int, path: Path, error: StylekitError) -> FileReport:
        """Report a failure."""
        self.failure = error
        report = self._report(job, number, path, "failed")
        return dataclasses.replace(report, reason=error.message, hint=error.hint)


def _finished(report: FileReport) -> Future[FileReport]:
    future: Future[FileReport] = Future()
    future.set_result(report)
    return future
