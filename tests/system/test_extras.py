"""Extras: what they bring, and the command that installs one, fitting how stylekit was installed."""

import sys

import pytest

from stylekit.system import extras


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """An environment for Python without any extra, on Linux."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(extras, "is_installed", lambda module: module == "pip")
    return tmp_path


def test_pip_is_told_the_extra(environment):
    assert extras.install_hint("torch") == "pip install 'neural-stylekit[torch]'"


def test_an_environment_without_pip_is_uvs(environment, monkeypatch):
    monkeypatch.setattr(extras, "is_installed", lambda module: False)
    assert extras.install_hint("video") == "uv pip install 'neural-stylekit[video]'"


@pytest.mark.parametrize(
    ("mark", "command"),
    [("pipx_metadata.json", "pipx install --force"), ("uv-receipt.toml", "uv tool install")],
)
def test_tool_managers_are_told_the_installed_extras_too(environment, monkeypatch, mark, command):
    (environment / mark).touch()
    assert extras.install_hint("torch") == f"{command} 'neural-stylekit[torch]'"
    monkeypatch.setattr(extras, "is_installed", lambda module: module in ("av", "pip"))
    assert extras.install_hint("torch") == f"{command} 'neural-stylekit[torch,video]'"


def test_the_command_prompt_of_windows_needs_double_quotes(environment, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert extras.install_hint("heif") == 'pip install "neural-stylekit[heif]"'


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("torch", "torch"),
        ("torch.nn", "torch"),
        ("torchvision", "torch"),
        ("torchvision.models", "torch"),
        ("av", "video"),
        ("pillow_heif", "heif"),
        ("numpy", None),
        (None, None),
    ],
)
def test_a_module_is_traced_to_its_extra(module, extra):
    assert extras.extra_of(module) == extra


def test_a_blocked_module_is_not_installed(monkeypatch):
    assert extras.is_installed("json")
    assert not extras.is_installed("no_such_module")
    monkeypatch.setitem(sys.modules, "json", None)
    assert not extras.is_installed("json")
