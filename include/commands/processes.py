"""Starting and stopping the platform's processes: a Procfile under honcho, and nothing left behind."""

import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from include.adapters.files import write_atomically
from include.commands.environment import process_environment
from include.commands.ports import check_ports, ports_of
from include.commands.readiness import CHECKS, reason_not_ready
from include.commands.secrets import USERS, ensure_secrets, passwords
from include.commands.stack import (
    Stack,
    Started,
    is_alive,
    read_record,
    record_path,
    started,
    survivors,
    write_record,
)
from include.commands.unix_processes import boot_id, send
from include.config.settings import REPOSITORY_ROOT, AirflowAuth, Settings
from include.contracts.errors import PlatformError

PROCFILE = REPOSITORY_ROOT / "Procfile"
PROCESSES = tuple(re.findall(r"^([a-z-]+):", PROCFILE.read_text("utf-8"), re.MULTILINE))
"""Names in the Procfile, in order."""

_WORKER = "worker"
DRAIN_SECONDS = 30.0
READY_SECONDS = 180.0
_END_SECONDS = 12.0
_SPAWN_SECONDS = 20.0
_POLL_SECONDS = 0.1
_WATCH_SECONDS = 1.0
_LAST_LINES = 8
_SPAWNED = re.compile(r"system\s+\| (?P<name>[a-z-]+)\.1 started \(pid=(?P<pid>\d+)\)")

Say = Callable[[str], None]


def processes_of(settings: Settings) -> tuple[str, ...]:
    """Return the processes that settings ask for, in order: a worker of Celery only where it has a queue."""
    return tuple(name for name in PROCESSES if name != _WORKER or settings.celery_broker_url)


def start(settings: Settings, names: Sequence[str] = ()) -> Stack:
    """Start the named processes, or all that settings ask for, in the background; return their record.

    Raises:
        PlatformError: they run already, a port is taken, the database cannot be migrated, or a process
            ended at once.
    """
    names = names or processes_of(settings)
    refuse_second_start(settings)
    check_ports(settings.host, ports_of(settings, names))
    ensure_secrets(settings)
    log = _prepare_folders(settings)
    environment = process_environment(settings)
    if "api-server" in names:
        migrate(settings, environment)
        if settings.airflow_auth is AirflowAuth.FAB:
            make_users(settings, environment)
    pid = _spawn(names, environment, log)
    stack = Stack(boot_id(), (_leader("honcho", pid, log),))
    write_record(settings, stack)
    with _undone_if_it_fails(settings):
        stack = Stack(stack.boot, (*stack.sessions, *_await_sessions(names, stack.supervisor, log)))
        write_record(settings, stack)
    return stack


def refuse_second_start(settings: Settings) -> None:
    """Make sure that nothing of an earlier start still runs.

    Raises:
        PlatformError: something does.
    """
    stack = read_record(settings)
    if stack is None:
        return
    left = survivors(stack)
    if left and is_alive(stack.supervisor):
        raise PlatformError(
            f"already running from {settings.home} (pid {stack.supervisor.pid}); `make stop` ends it"
        )
    if left:
        raise PlatformError(f"{len(left)} processes of an earlier start still run; `make stop` ends them")


def is_running(settings: Settings) -> bool:
    """Tell whether what was started last still runs under its supervisor."""
    stack = read_record(settings)
    return stack is not None and bool(survivors(stack)) and is_alive(stack.supervisor)


def wait_until_ready(
    settings: Settings,
    names: Sequence[str] = (),
    timeout_seconds: float = READY_SECONDS,
    say: Say = print,
) -> None:
    """Wait until every started server answers, saying so for each.

    Raises:
        PlatformError: a process ended, or time ran out; the message carries the reason.
    """
    began = time.monotonic()
    waiting = {name: CHECKS[name] for name in names or processes_of(settings) if name in CHECKS}
    while waiting:
        _refuse_dead(settings)
        reasons = {name: reason_not_ready(check, settings) for name, (_, check) in waiting.items()}
        for name in [name for name, reason in reasons.items() if not reason]:
            say(f"{waiting.pop(name)[0]} is ready after {time.monotonic() - began:.1f} s")
        if waiting and time.monotonic() - began > timeout_seconds:
            open_ends = "; ".join(f"{waiting[name][0]}: {reasons[name]}" for name in waiting)
            raise PlatformError(
                f"not ready after {timeout_seconds:.0f} s: {open_ends}; see {log_path(settings)}"
            )
        time.sleep(_POLL_SECONDS)


def wait_until_stopped(settings: Settings) -> None:
    """Wait while everything runs; return when another shell stopped it.

    Raises:
        PlatformError: a process ended by itself; the message carries its last lines.
    """
    while (stack := read_record(settings)) is not None:
        if not is_alive(stack.supervisor):
            time.sleep(_END_SECONDS + _WATCH_SECONDS)  # `make stop` removes the record last
            if read_record(settings) is not None:
                _refuse_dead(settings)
        time.sleep(_WATCH_SECONDS)


def stop(settings: Settings, drain_seconds: float = DRAIN_SECONDS, say: Say = print) -> bool:
    """Stop what runs, letting running tasks end first; return whether there was anything.

    Who runs the tasks, the scheduler or Celery's worker, is asked alone: it drains, while its tasks still
    reach the API server to report.
    """
    stack = read_record(settings)
    if stack is None or not survivors(stack):
        record_path(settings).unlink(missing_ok=True)
        return False
    runner = stack.find(_WORKER) or stack.find("scheduler")
    if runner is not None and is_alive(runner) and is_alive(stack.supervisor):
        say("letting running tasks end")
        send(signal.SIGTERM, [runner.pid])
        if not _gone([runner], drain_seconds):
            say(f"tasks still run after {drain_seconds:.0f} s; they will be run again at the next start")
    _end(stack)
    record_path(settings).unlink(missing_ok=True)
    return True


