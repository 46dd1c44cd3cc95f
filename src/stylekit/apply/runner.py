"""Carry out a plan: load each style once, and read and write files while the network is running."""

import dataclasses
import errno
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

from stylekit.apply.loading import LESS_MEMORY, Decoder, LoadedJob, load_groups
from stylekit.apply.plan import Plan
from stylekit.apply.repeats import ALREADY_PAINTED, PAINTED_BY_STYLEKIT, Job, Skip
from stylekit.apply.reports import FileReport
from stylekit.apply.style_set import StyleSet
from stylekit.config.apply import ApplyConfig
from stylekit.errors import ImageError, OutputExists, StylekitError
from stylekit.images.formats import format_of_suffix
from stylekit.images.photo import Photo
from stylekit.images.writing import save_photo
from stylekit.system.files import clear_stale
from stylekit.system.locks import locked
from stylekit.system.memory import memory_errors
from stylekit.system.paths import working_folder_error
from stylekit.video.paint import VideoReport, paint_video, probe

_ENCODERS = 2  # threads that encode and write results
_BUFFER = 2  # results that may wait to be written
_LESS_VIDEO = "Use --max-size 1000, or split the video with --start and --end."


class BatchStopped(Exception):
    """A full disk or a deleted working folder prevents the rest of the batch from being written.

    Attributes:
        error: The error to show to the user.
    """

    def __init__(self, error: StylekitError) -> None:
        super().__init__(error.message)
        self.error = error


