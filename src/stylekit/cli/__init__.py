"""The command line.

`main` handles signals before anything slow is imported, so that Ctrl-C never ends in a traceback.
"""

TYPE_CHECKING = False  # not typing's own, which takes a while to import
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

_signals: list[int] = []  # that have arrived


def main() -> "NoReturn":
    """Run the command line and exit."""
    import sys

    try:
        import signal

        signal.signal(signal.SIGTERM, _interrupt)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else a shell ignores it, in the background
            signal.signal(signal.SIGINT, _interrupt)
        from stylekit.cli.process import arguments, open_closed_streams

        open_closed_streams()
        from stylekit.cli.app import run

        code = run(arguments())
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # from here on, Python itself would print a traceback
    except BaseException as error:
        if not (_signals or isinstance(error, KeyboardInterrupt)):
            raise
        code = 130  # whatever the interrupted code has made of it
    sys.exit(code)


def _interrupt(signum: int, frame: "FrameType | None") -> "NoReturn":
    _signals.append(signum)
    raise KeyboardInterrupt
