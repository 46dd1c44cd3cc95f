"""Linux control groups, by which containers and job schedulers limit a process."""

from collections.abc import Iterator
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")
_MEMBERSHIPS = Path("/proc/self/cgroup")


def control_groups(controller: str) -> Iterator[tuple[int, Path]]:
    """Yield the control groups of this process, each of which may set a limit.

    Args:
        controller: `cpu` or `memory`.

    Yields:
        The version of control groups, 1 or 2, and a group's folder: the process's own group first, then its parents.
        Nothing on other systems than Linux. In a container the path of the own group may be the host's, so that only
        the topmost folder exists.
    """
    try:
        memberships = _MEMBERSHIPS.read_text().splitlines()
    except OSError:  # not Linux
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
