"""How the feature benchmark measures: runs in processes of their own, taking turns, each within bounds."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import monotonic

from include.commands.benchmark_record import Figure
from include.contracts.errors import PlatformError

AT_LEAST = "_at_least"
"""Ending of a figure that is a lower bound: the run was stopped before it was done."""

_POLL_SECONDS = 0.2
_PAGE_MIB = 4096 / 2**20
_LAST_CHARACTERS = 2000


@dataclass(frozen=True)
class Limits:
    """What a run may take before it is stopped.

    Attributes:
        seconds: wall time of its process.
        mib: resident memory of its process.
    """

    seconds: float
    mib: float


@dataclass(frozen=True)
class Measurement:
    """What one run took; until it was stopped, where it did not complete."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    rows: int
    complete: bool = True


@dataclass
class Runs:
    """The measurements of one kind of run."""

    measurements: list[Measurement] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether no run was stopped."""
        return all(item.complete for item in self.measurements)

    @property
    def seconds(self) -> float:
        """Median wall time; of a stopped kind the time it had lasted."""
        return median(item.seconds for item in self._told)

    @property
    def peak_mib(self) -> float:
        """Median peak of resident memory, MiB; of a stopped kind what it had reached."""
        return median(item.peak_mib for item in self._told)

    @property
    def rows(self) -> int:
        """Rows of the last run."""
        return self.measurements[-1].rows

    @property
    def _told(self) -> list[Measurement]:
        return [item for item in self.measurements if item.complete == self.complete]

    def figures(self, name: str) -> dict[str, Figure]:
        """Return seconds, peak memory and the number of runs under a name; bounds are named as such."""
        told = self._told
        if not self.complete:
            return {
                f"{name}_seconds{AT_LEAST}": self.seconds,
                f"{name}_peak_mib{AT_LEAST}": self.peak_mib,
                f"{name}_runs": len(told),
            }
        return {
            f"{name}_seconds": self.seconds,
            f"{name}_cpu_seconds": median(item.cpu_seconds for item in told),
            f"{name}_peak_mib": self.peak_mib,
            f"{name}_runs": len(told),
        }


def ratio(name: str, slower: Runs, faster: Runs) -> dict[str, Figure]:
    """Return how many times faster one kind was; a lower bound where the slower one was stopped.

    Raises:
        PlatformError: the faster one was stopped.
    """
    if not faster.complete:
        raise PlatformError(f"{name}: the runs it is measured by were stopped; give them more time")
    return {name + ("" if slower.complete else AT_LEAST): slower.seconds / faster.seconds}


def interleaved(runs: int, limits: Limits, *kinds: tuple[str, Mapping[str, object]]) -> list[Runs]:
    """Run each kind so many times, taking turns, so that all meet the same load of the machine.

    A kind that was stopped once does not run again: it would only be stopped again.
    """
    results = [Runs() for _ in kinds]
    for _ in range(runs):
        for result, (what, arguments) in zip(results, kinds, strict=True):
            if result.complete:
                result.measurements.append(measure(what, arguments, limits))
    return results


def measure(what: str, arguments: Mapping[str, object], limits: Limits) -> Measurement:
    """Run once in a process of its own and stop it where it passes a limit.

    Raises:
        PlatformError: the run failed; the message carries its last words.
    """
    command = [sys.executable, "-m", "include.commands.bench_features_runs", what, json.dumps(arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603 - ours
    ends_at, peak = monotonic() + limits.seconds, 0.0
    while True:
        try:
            output, errors = process.communicate(timeout=_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            peak = max(peak, _resident_mib(process.pid))
            if monotonic() > ends_at or peak > limits.mib:
                return _told(what, _stopped(process, peak))
        else:
            break
    if process.returncode != 0:
        raise PlatformError(f"the run {what!r} failed: {errors[-_LAST_CHARACTERS:]}")
    return _told(what, Measurement(**json.loads(output.splitlines()[-1])))


def _stopped(process: subprocess.Popen[str], peak_mib: float) -> Measurement:
    now = monotonic()
    process.kill()
    output, _ = process.communicate()
    # The clock is the machine's: the run told when it began on the same one.
    began = json.loads(output.splitlines()[0])["began"] if output else now
    return Measurement(now - began, 0.0, peak_mib, 0, complete=False)


def _resident_mib(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE_MIB
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def _told(what: str, taken: Measurement) -> Measurement:
    sign = "" if taken.complete else "stopped after "
    print(f"      {what} {sign}{taken.seconds:.2f} s, {taken.peak_mib:.0f} MiB", flush=True)
    return taken
