"""The Typer app, and the one place where errors become messages and exit codes."""

import errno
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from stylekit._version import __version__
from stylekit.cli import styles
from stylekit.cli.apply import apply
from stylekit.cli.console import ExitCode, Output
from stylekit.cli.gatys import gatys
from stylekit.cli.info import info
from stylekit.cli.train import train
from stylekit.errors import ConfigError, StylekitError
from stylekit.system.distributed import read_world

app = typer.Typer(
    name="stylekit",
    help="Neural style transfer: one command, and a photo is a painting.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command(no_args_is_help=True)(apply)
app.command(no_args_is_help=True)(train)
app.command(no_args_is_help=True)(gatys)
app.add_typer(styles.app, name="styles")
app.command()(info)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"stylekit {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def run(args: list[str]) -> int:
    """Run the command line and return the exit code. Exceptions that are bugs are let through."""
    console = Output(as_json="--json" in args)
    try:
        code = app(args, prog_name="stylekit", standalone_mode=False) or ExitCode.DONE
        if code == ExitCode.INTERRUPTED:  # Typer turns Ctrl-C into this
            return _fail(console, StylekitError("Interrupted."), ExitCode.INTERRUPTED)
        return int(code)
    except ConfigError as error:
        return _fail(console, error, ExitCode.USAGE)
    except StylekitError as error:
        return _fail(console, error, ExitCode.FAILURE)
    except TyperException as error:
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        if not message:  # the help was printed in its place
            return ExitCode.USAGE
        return _fail(console, ConfigError(message, "Add --help to see how the command is used."), ExitCode.USAGE)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "torchvision"):
            raise
        missing = StylekitError(f"This needs {error.name}, which is not installed.", f"pip install {error.name}")
        return _fail(console, missing, ExitCode.FAILURE)
    except ImportError as error:
        if not isinstance(error.__cause__, KeyboardInterrupt):  # which came while a C extension was being loaded
            raise
        return _fail(console, StylekitError("Interrupted."), ExitCode.INTERRUPTED)
    except BrokenPipeError:  # whoever read our results has left, as `head` does
        sys.stdout = None  # nothing more to flush at exit
        return ExitCode.FAILURE
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        sys.stdout = None
        full = StylekitError("No space is left where the results go.", "Make room, and run the same command again.")
        return _fail(Output(), full, ExitCode.FAILURE)


def _fail(console: Output, error: StylekitError, code: ExitCode) -> int:
    if _leads():
        console.document({"error": {"type": type(error).__name__, "message": error.message, "hint": error.hint}})
    console.failure(f"error: {error.message}")
    if error.hint:
        console.failure(f"hint: {error.hint}")
    return code


def _leads() -> bool:
    """Whether the document is this process's to print, where there are several."""
    try:
        return read_world().leads
    except ConfigError:
        return True