class PlanRunner:
    """Carries out a plan and reports on each output.

    Args:
        plan: The plan.
        styles: The styles, in the order of the plan's outputs.
        decoder: Loads the photos. Several plans can use the same decoder, one after the other.
        config: The settings.
        on_frame: Called for each frame of a video.

    Attributes:
        last_error: The last failure; None if nothing has failed.
    """

    def __init__(
        self,
        plan: Plan,
        styles: StyleSet,
        decoder: Decoder,
        config: ApplyConfig,
        on_frame: Callable[[VideoReport], None],
    ) -> None:
        self._plan = plan
        self._styles = styles
        self._decoder = decoder
        self._config = config
        self._on_frame = on_frame
        self.last_error: StylekitError | None = None

    def _jobs(self) -> Iterator[Job]:
        for planned in self._plan.inputs:
            existing = (i for i, path in enumerate(planned.outputs) if os.path.lexists(path))
            yield Job(**vars(planned), existing=frozenset() if self._config.overwrite else frozenset(existing))

    def preview(self) -> Generator[FileReport]:
        """Yield a report for each output on what `run` would do."""
        for job in self._jobs():
            skips, notes = ({}, ()) if job.error is not None else self._styles.recipes.judge(job)
            error = job.error or (self._video_error(job) if job.is_video and len(skips) < len(job.outputs) else None)
            for style in range(len(job.outputs)):
                if style in skips:
                    yield self._skipped(job, style, skips[style])
                elif error is not None:
                    yield self._failed(job, style, error)
                else:
                    yield self._report(job, style, "planned", notes=notes)

    def _video_error(self, job: Job) -> StylekitError | None:
        """Return the error raised by reading a video's header, or None."""
        try:
            probe(job.source, self._config)
        except StylekitError as error:
            return error
        return None

    def run(self) -> Generator[FileReport]:
        """Stylize all inputs, and yield a report for each output in order.

        Raises:
            BatchStopped: If the disk fills up or the working folder disappears during a batch. Results that were
                written are reported first.
        """
        for folder in {path.parent for planned in self._plan.inputs for path in planned.outputs}:
            clear_stale(folder)
        with ThreadPoolExecutor(_ENCODERS, thread_name_prefix="encode") as writers:
            pending: deque[Future[FileReport]] = deque()
            end: KeyboardInterrupt | BatchStopped | None = None
            try:
                with closing(self._groups()) as groups:
                    for result in (result for group in groups for result in self._stylize(group, writers)):
                        pending.append(result)
                        while len(pending) > _BUFFER or (pending and pending[0].done()):
                            yield pending.popleft().result()
            except (KeyboardInterrupt, BatchStopped) as caught:
                end = caught  # first finish and report the results that are being written
            for result in pending:
                if isinstance(error := result.exception(), BatchStopped):
                    end = end or error
                else:
                    yield result.result()
            if end is not None:
                raise end

    def _groups(self) -> Generator[list[LoadedJob]]:
        return load_groups(self._jobs(), self._decoder, use_groups=self._is_faster_in_groups)

    def _is_faster_in_groups(self) -> bool:
        return len(self._styles.names) == 1 and self._styles.loaded[0].engine.facts.device != "cpu"

    def _stylize(self, group: list[LoadedJob], writers: ThreadPoolExecutor) -> Iterator[Future[FileReport]]:
        """Stylize a video, or photos of the same size, in each style."""
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
        """Stylize photos of the same size in one style, and hand the results to the writers."""
        photos = [(loaded, loaded.photo) for loaded in group if loaded.photo is not None]
        start = time.monotonic()
        try:
            results = self._styles.loaded[style].stylize_batch([photo.pixels for _, photo in photos], self._config.look)
        except StylekitError as error:
            yield from (_finished(self._failed(loaded.job, style, error)) for loaded in group)
            return
        seconds = (time.monotonic() - start) / len(photos)
        for (loaded, photo), pixels in zip(photos, results, strict=True):
            metadata = dataclasses.replace(
                photo.metadata, recipe=self._styles.recipes.recipe(style, loaded.job.outputs[style])
            )
            notes = (*loaded.notes, *photo.notes)
            result = dataclasses.replace(photo, pixels=pixels, metadata=metadata, notes=notes)
            yield writers.submit(self._save, loaded.job, style, result, seconds)

    def _stylize_video(self, loaded: LoadedJob, style: int) -> FileReport:
        job, path = loaded.job, loaded.job.outputs[style]
        try:
            with (
                locked(path, ImageError, "choose another --output", wait=False) as lock_notes,
                memory_errors("cpu", _LESS_VIDEO),
            ):
                if os.path.lexists(path) and not self._config.overwrite:  # another run has just written the file
                    return self._skipped(job, style, ALREADY_PAINTED)
                video = paint_video(
                    job.source,
                    path,
                    self._styles.loaded[style],
                    self._config,
                    style_key=repr(self._styles.recipes.styles[style]),
                    recipe=self._styles.recipes.recipe(style, path, is_video=True),
                    on_frame=self._on_frame,
                )
        except StylekitError as error:
            return self._failed(job, style, error)
        about = {name: getattr(video, name) for name in ("width", "height", "frames", "seconds")}
        return self._report(job, style, "done", notes=(*loaded.notes, *lock_notes, *video.notes), **about)

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
        except OutputExists:  # another run has just written the file
            return self._skipped(job, style, ALREADY_PAINTED)
        except StylekitError as error:
            return self._failed(job, style, error)
        height, width = result.pixels.shape[:2]
        notes = (*result.notes, *notes)
        return self._report(job, style, "done", width=width, height=height, seconds=seconds, notes=notes)

    def _report(self, job: Job, style: int, status: str, **details: Any) -> FileReport:
        return FileReport(job.source, job.outputs[style], self._styles.names[style], status, **details)

    def _skipped(self, job: Job, style: int, skip: Skip) -> FileReport:
        """Report an output that is not written: as skipped in a batch, as a failure otherwise."""
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
            BatchStopped: If all other files of a batch would fail for the same reason.
        """
        if self._plan.is_batch:
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
                raise BatchStopped(error)
            has_relative_path = not (job.source.is_absolute() and job.outputs[style].is_absolute())
            if has_relative_path and (missing := working_folder_error()) is not None:
                raise BatchStopped(missing)
        self.last_error = error
        return self._report(job, style, "failed", reason=error.message, hint=error.hint)


def _finished(report: FileReport) -> Future[FileReport]:
    """Return a finished future for a report, so the report keeps its place among the pending ones."""
    future: Future[FileReport] = Future()
    future.set_result(report)
    return future
