"""The Typer app, and the conversion of errors to messages and exit codes."""

import errno
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from stylekit._version import __version__
from stylekit.cli import styles
from stylekit.cli.apply import apply
from stylekit.cli.commands import CONTEXT_SETTINGS, Command, Group, usage_error
from stylekit.cli.console import ExitCode, Output, output_errors
from stylekit.cli.gatys import gatys
from stylekit.cli.hints import Misunderstood
from stylekit.cli.info import info
from stylekit.cli.sheet import sheet
from stylekit.cli.studio import studio
from stylekit.cli.train import train
from stylekit.errors import ConfigError, StylekitError
from stylekit.system.distributed import read_world
from stylekit.system.extras import extra_of, install_hint

_HELP = """Turn photos into paintings: neural style transfer.

Examples:
  stylekit apply lion.jpg --style udnie
  stylekit styles list

Run `stylekit COMMAND -h` to see the options of a command.
"""

app = typer.Typer(
    name="stylekit",
    cls=Group,
    help=_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=CONTEXT_SETTINGS,
)
app.command(cls=Command, no_args_is_help=True)(apply)
app.command(cls=Command, no_args_is_help=True)(sheet)
app.command(cls=Command, no_args_is_help=True)(train)
app.command(cls=Command, no_args_is_help=True)(gatys)
app.command(cls=Command)(studio)
app.add_typer(styles.app, name="styles")
app.command(cls=Command)(info)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"stylekit {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass


def run(args: list[str]) -> int:
    """Run the command line and return the exit code; exceptions that are bugs pass through."""
    output_errors.clear()
    console = Output(as_json="--json" in args)
    code = _run(args, console)
    if output_errors and code == ExitCode.DONE:
        return _fail(console, _unwritable(output_errors[0]), ExitCode.FAILURE)
    return code


def _run(args: list[str], console: Output) -> int:
    try:
        code = _call(args)
        if code == ExitCode.INTERRUPTED:  # Typer's translation of Ctrl-C
            return _fail(console, StylekitError("Interrupted."), ExitCode.INTERRUPTED)
        return code
    except Misunderstood as error:
        return _fail(console, error.corrected(args), ExitCode.USAGE)
    except StylekitError as error:
        return _fail(console, error, ExitCode.USAGE if isinstance(error, ConfigError) else ExitCode.FAILURE)
    except SystemExit as error:
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        return ExitCode.DONE  # the reader of the help has exited, as `head` does
    except ImportError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # Ctrl-C arrived while a C extension was being loaded
            return _fail(console, StylekitError("Interrupted."), ExitCode.INTERRUPTED)
        return _fail(console, _missing_package(error), ExitCode.FAILURE)
    except OSError as error:
        return _fail(console, _unusable_surroundings(error), ExitCode.FAILURE)


def _call(args: list[str]) -> int:
    try:
        return int(app(args, prog_name="stylekit", standalone_mode=False) or ExitCode.DONE)
    except TyperException as error:
        if not str(error):  # the help was printed instead
            return ExitCode.USAGE
        raise usage_error(error) from error


def _missing_package(error: ImportError) -> StylekitError:
    """Return an error that names the extra for a failed import; raise the given error if no extra provides it."""
    extra = extra_of(error.name) if isinstance(error, ModuleNotFoundError) else None
    if extra is None:
        raise error
    return StylekitError(f"{error.name} is not installed; it is part of the extra {extra!r}.", install_hint(extra))


def _unusable_surroundings(error: OSError) -> StylekitError:
    """Return an error about the working folder or standard output; raise the given error if neither is its cause."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return StylekitError("The working folder no longer exists.", "Change to another folder with `cd`.")
    if error.errno != errno.ENOSPC:
        raise error
    return _unwritable(error)


def _unwritable(error: OSError) -> StylekitError:
    return StylekitError(
        f"Cannot write to standard output: {error.strerror}.",
        "Free up space on the disk that standard output is redirected to.",
    )


def _fail(console: Output, error: StylekitError, code: ExitCode) -> int:
    if _is_leader():
        console.document({"error": {"type": type(error).__name__, "message": error.message, "hint": error.hint}})
    console.failure(f"error: {error.message}")
    if error.hint:
        console.failure(f"hint: {error.hint}")
    return code


def _is_leader() -> bool:
    """Return whether this process prints the document, as one of several does."""
    try:
        return read_world().is_leader
    except ConfigError:
        return True
