"""What runs on this machine, as Linux's /proc tells it: no `ps` needed."""

import contextlib
import os
import signal
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_LISTENING = "0A"


@dataclass(frozen=True)
class UnixProcess:
    """One process; `started` is in clock ticks since boot and tells a recycled pid apart."""

    pid: int
    session: int
    started: int
    name: str
    parent: int


def read_processes() -> list[UnixProcess]:
    """Return every process that runs; those that ended and wait for their parent are left out."""
    return [found for entry in _PROC.glob("[0-9]*") if (found := _read(entry)) is not None]


def read_process(pid: int) -> UnixProcess | None:
    """Return a process, or None when it does not run."""
    return _read(_PROC / str(pid))


def family_of(leader: int) -> list[UnixProcess]:
    """Return the processes of a session, with all that descend from them and have sessions of their own."""
    processes = read_processes()
    found = {process.pid: process for process in processes if leader in (process.pid, process.session)}
    grown = -1
    while grown != len(found):
        grown = len(found)
        found |= {process.pid: process for process in processes if process.parent in found}
    return list(found.values())


def boot_id() -> str:
    """Return what identifies this boot of the machine."""
    return (_PROC / "sys" / "kernel" / "random" / "boot_id").read_text().strip()


def send(number: signal.Signals, pids: Iterable[int]) -> None:
    """Send a signal to those that still run."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def listener_of(port: int) -> UnixProcess | None:
    """Return the process that listens on a TCP port, if it is one we may look into."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for process in read_processes():
        if sockets & _open_files(process.pid):
            return process
    return None


def bind_error(host: str, port: int) -> OSError | None:
    """Return why a port cannot be listened on, or None when it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a closed server's port is free
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as error:
            return error
    return None


def _read(entry: Path) -> UnixProcess | None:
    try:
        head, _, tail = (entry / "stat").read_text().rpartition(")")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = tail.split()
    if fields[0] in "ZX":
        return None
    return UnixProcess(
        int(entry.name), int(fields[3]), int(fields[19]), head.partition("(")[2], int(fields[1])
    )


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        path = _PROC / "net" / table
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _open_files(pid: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):  # it ended, or it belongs to somebody else
        for entry in (_PROC / str(pid) / "fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                found.add(os.readlink(entry))  # noqa: PTH115 not a path
    return found
