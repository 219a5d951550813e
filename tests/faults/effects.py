"""Every moment of a process at which a kill could show: before and after each of its durable effects.

Hooked are the few primitives all of them go through: files opened for writing, moved or deleted under the
home, commits of a database that changed something (the ledger's and MLflow's alike), loads and unloads in
Triton. A new effect of a stage is so met without a word here.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import tritonclient.grpc
from sqlalchemy.engine.default import DefaultDialect

_WRITES = os.O_WRONLY | os.O_RDWR


class Effects:
    """Numbers the moments of this process from 1, and kills it at one of them."""

    def __init__(self, home: Path, kill_at: int | None) -> None:
        self.moments: list[str] = []
        self._home = f"{home}/"
        self._kill_at = kill_at

    def hook(self) -> None:
        """Watch this process from now on; there is no way back, so it is one of its own."""
        sys.addaudithook(self._opened)
        for module, name in ((os, "rename"), (os, "replace"), (os, "unlink"), (shutil, "rmtree")):
            setattr(module, name, self._around(getattr(module, name), name, self._touches_home))
        client = tritonclient.grpc.InferenceServerClient
        for name in ("load_model", "unload_model"):
            setattr(client, name, self._around(getattr(client, name), name, lambda *_: True))
        DefaultDialect.do_commit = self._around(DefaultDialect.do_commit, "commit", _has_changes)

    def watch(self, owner: Any, name: str, counts: Callable[..., bool]) -> None:
        """Watch a method of something else, too; its arguments tell whether a call counts."""
        setattr(owner, name, self._around(getattr(owner, name), name, counts))

    def _moment(self, what: str) -> None:
        self.moments.append(what)
        if len(self.moments) == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def _opened(self, event: str, details: tuple[Any, ...]) -> None:
        if event == "open" and details[2] & _WRITES and self._touches_home(details[0]):
            self._moment(f"before open {details[0]}")

    def _touches_home(self, path: object, *_: object) -> bool:
        return str(path).startswith(self._home)

    def _around(
        self, function: Callable[..., Any], name: str, counts: Callable[..., bool]
    ) -> Callable[..., Any]:
        @wraps(function)
        def watched(*arguments: Any, **named: Any) -> Any:
            if not counts(*arguments):
                return function(*arguments, **named)
            named_things = [str(item) for item in arguments if isinstance(item, str | Path)]
            what = " ".join((name, *named_things))
            self._moment(f"before {what}")
            result = function(*arguments, **named)
            self._moment(f"after {what}")
            return result

        return watched


def _has_changes(_: object, connection: Any) -> bool:
    """Tell a commit that changes the database from the end of a read."""
    before = connection.info.get("changes", 0)
    connection.info["changes"] = connection.total_changes
    return bool(connection.total_changes != before)
