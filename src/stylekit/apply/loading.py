"""Decode the photos of a batch while the network is running on earlier photos."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from stylekit.apply.repeats import ALREADY_PAINTED, Job, Recipes, Skip
from stylekit.config.apply import ApplyConfig
from stylekit.errors import ImageError, StylekitError
from stylekit.images.photo import Photo
from stylekit.images.pillow import estimate_pixels
from stylekit.images.reading import load_photo
from stylekit.system.memory import memory_errors
from stylekit.system.prefetch import prefetch

LESS_MEMORY = "Use fewer --jobs, or reduce the photo first."

_THREADS = 2  # for decoding without worker processes
_BUFFER = 2  # number of photos to decode ahead of the network, or the number of worker processes if that is larger
_MAX_PIXELS = 100_000_000  # of all photos in the buffer or in a group; a single photo may have more
_MAX_GROUP = 8  # photos of the same size that a GPU stylizes at once


@dataclass(frozen=True)
class LoadedJob:
    """A job with its decoded photo.

    Attributes:
        job: The job.
        photo: The photo; None for a video, if the photo could not be read, or if all outputs are skipped.
        error: The error with which the job fails; None if it succeeded so far.
        skips: The outputs to skip, as the indices of their styles, with the reasons.
        notes: Remarks about the input for the user.
    """

    job: Job
    photo: Photo | None = None
    error: StylekitError | None = None
    skips: Mapping[int, Skip] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def wanted(self) -> dict[int, Path]:
        """The paths of the outputs to write, by the index of the style."""
        return {style: path for style, path in enumerate(self.job.outputs) if style not in self.skips}


class Decoder:
    """Loads jobs in worker processes or in threads. A photo that crashes a worker process fails alone.

    The processes start with the first photos, and keep running between batches until `close` is called.

    Args:
        recipes: The recipes of this run, to compare with those of existing outputs.
        config: The settings.
        processes: The number of worker processes; 0 decodes in threads.

    Attributes:
        workers: The number of photos to decode at the same time.
        buffer: The number of photos to decode ahead of the network.
    """

    def __init__(self, recipes: Recipes, config: ApplyConfig, processes: int) -> None:
        self.workers = processes or _THREADS
        self.buffer = max(processes, _BUFFER)
        self._close: Callable[[], None] = lambda: None
        self._load: Callable[[Job], LoadedJob] = partial(
            _load, recipes=recipes, max_pixels=config.max_pixels, max_size=config.max_size
        )
        if processes:
            from stylekit.system.processes import WorkerPool  # takes 15 ms, and a single photo needs no pool

            pool = WorkerPool(self._load, _crashed)
            self._load, self._close = pool, pool.close

    def load(self, job: Job) -> LoadedJob:
        """Decode the photo of a job, unless all of its outputs are skipped."""
        return self._load(job)

    def close(self) -> None:
        """Stop the worker processes, all of which must be idle."""
        self._close()


def load_groups(jobs: Iterable[Job], decoder: Decoder, *, use_groups: Callable[[], bool]) -> Generator[list[LoadedJob]]:
    """Yield jobs with their photos, in order. Consecutive photos of the same size form a group if that is faster.

    Args:
        jobs: The jobs.
        decoder: The decoder that loads the jobs.
        use_groups: Called when a photo is ready; returns whether the network is faster on several photos at once.
    """
    loaded_jobs = prefetch(
        decoder.load,
        jobs,
        workers=decoder.workers,
        buffer=decoder.buffer,
        weight=_pixels_ahead,
        max_weight=_MAX_PIXELS,
    )
    with closing(loaded_jobs):
        yield from _grouped(loaded_jobs, use_groups)


def _grouped(loaded_jobs: Iterable[LoadedJob], use_groups: Callable[[], bool]) -> Iterator[list[LoadedJob]]:
    group: list[LoadedJob] = []
    shape: tuple[int, ...] | None = None
    for loaded in loaded_jobs:
        previous_shape, shape = shape, None if loaded.photo is None else loaded.photo.pixels.shape
        if group and shape != previous_shape:
            yield group
            group = []
        group.append(loaded)
        if loaded.photo is None or not use_groups() or len(group) >= _largest_group(loaded.photo):
            yield group
            group = []
    if group:
        yield group


def _load(job: Job, *, recipes: Recipes, max_pixels: int, max_size: int | None) -> LoadedJob:
    if job.error is not None:
        return LoadedJob(job, error=job.error)
    loaded = LoadedJob(job)
    try:
        skips, notes = recipes.judge(job)
        loaded = LoadedJob(job, skips=skips, notes=notes)
        if job.is_video or not loaded.wanted:
            return loaded
        with memory_errors("cpu", LESS_MEMORY):
            return replace(loaded, photo=load_photo(job.source, max_pixels=max_pixels, max_size=max_size))
    except StylekitError as error:
        return replace(loaded, error=error)


def _pixels_ahead(job: Job) -> int:
    """Return roughly how many pixels are decoded to load a job; 0 for a video, whose frames are decoded later."""
    is_decoded = job.error is None and not job.is_video and len(job.existing) < len(job.outputs)
    return estimate_pixels(job.source) if is_decoded else 0


def _crashed(job: Job) -> LoadedJob:
    reason = f"{job.source.name} crashed or blocked its decoder: it is corrupt, or memory ran out."
    skips = dict.fromkeys(job.existing, ALREADY_PAINTED)
    return LoadedJob(job, error=ImageError(reason, "Save it again in another program, or scale it down."), skips=skips)


def _largest_group(photo: Photo) -> int:
    return min(_MAX_GROUP, _MAX_PIXELS // photo.pixels[..., 0].size)
