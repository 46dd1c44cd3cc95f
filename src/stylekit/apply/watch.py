"""`watch_folders`, which stylizes photos and videos as they arrive in folders."""

import dataclasses
import math
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from stylekit.apply.arrivals import Arrivals
from stylekit.apply.inputs import RealPaths, find_inputs
from stylekit.apply.loading import Decoder
from stylekit.apply.plan import Plan, plan_found
from stylekit.apply.reports import BatchReport, FileReport
from stylekit.apply.run import as_list
from stylekit.apply.runner import BatchStopped, PlanRunner
from stylekit.apply.style_set import StyleSet
from stylekit.config.apply import ApplyConfig
from stylekit.errors import ConfigError, ImageError, StylekitError
from stylekit.system.extras import install_hint, is_installed
from stylekit.system.paths import working_folder_errors
from stylekit.video.paint import VideoReport

_TICK_SECONDS = 0.25  # interval between checks for files that have become complete
_LOOK_SECONDS = 30.0  # interval between scans without a reported change, because reports can get lost


def watch_folders(
    folders: Sequence[Path | str] | Path | str,
    output: Path | str | None,
    styles: Sequence[Path | str] | Path | str,
    config: ApplyConfig | None = None,
    *,
    blend: Sequence[float] | None = None,
    on_plan: Callable[[int, bool], None] = lambda outputs, is_batch: None,
    on_file: Callable[[FileReport], None] = lambda report: None,
    on_frame: Callable[[VideoReport], None] = lambda report: None,
    on_wait: Callable[[], None] = lambda: None,
) -> BatchReport:
    """Stylize the photos and videos in folders, and then new ones as they arrive, until Ctrl-C.

    The files in the folders are stylized first, as by `apply_styles`. After that, every new file is stylized once it is
    complete; the networks stay loaded. A file that changes later counts as new, but its existing output is replaced
    only if `config.overwrite` is set. A file that fails is tried again when it changes.

    Args:
        folders: One or more folders.
        output: The folder of the results; None puts them beside the folders.
        styles: As in `apply_styles`.
        config: The settings; None uses the defaults.
        blend: As in `apply_styles`.
        on_plan: Called before each batch of files, with the number of outputs and True.
        on_file: Called for each output once it is done, skipped or failed.
        on_frame: Called for each frame of a video.
        on_wait: Called whenever all complete files are done and stylekit starts to wait for more.

    Returns:
        A report with the latest entry for every output. The report is returned after a `KeyboardInterrupt`, which
        callbacks may also raise, and after an error that ends the watch, such as a full disk or the removal of a
        folder; see `BatchReport.error`.

    Raises:
        ConfigError: As in `apply_styles`, and if an input is not a folder.
        ImageError: If a folder does not exist.
        StyleNotFound: If a style does not exist.
        StyleFileError: If a style file is corrupt.
        DeviceUnavailable: If the device is unavailable or out of memory.
    """
    config = config or ApplyConfig()
    start = time.monotonic()
    paths = [Path(folder) for folder in as_list(folders)]
    check_watched(paths)
    style_set = StyleSet([str(style) for style in as_list(styles)], blend, config)
    decoder = Decoder(style_set.recipes, config, processes=config.jobs)
    watch = _Watch(paths, output or None, style_set, decoder, config, on_plan, on_file, on_frame, on_wait)
    error: StylekitError | None = None
    try:
        with working_folder_errors(), closing(decoder):
            watch.run()
    except KeyboardInterrupt:
        pass
    except BatchStopped as stopped:
        error = stopped.error
    except StylekitError as failure:
        if not watch.is_watching:
            raise
        error = failure
    return BatchReport(tuple(watch.reports.values()), time.monotonic() - start, watch.ignored, error)


def check_watched(paths: Sequence[Path]) -> None:
    """Check that paths are folders that can be watched.

    Raises:
        ConfigError: If a path is not a folder, or its name is not valid Unicode.
        ImageError: If a path does not exist.
        ModuleNotFoundError: If the extra `watch` is not installed.
    """
    if not is_installed("watchfiles"):
        message = f"watch_folders needs the extra 'watch': {install_hint('watch')}"
        raise ModuleNotFoundError(message, name="watchfiles")
    for path in paths:
        if not os.path.lexists(path):
            raise ImageError(f"{path} does not exist.", "Create the folder, or check the path.")
        if _device(path) is None:
            raise ConfigError(f"--watch needs folders, but {path} is not a folder.", f"Watch the folder {path.parent}.")
        try:
            str(path).encode()
        except UnicodeEncodeError:
            raise ConfigError(f"Cannot watch {path}: its name is not valid Unicode.", "Rename the folder.") from None


