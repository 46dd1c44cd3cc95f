"""A plan carried out: each style is loaded once, and files are read and written while the network runs."""

import dataclasses
import errno
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import Any

from stylekit.apply.loading import LESS_MEMORY, LoadedJob, load_groups
from stylekit.apply.plan import Plan
from stylekit.apply.repeats import ALREADY_PAINTED, PAINTED_BY_STYLEKIT, Job, Recipes, Skip
from stylekit.apply.reports import FileReport
from stylekit.config.apply import ApplyConfig
from stylekit.errors import ImageError, OutputExists, StylekitError
from stylekit.images.formats import format_of_suffix
from stylekit.images.photo import Photo
from stylekit.images.writing import save_photo
from stylekit.styles.style_file import StyleFile
from stylekit.stylization.style import Style
from stylekit.system.files import clear_stale
from stylekit.system.locks import locked
from stylekit.system.memory import memory_errors
from stylekit.video.paint import VideoReport, paint_video, probe

_ENCODERS = 2  # threads that write results
_BUFFER = 2  # results that wait to be written
_LESS_VIDEO = "Use --max-size 1000, or split the video with --start and --end."


class DiskFull(Exception):
    """The disk is full, which ends a batch.

    Attributes:
        error: What could not be written.
    """

    def __init__(self, error: StylekitError) -> None:
        """Keep the error."""
        super().__init__(error.message)
        self.error = error


