"""Locks between processes, which leave no file behind."""

import errno
import sys
import threading
import warnings

import pytest

from stylekit.errors import DownloadError, ImageError
from stylekit.system.locks import NO_LOCKS, finally_do, locked


def test_a_lock_that_is_held_is_waited_for(tmp_path):
    order = []

    def second():
        with locked(tmp_path / "new" / "a", DownloadError):
            order.append("second")

    with locked(tmp_path / "new" / "a", DownloadError):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert list((tmp_path / "new").iterdir()) == []


def test_a_lock_that_is_held_can_be_an_error(tmp_path):
    with (
        locked(tmp_path / "a.mp4", ImageError),
        pytest.raises(ImageError, match=r"a\.mp4 is being written by another run"),
        locked(tmp_path / "a.mp4", ImageError, wait=False),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written_the_error_says_so(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(DownloadError, match="Cannot write") as caught,
        locked(tmp_path / "file" / "a", DownloadError, "set STYLEKIT_HOME"),
    ):
        pass
    assert caught.value.hint.endswith(", or set STYLEKIT_HOME.")


def test_files_with_the_longest_names_can_be_locked(tmp_path):
    with locked(tmp_path / ("a" * 251), DownloadError):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def flock_fails(monkeypatch):
    """Return a function that makes every `flock` fail with an error number."""
    if sys.platform == "win32":
        pytest.skip("Windows has no flock")

    def fail(number):
        def flock(*arguments):
            raise OSError(number, "locks fail")

        monkeypatch.setattr("fcntl.flock", flock)

    return fail


UNSUPPORTED = [errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, 524]


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize("number", UNSUPPORTED)
def test_a_folder_without_locks_is_noted_once_and_written_to(tmp_path, flock_fails, number, wait):
    flock_fails(number)
    noted = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("a", "b"):
            with locked(tmp_path / name, DownloadError, wait=wait) as notes:
                (tmp_path / name).touch()
            noted.append(notes)
    assert noted == [(NO_LOCKS,), ()]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_folder_with_locks_is_not_noted(tmp_path):
    with locked(tmp_path / "a", DownloadError) as notes:
        assert notes == ()


def test_a_lock_that_fails_for_another_reason_is_an_error(tmp_path, flock_fails):
    flock_fails(errno.EIO)
    with pytest.raises(DownloadError, match="locks fail"), locked(tmp_path / "a", DownloadError):
        pass


@pytest.mark.parametrize("fails", [False, True])
def test_an_action_happens_once_however_the_block_ends(fails):
    done = []
    try:
        with finally_do(lambda: done.append("done")):
            if fails:
                raise LookupError
    except LookupError:
        pass
    assert done == ["done"]
