"""How much memory this process may still take: the system's, and that of its control groups."""

from __future__ import annotations

from pathlib import Path

__all__ = ["free_memory"]


def free_memory(proc="/proc", groups="/sys/fs/cgroup"):
    """Bytes; None where the system does not tell. proc, groups: where Linux shows them."""
    try:
        lines = Path(proc, "meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None
    try:
        own = Path(proc, "self/cgroup").read_text().splitlines()
    except OSError:
        own = []
    found = []
    for line in own:
        _, kinds, place = line.split(":", 2)
        if not kinds:
            found += [_room(folder, "memory.max", "anon") for folder in _upwards(groups, place)]
        elif "memory" in kinds.split(","):
            found += [_room(folder, "memory.limit_in_bytes", "total_rss") for folder in
                      _upwards(f"{groups}/memory", place)]
    return min([free, *(room for room in found if room is not None)])


def _upwards(root, place):
    """The group's folder and those above it, whose limits hold too; in a container `place` may not be seen."""
    parts = [part for part in place.split("/") if part not in ("", "..")]
    return [Path(root, *parts[:n]) for n in range(len(parts), -1, -1)]


def _room(folder, limit, used):
    """What a group's limit leaves; None without one. The rest of what it uses is mostly cache, which can be dropped,
    but for files in memory."""
    shared = used.replace("anon", "shmem").replace("rss", "shmem")
    try:
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return max(0, int((folder / limit).read_text()) - int(stat[used]) - int(stat.get(shared, 0)))
    except (OSError, ValueError, KeyError):  # no such group, or "max"
        return None
