"""Values on the command line are converted as Typer does it, without importing Pydantic for common ones."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.exceptions import TyperException

from stylekit.cli.commands import Command

TEXTS = [
    "1",
    "0",
    "-1",
    "+5",
    "1.0",
    " 2 ",
    "1_000",
    "1e3",
    ".5",
    "nan",
    "x",
    "",
    "٣",
    "9" * 30,
    "-",
    "a\udc80",
    "true",
]


def command(of: type[Any]) -> Any:
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command(cls=of)
    def show(
        number: Annotated[int, typer.Option()] = 3,
        share: Annotated[float | None, typer.Option()] = None,
        limited: Annotated[int, typer.Option(min=1, max=5)] = 2,
        text: str = "default",
        path: Path | None = None,
        flag: bool = False,
        words: Annotated[list[str] | None, typer.Option()] = None,
        parsed: Annotated[list[Path] | None, typer.Option(parser=parse)] = None,
        rest: Annotated[list[Path] | None, typer.Argument(parser=parse)] = None,
    ) -> object:
        return number, share, limited, text, path, flag, words, parsed, rest

    return typer.main.get_command(app)


def parse(text: str) -> Path:
    if text == "x":
        raise ValueError("no x")
    return Path("parsed", text)


def outcome(of: type[Any], *arguments: str) -> object:
    try:
        return repr(command(of)(list(arguments), standalone_mode=False))
    except TyperException as error:
        return error.format_message()


@pytest.mark.parametrize("option", ["--number", "--share", "--limited", "--text", "--path", "--words", "--parsed"])
def test_values_are_those_that_typer_converts(option):
    for text in TEXTS:
        assert outcome(Command, f"{option}={text}") == outcome(typer.core.TyperCommand, f"{option}={text}")


ARGUMENTS = ["", "--flag", "--no-flag", "a b", "--words a --words b", "a x", "--number", "--share 1"]


@pytest.mark.parametrize("arguments", [arguments.split() for arguments in ARGUMENTS], ids=ARGUMENTS)
def test_arguments_are_those_that_typer_converts(arguments):
    assert outcome(Command, *arguments) == outcome(typer.core.TyperCommand, *arguments)


def test_common_values_need_no_converter_of_typers(monkeypatch):
    slow: list[str] = []
    converters = typer.core.TyperOption.get_runtime_param
    monkeypatch.setattr(
        typer.core.TyperOption, "get_runtime_param", lambda option: slow.append(option.name) or converters(option)
    )
    arguments = ["--number=5", "--share=0.5", "--text=painted", "--words=a", "--flag", "--parsed=a", "lion.jpg"]
    expected = (5, 0.5, 2, "painted", None, True, ["a"], [Path("parsed/a")], [Path("parsed/lion.jpg")])
    assert outcome(Command, *arguments) == repr(expected)
    assert slow == ["limited"]


def test_a_photo_is_painted_without_libraries_that_it_does_not_need(tmp_path, make_photo, style_path):
    make_photo().save(tmp_path / "lion.png")
    arguments = ["apply", tmp_path / "lion.png", "-s", style_path, "-o", tmp_path / "out.png", "--strength", "0.5"]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "stylekit", *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    loaded = set(re.findall(r"^import time:.*\|\s*(\S+)$", done.stderr, re.MULTILINE))
    assert "onnxruntime" in loaded
    assert loaded & {"pydantic", "rich", "requests", "filelock", "ssl", "torch"} == set()
