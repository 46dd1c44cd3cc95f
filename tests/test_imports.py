"""What is imported when, seen in real processes, and the public names. Layers are import-linter's (pyproject.toml)."""

import ast
import os
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import pytest

import stylekit

PACKAGE = Path(stylekit.__file__).parent

FILES = sorted(PACKAGE.rglob("*.py"))


def test_nothing_below_the_command_line_prints_or_exits():
    found = []
    for file in FILES:
        if file.is_relative_to(PACKAGE / "cli") or file.name == "onnx_probe.py":  # which is run as a script
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call | ast.Raise | ast.Attribute):
                continue
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            raised = ast.unparse(node.exc) if isinstance(node, ast.Raise) and node.exc else ""
            streams = ast.unparse(node) in ("sys.stdout", "sys.stderr") if isinstance(node, ast.Attribute) else False
            if (
                called in ("print", "exit", "quit", "sys.exit", "os._exit")
                or raised.startswith("SystemExit")
                or streams
            ):
                found.append(f"{file.relative_to(PACKAGE)}:{node.lineno}")
    assert found == []


def run_python(*arguments, home):
    return subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        env={**os.environ, "STYLEKIT_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


def modules_loaded(done):
    """Read which modules a process imported from what `-X importtime` printed."""
    return set(re.findall(r"^import time:.*\|\s*(\S+)$", done.stderr, re.MULTILINE))


COMMANDS = {
    "import": ["-c", "import stylekit; print(stylekit.__version__)"],
    "dir": ["-c", "import stylekit; dir(stylekit)"],
    "--version": ["-m", "stylekit", "--version"],
    "--help": ["-m", "stylekit", "--help"],
    **{f"{name} --help": ["-m", "stylekit", name, "--help"] for name in ("apply", "train", "gatys", "styles")},
    "styles list": ["-m", "stylekit", "styles", "list"],
    "styles info": ["-m", "stylekit", "styles", "info", "udnie"],
    "info": ["-m", "stylekit", "info", "--no-devices"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_light_commands_load_no_torch_and_write_nothing(command, tmp_path):
    done = run_python(*command, home=tmp_path / "home")
    assert done.returncode == 0, done.stderr
    loaded = modules_loaded(done)
    assert "stylekit" in loaded
    assert {name for name in loaded if name.partition(".")[0] in ("torch", "torchvision")} == set()
    assert not (tmp_path / "home").exists()


def test_importing_the_package_loads_none_of_its_modules(tmp_path):
    loaded = modules_loaded(run_python("-c", "import stylekit", home=tmp_path))
    assert {name for name in loaded if name.startswith("stylekit")} == {"stylekit", "stylekit._version"}
    assert not loaded & {"numpy", "PIL", "requests", "typer"}


def test_everything_up_to_the_engine_is_imported_without_torch(tmp_path):
    script = "import stylekit.apply.run, stylekit.engines, stylekit.styles.importers, stylekit.losses.weights"
    done = run_python("-c", script, home=tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert "torch" not in modules_loaded(done)
    assert not (tmp_path / "home").exists()


def test_every_public_name_can_be_imported():
    for name in stylekit.__all__:
        assert getattr(stylekit, name).__name__ == name
    assert sorted(stylekit.__all__) == stylekit.__all__
    assert set(stylekit.__all__) == set(stylekit._HOMES)


def test_public_names_are_declared_where_they_are_imported_from():
    """The type checker sees the imports that are made."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom) and node.module]
    declared = {alias.name: str(node.module).removeprefix("stylekit.") for node in imports for alias in node.names}
    assert declared == stylekit._HOMES


def test_the_module_shows_its_public_names_and_no_others():
    assert dir(stylekit) == stylekit.__all__
    assert {"World", "export_style", "read_world", "remove_style", "style_info"} <= set(dir(stylekit))
    text = pydoc.plain(pydoc.render_doc(stylekit))
    assert [name for name in stylekit.__all__ if not re.search(rf"^    (class )?{name}\b", text, re.MULTILINE)] == []
    assert "_HOMES" not in text


@pytest.mark.parametrize("name", ["no_such_name", "torch", "_private"])
def test_other_names_are_attribute_errors(name):
    with pytest.raises(AttributeError, match=f"module 'stylekit' has no attribute '{name}'"):
        getattr(stylekit, name)


def test_errors_carry_message_and_hint_and_share_one_base():
    from stylekit import errors

    kinds = [value for value in vars(errors).values() if isinstance(value, type)]
    assert len(kinds) > 10
    assert all(issubclass(kind, errors.StylekitError) for kind in kinds)
    error = errors.ChecksumMismatch("what", "what next")
    assert isinstance(error, errors.DownloadError)
    assert (str(error), error.message, error.hint) == ("what", "what", "what next")
    assert errors.ConfigError("what").hint == ""
