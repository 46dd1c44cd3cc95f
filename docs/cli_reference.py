"""Write the reference of the command line from the Typer app itself.

    python docs/cli_reference.py

Writes `docs/cli.md`; a test compares it with what would be written.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from stylekit.cli.app import app

PAGE = Path(__file__).with_name("cli.md")


def page() -> str:
    """Return the page's text."""
    beginning = """# Commands

Written by `python docs/cli_reference.py` from the command line's own help. Every command has `--help` as well.
"""
    return "\n".join([beginning, *_sections("stylekit", get_command(app))])


def _sections(name: str, command: Any) -> Iterator[str]:
    """Give the section of a command, and those of the commands in it."""
    inner = getattr(command, "commands", {})
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    wanted = [argument.metavar if argument.required else f"[{argument.metavar}]" for argument in arguments]
    usage = " ".join([name, *wanted, "[OPTIONS]", *(["COMMAND"] if inner else [])])
    yield f"## {name}\n\n```\n{usage}\n```\n\n{command.help}\n"
    listed = [(f"`{argument.metavar}`", argument) for argument in arguments]
    listed += [(_names(option), option) for option in options]
    if listed:
        yield "".join(f"- {term}: {_about(parameter)}\n" for term, parameter in listed)
    for inner_name, inner_command in inner.items():
        yield from _sections(f"{name} {inner_name}", inner_command)


def _names(option: Any) -> str:
    """Return an option's names, long ones first, each with what it takes."""
    value = "" if option.is_flag else f" {option.metavar or 'TEXT'}"
    names = sorted([*option.opts, *option.secondary_opts], key=lambda name: not name.startswith("--"))
    return ", ".join(f"`{name}{value}`" for name in names)


def _about(parameter: Any) -> str:
    """Return what a parameter does, and its default where that is not to leave it out."""
    default = parameter.show_default if isinstance(parameter.show_default, str) else parameter.default
    if parameter.required:
        return f"{parameter.help} Required."
    if default in (None, "") or default is False:
        return str(parameter.help)
    return f"{parameter.help} Default: {parameter.opts[0] if default is True else default}."


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
