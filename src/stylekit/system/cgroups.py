"""Find Linux control groups, with which containers and job schedulers limit processes."""

from collections.abc import Iterator
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")
_MEMBERSHIPS = Path("/proc/self/cgroup")


def control_groups(controller: str) -> Iterator[tuple[int, Path]]:
    """Yield the control groups that this process belongs to, each of which may set a limit.

    Args:
        controller: `cpu` or `memory`.

    Yields:
        The version of control groups, 1 or 2, and the folder of a group: first the group of the process, then the
        groups that contain this group. In a container, all folders but the last may be missing, because the paths are
        those on the host. Nothing is yielded on systems other than Linux.
    """
    try:
        memberships = _MEMBERSHIPS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:  # not Linux, or without /proc
        return
    for controllers, path in (membership.split(":", 2)[1:] for membership in memberships):
        if controllers and controller not in controllers.split(","):
            continue
        top = _MOUNT / controller if controllers else _MOUNT
        own = top / path.lstrip("/")
        for folder in (own, *own.parents):
            yield (1 if controllers else 2), folder
            if folder == top:
                break
