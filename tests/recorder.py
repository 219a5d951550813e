"""A pytest plugin that keeps the last run of a `make test-…` target in docs/test-runs.json.

`pytest -p tests.recorder --record test-faults …` replaces the entry of that name: commit, whether the tree
was dirty, when, how long, and how many tests passed, failed and were skipped. A run that was interrupted, or
found nothing to run, is not kept.
"""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from include.adapters.files import write_atomically
from include.commands.benchmark_record import provenance
from include.config.settings import REPOSITORY_ROOT

RUNS = REPOSITORY_ROOT / "docs" / "test-runs.json"
ENDED = frozenset({pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED})


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the name to record under."""
    parser.addoption("--record", metavar="TARGET", help="keep the run's counts in docs/test-runs.json")
    parser.addoption("--record-file", type=Path, default=RUNS, help="keep them here instead")


def pytest_configure(config: pytest.Config) -> None:
    """Watch the run where results come together, which is not a worker of xdist."""
    target = config.getoption("--record")
    if target and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(target, config.getoption("--record-file")))


class Recorder:
    """Keeps one run."""

    def __init__(self, target: str, path: Path) -> None:
        self._target = target
        self._path = path
        self._started = time.monotonic()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
        """Write the entry, the other targets' as they were."""
        if exitstatus not in ENDED:
            return
        runs: dict[str, Any] = json.loads(self._path.read_text()) if self._path.exists() else {}
        runs[self._target] = self._entry(terminalreporter.stats)
        write_atomically(self._path, (json.dumps(runs, indent=2, sort_keys=True) + "\n").encode())
        terminalreporter.write_line(f"{self._target} is recorded in {self._path}")

    def _entry(self, stats: dict[str, list[Any]]) -> dict[str, Any]:
        counts = {name: len(stats.get(name, ())) for name in ("passed", "failed", "skipped")}
        counts["failed"] += len(stats.get("error", ()))
        facts = provenance(())
        return {
            **{name: facts[name] for name in ("commit", "commit_dirty", "machine")},
            "ended_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "duration_seconds": round(time.monotonic() - self._started, 1),
            **counts,
        }
