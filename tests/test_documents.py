"""The documentation is true: its commands run, its lists match the code, and its quotes are what the code says."""

import ast
import os
import re
import stat
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

import stylekit
from stylekit import errors
from stylekit.losses.weights import loss_weights_path
from tests.video_material import photo, write_video

ROOT = Path(__file__).parents[1]
PACKAGE = Path(stylekit.__file__).parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
MARKED = re.compile(r"^<!-- run -->\n+```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def marked_blocks(page):
    """Return the code blocks that are marked to be run, in order: language (empty for the shell) and text."""
    return MARKED.findall(page.read_text("utf-8"))


@pytest.fixture
def workplace(tmp_path, make_photo, vgg_weights, monkeypatch):
    """Return a folder with the files that the documentation uses; `stylekit` is on the PATH, the network is off."""
    import torch
    from safetensors.numpy import save_file

    from stylekit.networks import architecture

    folder = tmp_path / "workplace"
    (folder / "photos" / "more").mkdir(parents=True)
    for seed, name in enumerate(["lion.jpg", "photos/1.jpg", "photos/2.jpg", "photos/more/3.jpg"]):
        make_photo(120, 96, seed).save(folder / name)
    make_photo(120, 120, 7).save(folder / "night.jpg")
    torch.save(architecture("johnson").build().state_dict(), folder / "mosaic.pth")
    loss_weights_path().parent.mkdir(parents=True)
    save_file(vgg_weights, loss_weights_path())
    command = tmp_path / "bin" / "stylekit"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m stylekit "$@"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("STYLEKIT_OFFLINE", "1")
    return folder


@pytest.mark.skipif(sys.platform == "win32", reason="the commands are written for a POSIX shell")
@pytest.mark.parametrize("page", [page for page in PAGES if marked_blocks(page)], ids=lambda page: page.stem)
def test_marked_code_blocks_run_as_written(page, workplace):
    if page.stem == "video":
        pytest.importorskip("av")
        write_video(workplace / "clip.mp4", [photo(number) for number in range(3)])
    programs = {"": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
    for language, block in marked_blocks(page):
        result = subprocess.run(
            [*programs[language], block], cwd=workplace, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, f"{block}\n{result.stderr}"


def test_pages_have_code_blocks_marked_to_be_run():
    assert {"README", "index", "apply", "train", "gatys", "catalogs", "python", "video"} <= {
        page.stem for page in PAGES if marked_blocks(page)
    }


def test_the_command_reference_is_up_to_date():
    spec = spec_from_file_location("cli_reference", DOCS / "cli_reference.py")
    assert spec is not None
    assert spec.loader is not None
    reference = module_from_spec(spec)
    spec.loader.exec_module(reference)
    assert reference.PAGE.read_text("utf-8") == reference.page(), "run python docs/cli_reference.py"


def test_the_api_reference_has_every_public_name():
    names = re.findall(r"^::: stylekit\.(\w+)$", (DOCS / "api.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(names) == sorted(stylekit.__all__)


def test_troubleshooting_has_a_section_for_every_error():
    sections = re.findall(r"^## (\w+)$", (DOCS / "troubleshooting.md").read_text("utf-8"), re.MULTILINE)
    known = {
        name for name, value in vars(errors).items() if isinstance(value, type) and value.__module__ == errors.__name__
    }
    assert sorted(sections) == sorted(known)


def test_troubleshooting_quotes_messages_of_the_code():
    said = "\n".join(
        node.value
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    page = (DOCS / "troubleshooting.md").read_text("utf-8")
    quotes = re.findall(r"^\| (.+?) \|", page, re.MULTILINE) + re.findall(r"^\*([A-Z…].+?)\*", page, re.MULTILINE)
    parts = [part.strip(" .") for quote in quotes if quote != "message" for part in re.split(r"…|[,;] ", quote)]
    assert len(parts) > 80
    assert [part for part in parts if part not in said] == []


def test_the_navigation_has_every_page():
    linked = re.findall(r"^  - .+: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    assert sorted(linked) == sorted(page.name for page in PAGES[1:])


def test_the_layout_in_contributing_has_every_folder():
    listed = re.findall(r"^├── (\w+)/", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(folder.parent.name for folder in PACKAGE.glob("*/__init__.py"))