class _Watch:
    """Waits for files in a loop, and stylizes them in batches.

    Attributes:
        reports: The last report on each output.
        ignored: The reasons why files in the folders are not inputs, and how many files each reason applies to.
        is_watching: Whether the initial files are done.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        output: Path | str | None,
        styles: StyleSet,
        decoder: Decoder,
        config: ApplyConfig,
        on_plan: Callable[[int, bool], None],
        on_file: Callable[[FileReport], None],
        on_frame: Callable[[VideoReport], None],
        on_wait: Callable[[], None],
    ) -> None:
        self._devices = {folder: _device(folder) for folder in folders}
        self._output = output
        self._styles = styles
        self._decoder = decoder
        self._config = config
        self._on_plan = on_plan
        self._on_file = on_file
        self._on_frame = on_frame
        self._on_wait = on_wait
        self._arrivals = Arrivals()
        self.reports: dict[Path, FileReport] = {}
        self.ignored: Mapping[str, int] = {}
        self.is_watching = False

    def run(self) -> None:
        """Stylize the initial files, then wait for new files and stylize them, until an exception is raised.

        Raises:
            BatchStopped: If the disk is full.
            ImageError: If a folder disappears.
            StylekitError: If the system cannot report changes.
        """
        self._stylize(self._look())
        self.is_watching = True
        looked, is_idle = -math.inf, False
        for has_changed in _changes(list(self._devices), recursive=self._config.recursive):
            self._check_folders()
            if not has_changed and time.monotonic() < min(self._arrivals.due, looked + _LOOK_SECONDS):
                continue
            plan = self._look()
            self._stylize(plan)
            if not plan.inputs and not is_idle:
                self._on_wait()
            is_idle = not plan.inputs
            looked = time.monotonic() if is_idle else -math.inf  # more files may have arrived in the meantime

    def _check_folders(self) -> None:
        """Check that the folders still exist on the same devices, because unmounting a drive leaves an empty folder."""
        for folder, device in self._devices.items():
            if _device(folder) != device:
                raise ImageError(
                    f"{folder} was removed, renamed or unmounted.",
                    "Restore it and run the same command again; existing results are skipped.",
                )

    def _look(self) -> Plan:
        """Return a plan for the files that are complete and new.

        All files are planned, because the name of each result depends on the other files.
        """
        real_paths = RealPaths()
        found = find_inputs(list(self._devices), real_paths, recursive=self._config.recursive)
        unreadable = [folder for folder, _, _ in found.unreadable]
        complete = self._arrivals.take([*(file.path for file in found.files), *unreadable])
        if self.is_watching and not complete:
            return Plan((), is_batch=True)
        plan = plan_found(found, self._output, self._styles.labels, self._config, real_paths)
        self.ignored = plan.ignored
        return dataclasses.replace(plan, inputs=tuple(each for each in plan.inputs if each.source in complete))

    def _stylize(self, plan: Plan) -> None:
        """Stylize the files of a plan, and report on each output, except for premature failures."""
        if not plan.inputs:
            return
        self._on_plan(sum(len(planned.outputs) for planned in plan.inputs), True)
        runner = PlanRunner(plan, self._styles, self._decoder, self._config, self._on_frame)
        with closing(runner.run()) as reports:
            for report in reports:
                if report.status == "failed" and self._arrivals.wait_longer(report.source):
                    continue
                if report.status != "skipped" or report.output not in self.reports:
                    self.reports[report.output] = report
                self._on_file(report)


def _device(folder: Path) -> int | None:
    """Return the number of the device that holds a folder; None if it is not a folder."""
    try:
        status = folder.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev if stat.S_ISDIR(status.st_mode) else None


def _changes(folders: Sequence[Path], *, recursive: bool) -> Iterator[bool]:
    """Yield, several times a second without end, whether files in folders may have changed.

    Raises:
        StylekitError: If the system cannot report changes.
    """
    from watchfiles import watch

    while True:
        is_new = True  # changes before this watcher started were not reported
        try:
            for changes in watch(
                *folders,
                watch_filter=None,
                rust_timeout=round(1000 * _TICK_SECONDS),
                yield_on_timeout=True,
                recursive=recursive,
                ignore_permission_denied=True,
            ):
                yield bool(changes) or is_new
                is_new = False
        except (FileNotFoundError, RuntimeError):  # a folder has just vanished, or a name is not valid Unicode
            time.sleep(_TICK_SECONDS)
            yield False
        except OSError as error:
            names = ", ".join(map(str, folders))
            raise StylekitError(
                f"Cannot watch {names}: {error}.", "Set WATCHFILES_FORCE_POLLING=1 to poll for changes instead."
            ) from error