class PlanRunner:
    """Carries out a plan and reports on each output.

    Args:
        plan: The plan.
        names: The styles' names in reports, in the order of the plan's outputs.
        files: The style files.
        config: Settings.
        blend: The shares of the style files in a single style; None for one style each.
        recipes: What the results carry, by which earlier ones are judged.
        on_frame: Called for each frame of a video.

    Attributes:
        last_error: The last failure, if any.
    """

    def __init__(
        self,
        plan: Plan,
        names: Sequence[str],
        files: Sequence[StyleFile],
        config: ApplyConfig,
        blend: Sequence[float] | None,
        recipes: Recipes,
        on_frame: Callable[[VideoReport], None],
    ) -> None:
        """Start with nothing done."""
        self._plan = plan
        self._names = names
        self._files = files
        self._config = config
        self._blend = blend
        self._recipes = recipes
        self._on_frame = on_frame
        self.last_error: StylekitError | None = None

    @cached_property
    def _styles(self) -> list[Style]:
        """The styles with their engines, which are loaded only if there is work."""
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

    def _jobs(self) -> Iterator[Job]:
        for planned in self._plan.inputs:
            existing = (i for i, path in enumerate(planned.outputs) if os.path.lexists(path))
            yield Job(**vars(planned), existing=frozenset() if self._config.overwrite else frozenset(existing))

    def preview(self) -> Iterator[FileReport]:
        """Yield a report of what would be done to each output."""
        for job in self._jobs():
            skips, notes = ({}, ()) if job.error is not None else self._recipes.judge(job)
            error = job.error or (self._video_error(job) if job.is_video and len(skips) < len(job.outputs) else None)
            for style in range(len(job.outputs)):
                if style in skips:
                    yield self._skipped(job, style, skips[style])
                elif error is not None:
                    yield self._failed(job, style, error)
                else:
                    yield self._report(job, style, "planned", notes=notes)

    def _video_error(self, job: Job) -> StylekitError | None:
        """Return the error if the header alone shows that a video cannot be stylized."""
        try:
            probe(job.source, self._config)
        except StylekitError as error:
            return error
        return None

    def run(self) -> Iterator[FileReport]:
        """Stylize all inputs, and yield a report of each output in order.

        Raises:
            DiskFull: If the disk fills up during a batch; what could be written is reported first.
        """
        for folder in {path.parent for planned in self._plan.inputs for path in planned.outputs}:
            clear_stale(folder)
        with ThreadPoolExecutor(_ENCODERS, thread_name_prefix="encode") as writers:
            pending: deque[Future[FileReport]] = deque()
            end: KeyboardInterrupt | DiskFull | None = None
            try:
                for group in self._groups():
                    for result in self._stylize(group, writers):
                        pending.append(result)
                        while len(pending) > _BUFFER or (pending and pending[0].done()):
                            yield pending.popleft().result()
            except (KeyboardInterrupt, DiskFull) as caught:
                end = caught  # results that are being written are finished and reported first
            for result in pending:
                if isinstance(error := result.exception(), DiskFull):
                    end = end or error
                else:
                    yield result.result()
            if end is not None:
                raise end

    def _groups(self) -> Iterator[list[LoadedJob]]:
        return load_groups(
            self._jobs(),
            self._recipes,
            processes=self._config.jobs if self._plan.is_batch else 0,
            max_pixels=self._config.max_pixels,
            max_size=self._config.max_size,
            use_groups=lambda: len(self._names) == 1 and self._styles[0].engine.facts.device != "cpu",
        )

    def _stylize(self, group: list[LoadedJob], writers: ThreadPoolExecutor) -> Iterator[Future[FileReport]]:
        """Stylize a video, or photos of one size, in each style."""
        first = group[0]
        for style, skip in first.skips.items():
            yield _finished(self._skipped(first.job, style, skip))
        if first.error is not None:
            yield from (_finished(self._failed(first.job, style, first.error)) for style in first.wanted)
        elif first.job.is_video:
            yield from (_finished(self._stylize_video(first, style)) for style in first.wanted)
        else:
            for style in first.wanted:
                yield from self._stylize_photos(style, group, writers)

    def _stylize_photos(
        self, style: int, group: list[LoadedJob], writers: ThreadPoolExecutor
    ) -> Iterator[Future[FileReport]]:
        """Stylize photos of one size in one style, and have the results written."""
        photos = [(loaded, loaded.photo) for loaded in group if loaded.photo is not None]
        start = time.monotonic()
        try:
            results = self._styles[style].stylize_batch([photo.pixels for _, photo in photos], self._config.look)
        except StylekitError as error:
            yield from (_finished(self._failed(loaded.job, style, error)) for loaded in group)
            return
        seconds = (time.monotonic() - start) / len(photos)
        for (loaded, photo), pixels in zip(photos, results, strict=True):
            metadata = dataclasses.replace(
                photo.metadata, recipe=self._recipes.recipe(style, loaded.job.outputs[style])
            )
            notes = (*loaded.notes, *photo.notes)
            result = dataclasses.replace(photo, pixels=pixels, metadata=metadata, notes=notes)
            yield writers.submit(self._save, loaded.job, style, result, seconds)

    def _stylize_video(self, loaded: LoadedJob, style: int) -> FileReport:
        job, path = loaded.job, loaded.job.outputs[style]
        try:
            with locked(path, ImageError, "choose another --output", wait=False), memory_errors("cpu", _LESS_VIDEO):
                if os.path.lexists(path) and not self._config.overwrite:  # another run has just written it
                    return self._skipped(job, style, ALREADY_PAINTED)
                video = paint_video(
                    job.source,
                    path,
                    self._styles[style],
                    self._config,
                    style_key=repr(self._recipes.styles[style]),
                    recipe=self._recipes.recipe(style, path, is_video=True),
                    on_frame=self._on_frame,
                )
        except StylekitError as error:
            return self._failed(job, style, error)
        about = {name: getattr(video, name) for name in ("width", "height", "frames", "seconds")}
        return self._report(job, style, "done", notes=(*loaded.notes, *video.notes), **about)

    def _save(self, job: Job, style: int, result: Photo, seconds: float) -> FileReport:
        config, path = self._config, job.outputs[style]
        try:
            with memory_errors("cpu", LESS_MEMORY):
                notes = save_photo(
                    result,
                    path,
                    format=format_of_suffix(path.suffix),
                    quality=config.quality,
                    strip_metadata=config.strip_metadata,
                    overwrite=config.overwrite,
                )
        except OutputExists:  # another run has just written it
            return self._skipped(job, style, ALREADY_PAINTED)
        except StylekitError as error:
            return self._failed(job, style, error)
        height, width = result.pixels.shape[:2]
        notes = (*result.notes, *notes)
        return self._report(job, style, "done", width=width, height=height, seconds=seconds, notes=notes)

    def _report(self, job: Job, style: int, status: str, **details: Any) -> FileReport:
        return FileReport(job.source, job.outputs[style], self._names[style], status, **details)

    def _skipped(self, job: Job, style: int, skip: Skip) -> FileReport:
        """Report an output that is not made: skipped in a batch, else a failure."""
        if self._plan.is_batch:
            return self._report(job, style, "skipped", reason=skip.reason, hint=skip.hint)
        if skip == PAINTED_BY_STYLEKIT:
            message = f"{job.source.name} was painted by stylekit in this style."
            return self._failed(job, style, ImageError(message, "Use --again to paint it again."))
        hint = "Use --overwrite to replace it, or choose another --output."
        return self._failed(job, style, OutputExists(f"{job.outputs[style]} already exists.", hint))

    def _failed(self, job: Job, style: int, error: StylekitError) -> FileReport:
        """Report a failure.

        Raises:
            DiskFull: If that is the reason, in a batch.
        """
        cause = error.__cause__
        if self._plan.is_batch and isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(error)
        self.last_error = error
        return self._report(job, style, "failed", reason=error.message, hint=error.hint)


def _finished(report: FileReport) -> Future[FileReport]:
    """Return a report as the result of a future, to wait in line with those that are being written."""
    future: Future[FileReport] = Future()
    future.set_result(report)
    return future
