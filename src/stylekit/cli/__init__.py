"""The command line.

`main` handles signals before anything slow is imported, so that Ctrl-C never ends in a traceback.
"""

import _signal as signal  # type: ignore[import-not-found]  # built in; `signal` itself takes milliseconds to import
import atexit
import gc
import os
import sys

TYPE_CHECKING = False  # importing typing's takes a while
if TYPE_CHECKING:
    from collections.abc import Callable
    from sys import UnraisableHookArgs
    from types import FrameType
    from typing import NoReturn

    Handler = Callable[[int, FrameType | None], NoReturn]

_INTERRUPTED = 130
_signals: list[int] = []  # those that have arrived


def main() -> "NoReturn":
    """Run the command line and exit."""
    _handle_signals(_exit_at_once)
    gc.disable()  # until the command runs: modules stay loaded, and searching them for garbage is slow
    exit_code: list[int] = []
    atexit.register(_skip_teardown, exit_code)  # registered first, so that it runs last
    try:
        from stylekit.cli.process import arguments, open_closed_streams

        open_closed_streams()
        from stylekit.cli.app import run

        gc.freeze()
        sys.unraisablehook = _repeat_interruption
        _handle_signals(_interrupt)
        code = run(arguments())
    except BaseException as error:
        if not (_signals or isinstance(error, KeyboardInterrupt)):
            raise
        code = _INTERRUPTED  # the interrupted code may have turned the interruption into another error
    for signum in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(signum) is _interrupt:
            signal.signal(signum, signal.SIG_DFL)  # from here on, Python itself would print a traceback
    exit_code.append(code)
    gc.freeze()  # what the system is about to reclaim is not worth collecting
    sys.exit(code)


def _handle_signals(handler: "Handler") -> None:
    """Set the handler of SIGTERM, and of SIGINT unless it is ignored, as in a shell's background jobs."""
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, handler)
    signal.signal(signal.SIGTERM, handler)


def _exit_at_once(signum: int, frame: "FrameType | None") -> "NoReturn":
    """Exit while the command line is being imported: nothing has begun, and some callbacks would lose an exception."""
    os._exit(_INTERRUPTED)


def _interrupt(signum: int, frame: "FrameType | None") -> "NoReturn":
    _signals.append(signum)
    raise KeyboardInterrupt


def _skip_teardown(exit_code: list[int]) -> None:
    """Exit after an interruption without unloading libraries: one that was only half imported could crash."""
    if exit_code == [_INTERRUPTED]:
        os._exit(_INTERRUPTED)


def _repeat_interruption(unraisable: "UnraisableHookArgs") -> None:
    """Repeat an interruption that arrived during a callback, where Python can only print the exception."""
    import threading

    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        threading.Timer(0.05, signal.raise_signal, _signals[-1:]).start()
    else:
        sys.__unraisablehook__(unraisable)
