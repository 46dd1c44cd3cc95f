"""The output of `stylekit train`, and the handling of Ctrl-C between two steps."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from stylekit.cli.console import Output, duration
from stylekit.cli.progress import Bar

if TYPE_CHECKING:
    from stylekit.training.train import StepReport

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LINES = 20  # lines of progress in total, if there is no live bar


class Printer:
    """Shows the progress of a training run: in a live bar, or as lines at intervals.

    Args:
        console: The output to print to.
        bar: The bar to update.
        patient: Whether to ignore signals after the first; torchrun sends Ctrl-C to its processes more than once.
    """

    def __init__(self, console: Output, bar: Bar, *, patient: bool) -> None:
        """Start before the first step."""
        self._console = console
        self._bar = bar
        self._first: StepReport | None = None
        self._stops = False
        self._patient = patient

    def should_stop(self) -> bool:
        """Return whether SIGINT or SIGTERM has arrived since the first step."""
        return self._stops

    def _stop(self, signum: int, frame: FrameType | None) -> None:
        """Stop after the current step, so that a checkpoint can be written; a second signal interrupts at once."""
        if self._stops and self._patient:
            return
        if self._stops:
            raise KeyboardInterrupt
        self._stops = True
        self._console.note("Stopping after this step …")

    def show_comparison(self, compared: int, styles: int) -> None:
        """Show how many bundled styles have been compared with the painting."""
        self._bar.part(compared, styles, "styles")

    def show(self, report: "StepReport") -> None:
        """Show a finished step."""
        if self._first is None:
            self._bar.start(report.steps, report.step - 1)
            self._first = report
            for number in _SIGNALS:
                signal.signal(number, self._stop)
        self._bar.advance(total=report.total, content=report.content, style=report.style)
        if not self._console.animated and (
            report.step % max(1, report.steps // _LINES) == 0 or report.step == report.steps
        ):
            self._console.note(
                f"step {report.step}/{report.steps}  {self._times(report)}  total {report.total:.3f}  "
                f"content {report.content:.3f}  style {report.style:.4f}"
            )

    def _times(self, report: "StepReport") -> str:
        """Return the time so far, and the time left, estimated from the speed since this run's first step."""
        so_far, first = duration(report.seconds), self._first
        if first is None or report.step == first.step:
            return so_far
        seconds = (report.seconds - first.seconds) / (report.step - first.step)
        return f"{so_far}, {duration(seconds * (report.steps - report.step))} left"


@contextmanager
def restored_handlers() -> Iterator[None]:
    """Restore the signal handlers when the block ends."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
