"""Folders, and writing whole or not at all."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stylekit.errors import OutputExists
from stylekit.losses.weights import loss_weights_path
from stylekit.styles import locations
from stylekit.system import paths
from stylekit.system.files import _machine, atomic_write, clear_stale, file_hash

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the folders are those of Linux")

FOLDERS = {
    paths.cache_dir: "cache",
    paths.data_dir: "data",
    locations.own_styles_dir: "data/styles",
    locations.downloaded_styles_dir: "cache/styles",
    loss_weights_path: "cache/weights/vgg19.safetensors",
}


def by_name(function):
    return function.__name__ if callable(function) else None


@pytest.mark.parametrize(("function", "place"), FOLDERS.items(), ids=by_name)
def test_stylekit_home_holds_everything_and_nothing_is_made_in_it(tmp_path, monkeypatch, function, place):
    monkeypatch.setenv("STYLEKIT_HOME", str(tmp_path / "home"))
    assert function() == tmp_path / "home" / place
    assert not (tmp_path / "home").exists()


def test_stylekit_home_may_begin_with_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("STYLEKIT_HOME", "~/styles")
    assert paths.cache_dir() == tmp_path / "styles" / "cache"


@linux_only
@pytest.mark.parametrize("home", [None, ""], ids=["unset", "empty"])
@pytest.mark.parametrize(("function", "place"), FOLDERS.items(), ids=by_name)
def test_without_stylekit_home_folders_are_the_platforms(tmp_path, monkeypatch, home, function, place):
    monkeypatch.delenv("STYLEKIT_HOME") if home is None else monkeypatch.setenv("STYLEKIT_HOME", home)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg" / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg" / "data"))
    kind, _, rest = place.partition("/")
    assert function() == tmp_path / "xdg" / kind / "stylekit" / rest
    assert not (tmp_path / "xdg").exists()


def test_bundled_styles_lie_in_the_package():
    assert locations.bundled_styles_dir() == Path(locations.__file__).parent / "bundled"


def test_a_files_hash_is_its_sha_256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_hash(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_file_appears_once_it_is_whole(tmp_path):
    target = tmp_path / "new" / "folder" / "picture.png"
    with atomic_write(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.name.startswith(".")
        assert temporary.suffix == ".png"
        temporary.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("begun", [True, False], ids=["begun", "not begun"])
def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path, error, begun):
    target = tmp_path / "picture.png"
    target.write_text("old")
    with pytest.raises(error), atomic_write(target) as temporary:
        if begun:
            temporary.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_old_file_is_replaced(tmp_path):
    target = tmp_path / "picture.png"
    target.write_text("old")
    with atomic_write(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", lambda *arguments: (_ for _ in ()).throw(OSError(errno.EPERM, "no links")))
    target = tmp_path / "picture.png"
    with atomic_write(target, overwrite=False) as temporary:
        temporary.write_text("first")
    with pytest.raises(OutputExists, match="already exists"), atomic_write(target, overwrite=False) as temporary:
        temporary.write_text("second")
    assert target.read_text() == "first"
    assert list(tmp_path.iterdir()) == [target]


def test_a_disk_that_is_full_when_the_file_is_flushed_keeps_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "picture.png"
    target.write_text("old")
    monkeypatch.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
    with pytest.raises(OSError, match="No space left"), atomic_write(target) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("answer", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_without_fsync_is_written_to(tmp_path, monkeypatch, answer):
    monkeypatch.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError(answer, "no fsync")))
    with atomic_write(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
    assert (tmp_path / "a.txt").read_text() == "whole"


def test_a_folder_is_not_replaced(tmp_path):
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(OSError), atomic_write(target) as temporary:
        temporary.write_text("new")
    assert list(tmp_path.iterdir()) == [target]


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    target = tmp_path / "picture.png"
    with atomic_write(target) as first, atomic_write(target) as second:
        first.write_text("first")
        second.write_text("second")
    assert target.read_text() == "first"  # whose block ended last
    assert list(tmp_path.iterdir()) == [target]


@linux_only
@pytest.mark.parametrize(
    "stem", ["a" * 251, "写" * 80, "é" * 120, "🎨" * 60], ids=["letters", "CJK", "accents", "emoji"]
)
def test_names_as_long_as_a_file_system_allows_can_be_written(tmp_path, stem):
    with atomic_write(tmp_path / f"{stem}.jpg") as temporary:
        temporary.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == [f"{stem}.jpg"]


def leave_temporary_of_dead_process(target):
    """Begin to write in a process that ends at once, as a killed one does."""
    script = (
        "import os, sys, pathlib, stylekit.system.files\n"
        "with stylekit.system.files.atomic_write(pathlib.Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(target)], env=os.environ, check=False).returncode == 9


@pytest.mark.skipif(sys.platform == "win32", reason="there, whether a process lives is not asked")
def test_what_a_killed_process_left_is_cleared(tmp_path):
    leave_temporary_of_dead_process(tmp_path / "my.picture.png")
    assert len(list(tmp_path.iterdir())) == 1
    clear_stale(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_living_process_is_writing_is_kept(tmp_path):
    with atomic_write(tmp_path / "picture.png") as temporary:
        temporary.write_text("half")
        clear_stale(tmp_path)
        assert temporary.exists()


def test_what_another_users_process_is_writing_is_kept(tmp_path, monkeypatch):
    def refuse(process, signal):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    with atomic_write(tmp_path / "picture.png") as temporary:
        temporary.write_text("half")
        clear_stale(tmp_path)
        assert temporary.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="there, whether a process lives is not asked")
def test_what_another_machine_may_be_writing_is_kept(tmp_path, monkeypatch):
    leave_temporary_of_dead_process(tmp_path / "picture.png")
    _machine.cache_clear()
    monkeypatch.setattr("platform.node", lambda: "elsewhere")
    clear_stale(tmp_path)
    _machine.cache_clear()
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(("age_hours", "kept"), [(23, True), (25, False)])
def test_what_lies_there_for_more_than_a_day_is_cleared_whoever_wrote_it(tmp_path, age_hours, kept):
    temporary = tmp_path / f".picture.{os.getpid()}-89abcdef-abcdef01.stylekit-part.png"
    temporary.write_text("half")
    then = time.time() - age_hours * 3600
    os.utime(temporary, (then, then))
    clear_stale(tmp_path)
    assert temporary.exists() is kept


@pytest.mark.parametrize(
    "name",
    [
        "picture.png",
        ".hidden.png",
        "picture.stylekit-part.png",
        ".picture.stylekit-part.png",
        ".stylekit-part",
        ".picture.abc-def-ghi.stylekit-part.png",
        f".picture.99999999999999999999-{_machine()}-abcdef01.stylekit-part.png",
        f".picture.²-{_machine()}-abcdef01.stylekit-part.png",
    ],
)
def test_files_of_others_are_kept(tmp_path, name):
    (tmp_path / name).write_text("mine")
    clear_stale(tmp_path)
    assert (tmp_path / name).exists()


def test_a_folder_that_is_absent_has_nothing_stale(tmp_path):
    clear_stale(tmp_path / "absent")
    assert list(tmp_path.iterdir()) == []
