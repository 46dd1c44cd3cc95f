"""Typer commands with help that fits 80 columns and error messages in stylekit's own words."""

import difflib
import gc
import re
from collections.abc import Iterable
from functools import partial
from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from stylekit.cli.hints import check_paintings, missing_option, not_a_command
from stylekit.cli.values import QuickValues
from stylekit.errors import ConfigError

# British spellings, which are accepted too.
_BRITISH = {"keep-colours": "keep-colors", "licence": "license"}

CONTEXT_SETTINGS = {
    "help_option_names": ["-h", "--help"],
    "token_normalize_func": lambda token: _BRITISH.get(token, token),
}

_NUMBERS = {int: "a whole number", float: "a number"}


class Command(TyperCommand):
    """A command, with parameters tidied up for the help."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, tidied up for the help."""
        return _tidy(super().get_params(ctx))

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        gc.enable()  # `main` disabled garbage collection
        return super().invoke(ctx)


class Group(TyperGroup):
    """A command with subcommands."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, tidied up for the help."""
        return _tidy(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, treating `help COMMAND` as `COMMAND --help`."""
        if args[:1] == ["help"]:
            args = [*args[1:], "--help"]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """Find the command to run.

        Raises:
            ConfigError: If it is unknown.
        """
        name = args[0]
        if name not in self.commands and not name.startswith("-") and not ctx.resilient_parsing:
            if ctx.parent is None and (misunderstood := not_a_command(name)) is not None:
                raise misunderstood
            raise ConfigError(f"Unknown command {name!r}.", did_you_mean(name, self.commands) or _see_help(ctx))
        return super().resolve_command(ctx, args)


def _tidy(parameters: list[Any]) -> list[Any]:
    """Remove noise from the help (types of flags and arguments, parentheses and braces), and convert values quickly."""
    for parameter in parameters:
        if isinstance(parameter, TyperArgument) or getattr(parameter, "is_flag", False):
            vars(parameter)["display_type_rich"] = lambda ctx: None
        if isinstance(parameter, TyperArgument) and parameter.required:
            shown = parameter.display_name_raw + ("" if parameter.nargs == 1 else "...")
            vars(parameter)["_usage_display_name"] = lambda shown=shown: shown
        vars(parameter)["get_runtime_param"] = partial(QuickValues, parameter)
        if isinstance(parameter, TyperOption) and isinstance(parameter.show_default, str):
            vars(parameter)["_get_default_string"] = lambda default=parameter.show_default, **_: default
    *others, last = parameters
    if last.name == "help":
        last.help = "Show this help."
        last.rich_help_panel = others[-1].rich_help_panel if others else None
    return parameters


def usage_error(error: Any) -> ConfigError:
    """Turn Typer's exception for wrong usage into an error that names the option.

    Typer's exception classes are not public, so they are distinguished by name.
    """
    ctx: Any = getattr(error, "ctx", None)
    parameter = getattr(error, "param", None)
    message, hint = error.format_message(), _see_help(ctx) if ctx else ""
    match type(error).__name__:
        case "NoSuchOption":
            known = {name for option in ctx.command.get_params(ctx) for name in (*option.opts, *option.secondary_opts)}
            message = f"Unknown option {error.option_name}."
            hint = did_you_mean(error.option_name, known) or hint
        case "BadOptionUsage":
            message = f"{error.option_name} {'needs a value' if 'requires' in message else 'takes no value'}."
        case "MissingParameter" if parameter is not None:
            _check_paintings(ctx.params)
            if (misunderstood := missing_option(_name(parameter))) is not None:
                return misunderstood
            message = f"Missing {_name(parameter)}."
        case "BadParameter" if parameter is not None:
            needed = _NUMBERS.get(parameter.type_descriptor.annotation)
            if needed is None or error.__cause__ is None:
                message = f"Invalid {_name(parameter)}: {error.message}"
            else:  # the cause is Pydantic's, which quotes the value
                message = f"{_name(parameter)} must be {needed}, not {error.__cause__.errors()[0]['input']!r}."
        case _:
            extra = re.fullmatch(r"Got unexpected extra argument.*? \((.*)\)", message)
            message = f"Unexpected argument: {extra[1]}" if extra else message
    return ConfigError(message, hint)


def _check_paintings(parameters: dict[str, Any]) -> None:
    """Check the paintings before a missing option is reported: if one is a style, `apply` was meant."""
    paintings = parameters.get("paintings") or filter(None, [parameters.get("painting")])
    check_paintings(list(paintings), photo=str(parameters.get("photo") or "photo.jpg"), output=None)


def _name(parameter: Any) -> str:
    """Return the name that users know a parameter by: its longest option, or the name of the argument."""
    return max(parameter.opts, key=len) if isinstance(parameter, TyperOption) else str(parameter.display_name_raw)


def _see_help(ctx: Any) -> str:
    return f"See `{ctx.command_path} -h`."


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint with the one or two known words closest to a mistyped word; empty if none is close."""
    words = {name.lstrip("-"): name for name in sorted(known)}
    near = difflib.get_close_matches(word.lstrip("-"), words, n=2)
    return f"Did you mean {' or '.join(words[name] for name in near)}?" if near else ""
