"""Batches of photos and videos."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from stylekit.apply.plan import plan_outputs
from stylekit.apply.repeats import Recipes
from stylekit.apply.reports import BatchReport, FileReport
from stylekit.apply.runner import DiskFull, PlanRunner
from stylekit.config.apply import ApplyConfig
from stylekit.config.checks import check_shares, require
from stylekit.errors import StylekitError
from stylekit.styles.library import load_style_file_by_name
from stylekit.styles.names import style_label
from stylekit.system.distributed import ALONE, World
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
    """Stylize photos and videos, and folders of them.

    In a batch (a folder, or more than one output) a file that fails does not stop the others, and outputs that exist
    are skipped, so an interrupted batch resumes when it is run again. Only a full disk ends it; see
    `BatchReport.error`. The failure of a single file is raised.

    Results carry their recipe. By it, the report says of a skipped output whether it was painted with other settings,
    and paintings in folders are not painted again, nor any painting in its own style, unless `config.again` is set.

    Args:
        inputs: A photo, video or folder, or several.
        output: The file of the result (one input, one style), or the folder of the results, as which a string that
            ends in `/` is taken; None puts results beside their inputs.
        styles: A style or several, each a name or a path to a style file or importable weights.
        config: Settings.
        blend: The share of each style in one that mixes them all; None applies each style on its own.
        dry_run: Whether to only report what would be done.
        world: The processes that share the batch; each does its share and reports on it.
        on_plan: Called once with the number of outputs and whether they are a batch.
        on_file: Called for each output once it is done, skipped or failed; also before the failure of a single file is
            raised.
        on_frame: Called for each frame of a video.

    Returns:
        A report on every output.

    Raises:
        ConfigError: If `output` has a file's suffix but several results need a folder, an output would overwrite an
            input, two styles have the same name, or the shares of `blend` are invalid.
        StyleNotFound: If a style does not exist.
        StyleFileError: If a style's file is corrupt.
        DeviceUnavailable: If the device is unavailable or out of memory.
        ImageError: If no inputs are found, or the single photo or video cannot be read or written.
        OutOfMemory: If memory runs out for the single photo or video.
        OutputExists: If the single output exists and `config.overwrite` is false.
    """
    config = config or ApplyConfig()
    start = time.monotonic()
    names = [str(style) for style in _as_list(styles)]
    require(bool(names), "No style was given.", "Name at least one with --style.")
    labels = [style_label(name) for name in names]
    repeated = [label for label, times in Counter(labels).items() if times > 1]
    require(not repeated, f"Two styles have the name {''.join(repeated[:1])!r}.", "Leave one out, or rename its file.")
    files = [load_style_file_by_name(name) for name in names]
    if blend is not None:
        check_shares(blend, len(names))
    recipes = Recipes.of(files, labels, blend, config)
    if blend is not None:
        names = ["-".join(labels)]
        labels = [f"{names[0]}{_shares_label(blend)}"]
    plan = plan_outputs([Path(path) for path in _as_list(inputs)], output or None, labels, config)
    if world.is_distributed:
        plan = plan.share(world.rank, world.size)
    runner = PlanRunner(plan, names, files, config, blend, recipes, on_frame)
    on_plan(sum(len(planned.outputs) for planned in plan.inputs), plan.is_batch)
    reports = []
    error: StylekitError | None = None
    try:
        for report in runner.preview() if dry_run else runner.run():
            reports.append(report)
            on_file(report)
    except DiskFull as full:
        error = full.error
    if runner.last_error is not None and not plan.is_batch:
        raise runner.last_error
    return BatchReport(tuple(reports), time.monotonic() - start, plan.ignored, error)


def _shares_label(shares: Sequence[float]) -> str:
    """Return the shares of a blend for file names, in percent; empty if they are equal."""
    if len(set(shares)) == 1:
        return ""
    return "".join(f"-{100 * share / sum(shares):.0f}" for share in shares)


def _as_list(values: Sequence[Path | str] | Path | str) -> list[Path | str]:
    return [values] if isinstance(values, Path | str) else list(values)
