"""Files: written whole or not at all, errors about them, folders searched and cleared."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stylekit.errors import DownloadError, OutputExists, StylekitError
from stylekit.system.files import (
    atomic_write,
    clear_stale,
    file_hash,
    host_digest,
    is_temporary,
    temporary_folder,
    walk_files,
    writing,
)

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="other systems limit names in other ways")


def test_a_files_hash_is_its_sha_256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_hash(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_file_appears_once_it_is_whole(tmp_path):
    target = tmp_path / "new" / "folder" / "image.png"
    with atomic_write(target) as temporary:
        assert is_temporary(temporary.name) and not is_temporary(target.name)
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
    target = tmp_path / "image.png"
    target.write_text("old")
    with pytest.raises(error), atomic_write(target) as temporary:
        if begun:
            temporary.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_old_file_is_replaced(tmp_path):
    target = tmp_path / "image.png"
    target.write_text("old")
    with atomic_write(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", lambda *arguments: (_ for _ in ()).throw(OSError(errno.EPERM, "no links")))
    target = tmp_path / "image.png"
    with atomic_write(target, overwrite=False) as temporary:
        temporary.write_text("first")
    with pytest.raises(OutputExists, match="already exists"), atomic_write(target, overwrite=False) as temporary:
        temporary.write_text("second")
    assert target.read_text() == "first"
    assert list(tmp_path.iterdir()) == [target]


def test_a_disk_that_is_full_when_the_file_is_flushed_keeps_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "image.png"
    target.write_text("old")
    monkeypatch.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
    with pytest.raises(OSError, match="No space left"), atomic_write(target) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("answer", [errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, 524])
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
    target = tmp_path / "image.png"
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


# --- Leftovers of killed runs


HOUR = 3600
on_posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not say whether a process is running")


def age(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))


@pytest.fixture
def leftover(tmp_path):
    """The temporary file of a process that ended at once, as a killed one does."""
    script = (
        "import os, sys, pathlib, stylekit.system.files\n"
        "with stylekit.system.files.atomic_write(pathlib.Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os._exit(9)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "my.image.png")]
    assert subprocess.run(command, env=os.environ, check=False).returncode == 9
    (temporary,) = tmp_path.iterdir()
    return temporary


@on_posix
def test_a_killed_process_leftover_is_cleared_after_an_hour(tmp_path, leftover):
    age(leftover, 1.1 * HOUR)
    clear_stale(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_fresh_file_of_an_unknown_process_is_kept(tmp_path, leftover):
    """Another container may have the same host name, and processes that are unknown here."""
    age(leftover, 0.9 * HOUR)
    clear_stale(tmp_path)
    assert leftover.exists()


def test_a_running_process_file_is_kept(tmp_path):
    with atomic_write(tmp_path / "image.png") as temporary:
        temporary.write_text("half")
        age(temporary, 23 * HOUR)
        clear_stale(tmp_path)
        assert temporary.exists()


def test_another_users_process_file_is_kept(tmp_path, monkeypatch):
    def refuse(process, signal):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    with atomic_write(tmp_path / "image.png") as temporary:
        temporary.write_text("half")
        age(temporary, 23 * HOUR)
        clear_stale(tmp_path)
        assert temporary.exists()


def test_another_hosts_file_is_kept(tmp_path, leftover, monkeypatch):
    age(leftover, 23 * HOUR)
    host_digest.cache_clear()
    monkeypatch.setattr("platform.node", lambda: "elsewhere")
    clear_stale(tmp_path)
    host_digest.cache_clear()
    assert leftover.exists()


@pytest.mark.parametrize(("hours", "kept"), [(23, True), (25, False)])
def test_any_temporary_file_is_cleared_after_a_day(tmp_path, hours, kept):
    temporary = tmp_path / f".image.{os.getpid()}-89abcdef-abcdef01.stylekit-part.png"
    temporary.write_text("half")
    age(temporary, hours * HOUR)
    clear_stale(tmp_path)
    assert temporary.exists() is kept


def test_a_temporary_folder_is_hidden_and_deleted(tmp_path):
    with temporary_folder(tmp_path) as folder:
        (folder / "image.png").write_text("trial")
        assert [path.name[0] for path in tmp_path.iterdir()] == ["."]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("hours", "kept"), [(0.9, True), (1.1, False)])
@on_posix
def test_a_killed_process_folder_is_cleared_with_its_contents(tmp_path, hours, kept):
    folder = tmp_path / f".folder.999999999-{host_digest()}-abcdef01.stylekit-part"
    folder.mkdir()
    (folder / "image.png").write_text("trial")
    age(folder, hours * HOUR)
    clear_stale(tmp_path)
    assert folder.exists() is kept


@pytest.mark.parametrize(
    "name",
    [
        "image.png",
        ".hidden.png",
        "image.stylekit-part.png",
        ".image.stylekit-part.png",
        ".stylekit-part",
        ".image.abc-def-ghi.stylekit-part.png",
        f".image.99999999999999999999-{host_digest()}-abcdef01.stylekit-part.png",
        f".image.²-{host_digest()}-abcdef01.stylekit-part.png",
    ],
)
def test_files_of_other_programs_are_kept(tmp_path, name):
    (tmp_path / name).write_text("mine")
    age(tmp_path / name, 1000 * HOUR)
    clear_stale(tmp_path)
    assert (tmp_path / name).exists()


def test_a_missing_folder_has_nothing_to_clear(tmp_path):
    clear_stale(tmp_path / "absent")
    assert list(tmp_path.iterdir()) == []


# --- Errors


@pytest.mark.parametrize(
    ("number", "message", "hint"),
    [
        (errno.ENOSPC, "No space left on device", "Free some disk space, or choose another --output."),
        (errno.EDQUOT, "Disk quota exceeded", "Free some disk space, or choose another --output."),
        (errno.EACCES, "Permission denied", "Check the folder's permissions, or choose another --output."),
        (errno.EROFS, "Read-only file system", "Check the folder's permissions, or choose another --output."),
        (
            errno.EIO,
            "Input/output error",
            "Check the path, its permissions and the free space, or choose another --output.",
        ),
    ],
)
def test_a_failed_write_names_the_path_the_reason_and_the_remedy(tmp_path, number, message, hint):
    path = tmp_path / "image.png"
    with pytest.raises(DownloadError) as caught, writing(path, DownloadError, "choose another --output"):
        raise OSError(number, message)
    assert (caught.value.message, caught.value.hint) == (f"Cannot write {path}: {message}.", hint)
    assert isinstance(caught.value.__cause__, OSError)


def test_a_failed_write_without_another_remedy_has_a_short_hint(tmp_path):
    with pytest.raises(StylekitError) as caught, writing(tmp_path, StylekitError):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.hint == "Free some disk space."


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not delete a working folder")
def test_a_failed_write_below_a_deleted_working_folder_says_so(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with (
        pytest.raises(DownloadError) as caught,
        writing(Path("a.jpg"), DownloadError),
        atomic_write(Path("a.jpg")) as path,
    ):
        path.touch()
    assert caught.value.message == "The working folder no longer exists."
    assert caught.value.hint == "Change to another folder with `cd`."
    with pytest.raises(DownloadError, match="No space"), writing(tmp_path / "a.jpg", DownloadError):
        raise OSError(errno.ENOSPC, "No space")


@pytest.mark.parametrize(("error", "reason"), [(OSError("broken stream."), "broken stream"), (OSError(), "OSError")])
def test_a_failed_write_without_a_number_says_what_it_can(tmp_path, error, reason):
    with pytest.raises(StylekitError) as caught, writing(tmp_path / "a", StylekitError):
        raise error
    assert caught.value.message == f"Cannot write {tmp_path / 'a'}: {reason}."


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError, OutputExists])
def test_errors_that_are_not_the_file_systems_pass_through(tmp_path, error):
    with pytest.raises(error) as caught, writing(tmp_path / "a", DownloadError):
        raise error("other")
    assert type(caught.value) is error


# --- Folders


SUFFIXES = {".jpg", ".png"}


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "photos"
    for name in ("b.jpg", "a.PNG", "notes.txt", ".hidden.jpg", "deep/d.jpg", "deep/deeper/e.jpg", "Also/c.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    for junk in (".git", "__MACOSX", "@eaDir", "deep/$RECYCLE.BIN"):
        (root / junk).mkdir()
        (root / junk / "junk.jpg").touch()
    return root


def names(root, **options):
    return [path.relative_to(root).as_posix() for path in walk_files(root, SUFFIXES, **options)]


def test_files_are_found_in_order_without_hidden_ones_and_junk(tree):
    assert names(tree) == ["a.PNG", "b.jpg", "Also/c.jpg", "deep/d.jpg", "deep/deeper/e.jpg"]


def test_subfolders_can_be_left_out(tree):
    assert names(tree, recursive=False) == ["a.PNG", "b.jpg"]


def test_linked_folders_are_followed_and_loops_end(tree, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "f.jpg").touch()
    try:
        (tree / "link").symlink_to(tmp_path / "elsewhere")
        (tree / "loop").symlink_to(tree)
        (tree / "deep" / "again").symlink_to(tree / "Also")
    except OSError:
        pytest.skip("links cannot be made here")
    assert names(tree) == ["a.PNG", "b.jpg", "Also/c.jpg", "deep/d.jpg", "deep/deeper/e.jpg", "link/f.jpg"]


def test_a_folder_that_is_itself_a_link_or_hidden_is_searched(tree, tmp_path):
    (tmp_path / ".link").symlink_to(tree)
    assert len(names(tmp_path / ".link")) == 5


def test_a_missing_folder_has_no_files(tmp_path):
    assert names(tmp_path / "absent") == []