def log_path(settings: Settings) -> Path:
    """Return the log of all processes, each line with its process's name."""
    return settings.logs_folder / "processes.log"


def migrate(settings: Settings, environment: dict[str, str]) -> None:
    """Bring Airflow's database to this version's schema; skipped when it was.

    Raises:
        PlatformError: Airflow could not; the message carries its last lines.
    """
    url = environment.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "")
    stamp = settings.airflow_home / "migrated.txt"
    wanted = f"{version('apache-airflow-core')} {hashlib.sha256(url.encode()).hexdigest()}\n"
    database = settings.airflow_home / "airflow.db"
    if stamp.exists() and stamp.read_text() == wanted and (url or database.exists()):
        return
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 ours
    if answer.returncode != 0:
        raise PlatformError(f"`airflow db migrate` failed:\n{_last_lines(answer.stdout + answer.stderr)}")
    write_atomically(stamp, wanted.encode())


def make_users(settings: Settings, environment: dict[str, str]) -> None:
    """Make the platform's users in Airflow's database, with the passwords in its secrets; once.

    Raises:
        PlatformError: Airflow could not; the message carries its last lines.
    """
    stamp = settings.airflow_home / "users.txt"
    if stamp.exists():
        return
    found = {
        name: {"role": role.capitalize(), "password": passwords(settings)[name]}
        for name, role in USERS.items()
    }
    answer = subprocess.run(  # noqa: S603 - ours
        [sys.executable, str(REPOSITORY_ROOT / "plugins" / "named_users.py")],
        env=environment,
        input=json.dumps(found),
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        raise PlatformError(f"Airflow's users cannot be made:\n{_last_lines(answer.stdout + answer.stderr)}")
    write_atomically(stamp, b"")


@contextlib.contextmanager
def _undone_if_it_fails(settings: Settings) -> Iterator[None]:
    """Stop what was started when the rest cannot be, also on Ctrl-C."""
    try:
        yield
    except BaseException:
        stop(settings, say=_silent)
        raise


def _silent(_text: str) -> None:
    """Say nothing."""


def _prepare_folders(settings: Settings) -> Path:
    """Make the folders servers write to, set the last log aside, return where the new one goes."""
    for folder in (settings.logs_folder, settings.airflow_home, settings.mlflow_folder / "artefacts"):
        folder.mkdir(parents=True, exist_ok=True)
    log = log_path(settings)
    if log.exists():
        log.replace(log.with_name("processes.1.log"))
    return log


def _spawn(names: Sequence[str], environment: dict[str, str], log: Path) -> int:
    """Start honcho in a session of its own, so that a Ctrl-C here does not reach it; return its pid."""
    command = [sys.executable, "-m", "honcho", "-f", str(PROCFILE), "-d", str(REPOSITORY_ROOT)]
    command += ["-e", os.devnull, "start", *names]
    to_log = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(sys.executable, command, environment, file_actions=to_log, setsid=True)


def _leader(name: str, pid: int, log: Path) -> Started:
    found = started(name, pid)
    if found is None:
        raise PlatformError(f"{name} ended at once:\n{_tail(log)}")
    return found


def _await_sessions(names: Sequence[str], supervisor: Started, log: Path) -> list[Started]:
    """Wait until honcho has started every process; return the session each one leads."""
    deadline = time.monotonic() + _SPAWN_SECONDS
    while time.monotonic() < deadline and is_alive(supervisor):
        pids = {found["name"]: int(found["pid"]) for found in _SPAWNED.finditer(_read_log(log))}
        if set(names) <= pids.keys():
            return [item for name in names if (item := started(name, pids[name])) is not None]
        time.sleep(_POLL_SECONDS)
    raise PlatformError(f"honcho could not start {', '.join(names)}:\n{_tail(log)}")


def _refuse_dead(settings: Settings) -> None:
    stack = read_record(settings)
    dead = [item.name for item in stack.sessions if not is_alive(item)] if stack else ["honcho"]
    if dead:
        raise PlatformError(f"{', '.join(dead)} ended:\n{_tail(log_path(settings), dead[0])}")


def _end(stack: Stack) -> None:
    """End every process of a stack: honcho ends its own; what stays is killed by session."""
    supervised = is_alive(stack.supervisor)
    asked = [stack.supervisor] if supervised else [item for item in stack.sessions if is_alive(item)]
    send(signal.SIGTERM, [item.pid for item in asked])
    _gone(stack.sessions, _END_SECONDS)
    while left := survivors(stack):
        send(signal.SIGKILL, [process.pid for process in left])
        time.sleep(_POLL_SECONDS)
    with contextlib.suppress(ChildProcessError):  # a child only of the process that started it
        os.waitpid(stack.supervisor.pid, os.WNOHANG)


def _gone(items: Sequence[Started], timeout_seconds: float) -> bool:
    deadline = time.monotonic() + timeout_seconds
    while any(is_alive(item) for item in items):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _read_log(log: Path) -> str:
    return log.read_text("utf-8", "replace") if log.exists() else ""


def _tail(log: Path, name: str = "") -> str:
    """Return the last lines of the log, of one process if named and if it said anything."""
    lines = _read_log(log).splitlines()
    own = [line for line in lines if re.match(rf"\S+ {re.escape(name)}\.1\s+\|", line)]
    return _last_lines("\n".join(own if name and own else lines))


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-_LAST_LINES:])
