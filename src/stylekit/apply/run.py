"""`apply_styles`, which stylizes photos, videos and folders."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from stylekit.apply.loading import Decoder
from stylekit.apply.plan import plan_outputs
from stylekit.apply.reports import BatchReport, FileReport
from stylekit.apply.runner import BatchStopped, PlanRunner
from stylekit.apply.style_set import StyleSet
from stylekit.config.apply import ApplyConfig
from stylekit.errors import StylekitError
from stylekit.system.distributed import ALONE, World
from stylekit.system.paths import working_folder_errors
from stylekit.video.paint import VideoReport


def apply_styles(
    inputs: Sequence[Path | str] | Path | str,
    output: Path | str | None,
    styles: Sequence[Path | str] | Path | str,
    config: ApplyConfig | None = None,
    *,
    blend: Sequence[float] | None = None,
    dry_run: bool = False,
    world: World = ALONE,
    on_plan: Callable[[int, bool], None] = lambda outputs, is_batch: None,
    on_file: Callable[[FileReport], None] = lambda report: None,
    on_frame: Callable[[VideoReport], None] = lambda report: None,
) -> BatchReport:
    """Stylize photos, videos, and folders that contain them.

    A call with a folder, or with more than one output, is a batch. In a batch, a file that fails does not stop the
    others, and existing outputs are skipped, so running an interrupted batch again resumes it. Only a full disk or a
    deleted working folder ends a batch early; see `BatchReport.error`. Outside a batch, a failure is raised.

    Each result stores its recipe: the styles and settings that made it. If an output is skipped, the report compares
    its recipe with the current settings. Inputs that have a recipe are paintings by stylekit. Unless `config.again` is
    set, they are skipped in folders, and a painting is never stylized in its own style.

    Args:
        inputs: One or more photos, videos or folders.
        output: The file of the result (for one input and one style), or the folder of the results. A string that ends
            in `/` is always a folder. None puts results beside their inputs.
        styles: One or more styles, each a name, or the path of a style file or of importable weights.
        config: The settings; None uses the defaults.
        blend: The share of each style in a blend of all styles; None applies each style separately.
        dry_run: Whether to report what would be done without doing it.
        world: The processes that share the batch. Each process handles and reports only its share of the inputs.
        on_plan: Called once with the number of outputs, and whether the call is a batch.
        on_file: Called for each output once it is done, skipped or failed. Outside a batch, the call precedes the
            exception.
        on_frame: Called for each frame of a video.

    Returns:
        A report with an entry for every output.

    Raises:
        ConfigError: If `output` has a file's suffix but several results need a folder, an output would overwrite an
            input, two styles have the same name, or the shares of `blend` are invalid.
        StyleNotFound: If a style does not exist.
        StyleFileError: If a style file is corrupt.
        DeviceUnavailable: If the device is unavailable or out of memory.
        ImageError: If no inputs are found. Outside a batch, also if the input cannot be read or the output cannot be
            written.
        OutOfMemory: If memory runs out outside a batch.
        OutputExists: If the output exists outside a batch and `config.overwrite` is false.
        StylekitError: If the working folder was deleted, and a path is relative or a batch starts.
    """
    config = config or ApplyConfig()
    start = time.monotonic()
    style_set = StyleSet([str(style) for style in as_list(styles)], blend, config)
    with working_folder_errors():
        plan = plan_outputs([Path(path) for path in as_list(inputs)], output or None, style_set.labels, config)
    if world.is_distributed:
        plan = plan.share(world.rank, world.size)
    on_plan(sum(len(planned.outputs) for planned in plan.inputs), plan.is_batch)
    error: StylekitError | None = None
    decoder = Decoder(style_set.recipes, config, processes=config.jobs if plan.is_batch else 0)
    runner = PlanRunner(plan, style_set, decoder, config, on_frame)
    reports = []
    try:
        with (
            working_folder_errors(),
            closing(decoder),
            closing(runner.preview() if dry_run else runner.run()) as results,
        ):
            for report in results:
                reports.append(report)
                on_file(report)
    except BatchStopped as stopped:
        error = stopped.error
    if runner.last_error is not None and not plan.is_batch:
        raise runner.last_error
    return BatchReport(tuple(reports), time.monotonic() - start, plan.ignored, error)


def as_list(values: Sequence[Path | str] | Path | str) -> list[Path | str]:
    """Return one or more values as a list."""
    return [values] if isinstance(values, Path | str) else list(values)
