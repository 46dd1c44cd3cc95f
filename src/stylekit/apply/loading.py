"""The photos of a batch, decoded while the network runs on earlier ones."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from stylekit.apply.repeats import ALREADY_PAINTED, Job, Recipes, Skip
from stylekit.errors import ImageError, StylekitError
from stylekit.images.photo import Photo
from stylekit.images.pillow import estimate_pixels
from stylekit.images.reading import load_photo
from stylekit.system.memory import memory_errors
from stylekit.system.prefetch import prefetch

LESS_MEMORY = "Use fewer --jobs, or reduce the photo first."

_THREADS = 2  # that decode if no worker processes do
_BUFFER = 2  # photos decoded beyond the one in the network, or as many as there are worker processes
_MAX_PIXELS = 100_000_000  # of all photos in the buffer, or in a group; a single photo may have more
_MAX_GROUP = 8  # photos of one size that a GPU stylizes together


@dataclass(frozen=True)
class LoadedJob:
    """A job with its decoded photo.

    Attributes:
        job: The job.
        photo: The photo; None if it could not be read, for a video, and if all outputs are skipped.
        error: Why the job fails.
        skips: Why outputs are skipped, by the number of the style.
        notes: What the user may want to know about the input.
    """

    job: Job
    photo: Photo | None = None
    error: StylekitError | None = None
    skips: Mapping[int, Skip] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def wanted(self) -> dict[int, Path]:
        """The outputs to make."""
        return {style: path for style, path in enumerate(self.job.outputs) if style not in self.skips}


def load_groups(
    jobs: Iterable[Job],
    recipes: Recipes,
    *,
    processes: int,
    max_pixels: int,
    max_size: int | None,
    use_groups: Callable[[], bool],
) -> Iterator[list[LoadedJob]]:
    """Yield jobs with their photos, in order; consecutive photos of one size in a group if that is faster.

    Args:
        jobs: The jobs.
        recipes: What the results carry, by which earlier ones are judged.
        processes: Worker processes that decode, so that a photo that crashes its decoder fails alone; 0 uses threads.
        max_pixels: The most pixels a photo can have; see `load_photo`.
        max_size: Longer side in pixels to which larger photos are reduced; None keeps their size.
        use_groups: Called once there is a photo; returns whether several photos in one run of the network are faster.
    """
    loaded_jobs = prefetch(
        partial(_load, recipes=recipes, max_pixels=max_pixels, max_size=max_size),
        jobs,
        workers=processes or _THREADS,
        buffer=max(processes, _BUFFER),
        weight=_pixels_ahead,
        max_weight=_MAX_PIXELS,
        on_crash=_crashed if processes else None,
    )
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
    skips, notes = recipes.judge(job)
    loaded = LoadedJob(job, skips=skips, notes=notes)
    if job.is_video or not loaded.wanted:
        return loaded
    try:
        with memory_errors("cpu", LESS_MEMORY):
            photo = load_photo(job.source, max_pixels=max_pixels, max_size=max_size)
    except StylekitError as error:
        return replace(loaded, error=error)
    return replace(loaded, photo=photo)


def _pixels_ahead(job: Job) -> int:
    """Return about how many pixels are decoded ahead of use: none of a video, whose frames are read as needed."""
    is_decoded = job.error is None and not job.is_video and len(job.existing) < len(job.outputs)
    return estimate_pixels(job.source) if is_decoded else 0


def _crashed(job: Job) -> LoadedJob:
    reason = f"{job.source.name} crashed its decoder: it is corrupt, or memory ran out."
    skips = dict.fromkeys(job.existing, ALREADY_PAINTED)
    return LoadedJob(job, error=ImageError(reason, "Save it again in another program, or reduce it."), skips=skips)


def _largest_group(photo: Photo) -> int:
    return min(_MAX_GROUP, _MAX_PIXELS // photo.pixels[..., 0].size)
