"""What processes use, by Unix session, as /proc tells it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from include.commands.unix_processes import family_of

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_USER_TICKS, _SYSTEM_TICKS, _CHILD_USER_TICKS, _CHILD_SYSTEM_TICKS = 11, 12, 13, 14
"""Places in /proc/<pid>/stat behind the name."""


@dataclass(frozen=True)
class Usage:
    """CPU seconds since the start, and resident memory now, of all processes of a session."""

    cpu_seconds: float
    resident_mib: float


def usage_of(session: int) -> Usage:
    """Return what a session and all it started have used; memory they share counts once, in shares."""
    pids = [process.pid for process in family_of(session)]
    return Usage(sum(map(_cpu_seconds, pids)), sum(map(_resident_mib, pids)))


def cpu_between(before: Mapping[str, Usage], after: Mapping[str, Usage]) -> dict[str, float]:
    """Return the CPU seconds used in between, by name."""
    return {name: after[name].cpu_seconds - before[name].cpu_seconds for name in before}


def usages(sessions: Mapping[str, int]) -> dict[str, Usage]:
    """Return the usage of each session, by name."""
    return {name: usage_of(session) for name, session in sessions.items()}


def _cpu_seconds(pid: int) -> float:
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    places = (_USER_TICKS, _SYSTEM_TICKS, _CHILD_USER_TICKS, _CHILD_SYSTEM_TICKS)
    return sum(int(fields[place]) for place in places) / _TICKS


def _resident_mib(pid: int) -> float:
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0.0
    found = [int(line.split()[1]) for line in lines if line.startswith("Pss:")]
    return sum(found) / 1024
