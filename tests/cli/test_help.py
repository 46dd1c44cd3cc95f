"""Help at 80 columns: panels, examples, choices, whole words."""

import re
import shlex
from typing import Any

import pytest
from typer.main import get_command

from stylekit.cli.app import app

WIDTH = 80


def commands(command, *names):
    """Yield every command with its names."""
    yield names, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, *names, name)


COMMANDS = dict(commands(get_command(app)))


@pytest.fixture(params=COMMANDS, ids=lambda names: " ".join(("stylekit", *names)))
def command(request, stylekit, monkeypatch):
    """A command's names, the command, and its help."""
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    code, out, _ = stylekit(*request.param, "-h")
    assert code == 0
    return request.param, COMMANDS[request.param], out


def test_help_fits_and_names_no_types_of_python(command, stylekit):
    names, _, text = command
    assert max(map(len, text.splitlines())) <= WIDTH
    assert stylekit(*names, "--help")[1] == text
    assert not re.search(r"<\w+>|list\[|\(\)|default: \(", text)


def test_help_breaks_no_word(command):
    _, known, text = command
    words = set(re.sub(r"[│\[\]]", " ", text).split())
    for parameter in known.params:
        expected = [*(parameter.help or "").split(), *parameter.opts, *parameter.secondary_opts]
        if parameter.param_type_name == "option" and not parameter.is_flag:
            expected.append(parameter.metavar)
        if parameter.param_type_name == "argument":
            expected = [*parameter.help.split(), parameter.metavar]
        assert [word for word in expected if re.sub(r"[\[\]]", " ", word).split()[0] not in words] == []


def test_help_texts_are_short(command):
    _, known, _ = command
    long = [parameter.help for parameter in known.params if len(parameter.help.split()) > 14]
    assert long == []


def test_examples_come_first_and_use_options_that_exist(command):
    names, known, text = command
    if hasattr(known, "commands") and names:
        return
    assert text.index("Examples:") < text.index("╭")
    examples = [line.strip() for line in text.splitlines() if line.startswith("   stylekit ")]
    assert examples
    for example in examples:
        _, *words = shlex.split(example)
        inner: Any = get_command(app)
        called: list[str] = []
        while words and words[0] in getattr(inner, "commands", {}):
            called.append(words.pop(0))
            inner = inner.commands[called[-1]]
        assert tuple(called[: len(names)]) == names
        options = {name for parameter in inner.params for name in (*parameter.opts, *parameter.secondary_opts)}
        assert [word for word in words if word.startswith("-") and word not in options] == []


def test_panels_of_the_large_commands(stylekit, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    for name, panels in {
        "apply": ["Arguments", "Look", "Output", "Input", "Video", "Machine", "Messages"],
        "train": ["Arguments", "Input", "Output", "Training", "Look", "Losses", "Credits", "Machine", "Messages"],
        "gatys": ["Arguments", "Output", "Input", "Look", "Optimization", "Losses", "Machine", "Messages"],
    }.items():
        assert re.findall(r"^╭─ (\w+)", stylekit(name, "-h")[1], re.MULTILINE) == panels
