"""The record of what was started, kept on disk so that another shell can stop it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from include.adapters.files import write_atomically
from include.commands.unix_processes import UnixProcess, boot_id, read_process, read_processes
from include.config.settings import Settings


@dataclass(frozen=True)
class Started:
    """A process that leads its own Unix session; what it starts stays in that session."""

    name: str
    pid: int
    started: int


@dataclass(frozen=True)
class Stack:
    """What one `start` brought up: honcho first, then the processes of the Procfile."""

    boot: str
    sessions: tuple[Started, ...]

    @property
    def supervisor(self) -> Started:
        """Honcho, which ends all when one ends."""
        return self.sessions[0]

    def find(self, name: str) -> Started | None:
        """Return a process by its name in the Procfile, or None when it was not started."""
        return next((item for item in self.sessions[1:] if item.name == name), None)


def record_path(settings: Settings) -> Path:
    """Return where the record lies."""
    return settings.home / "run" / "stack.json"


def write_record(settings: Settings, stack: Stack) -> None:
    """Write the record in one step."""
    write_atomically(record_path(settings), (json.dumps(asdict(stack), indent=1) + "\n").encode())


def read_record(settings: Settings) -> Stack | None:
    """Return what was started last and not stopped, or None."""
    try:
        found = json.loads(record_path(settings).read_text("utf-8"))
    except FileNotFoundError:
        return None
    return Stack(found["boot"], tuple(Started(**item) for item in found["sessions"]))


def started(name: str, pid: int) -> Started | None:
    """Return the record of a running process, or None when it ended already."""
    process = read_process(pid)
    return None if process is None else Started(name, pid, process.started)


def is_alive(item: Started) -> bool:
    """Tell whether a process runs and is the one that was started, not a later one of the same pid."""
    process = read_process(item.pid)
    return process is not None and process.started == item.started


def survivors(stack: Stack) -> list[UnixProcess]:
    """Return every process of the stack's sessions that runs, orphans included."""
    if stack.boot != boot_id():
        return []
    processes = {process.pid: process for process in read_processes()}
    sessions = {
        item.pid
        for item in stack.sessions
        if item.pid not in processes or processes[item.pid].started == item.started
    }
    return [process for process in processes.values() if process.session in sessions]
