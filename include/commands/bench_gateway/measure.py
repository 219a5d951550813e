"""Runs that take turns, and what is kept of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from include.commands.bench_gateway.closed_loop import Answers
from include.commands.bench_gateway.usage import cpu_between, usages
from include.commands.benchmark_record import Figure

Load = Callable[[], Answers]


@dataclass(frozen=True)
class Measurement:
    """One run: its answers, and what the servers used for them."""

    answers: Answers
    cpu_seconds: Mapping[str, float]
    """By server."""
    resident_mib: Mapping[str, float]
    """By server, at the end."""


@dataclass
class Runs:
    """The runs of one kind."""

    measurements: list[Measurement] = field(default_factory=list)

    def median(self, of: Callable[[Answers], float]) -> float:
        """Return the median over the runs of something of their answers."""
        return median(of(item.answers) for item in self.measurements)

    @property
    def rps(self) -> float:
        """Median of the right answers a second."""
        return self.median(lambda answers: answers.rps)

    def over(self, other: "Runs") -> float:
        """Return the right answers a second over another kind's: the median of turns, which met one load."""
        turns = zip(self.measurements, other.measurements, strict=True)
        return median(ours.answers.rps / theirs.answers.rps for ours, theirs in turns)

    def figures(self, name: str) -> dict[str, Figure]:
        """Return the medians under `<name>_<figure>`."""
        told: dict[str, Figure] = {
            "rps": self.rps,
            "p50_ms": self.median(lambda answers: answers.p50_ms),
            "p99_ms": self.median(lambda answers: answers.p99_ms),
            "p999_ms": self.median(lambda answers: answers.p999_ms),
            "failed": sum(item.answers.failed for item in self.measurements),
            "runs": len(self.measurements),
        }
        for server in self.measurements[0].cpu_seconds:
            told[f"{server}_cpu_seconds_per_1000"] = median(
                1000 * item.cpu_seconds[server] / max(item.answers.right, 1) for item in self.measurements
            )
            told[f"{server}_rss_mib"] = median(item.resident_mib[server] for item in self.measurements)
        return {f"{name}_{figure}": value for figure, value in told.items()}


@dataclass(frozen=True)
class Kind:
    """One kind of run."""

    name: str
    load: Load
    sessions: Mapping[str, int]
    """Unix sessions of the servers it uses, by name."""


def interleaved(runs: int, *kinds: Kind) -> dict[str, Runs]:
    """Run each kind so many times, taking turns, so that all meet the same load of the machine."""
    results: dict[str, Runs] = {}
    for _ in range(runs):
        add_runs(results, kinds)
    return results


def add_runs(results: dict[str, Runs], kinds: Sequence[Kind]) -> None:
    """Run each kind once and add the measurement to the others of its name."""
    for kind in kinds:
        results.setdefault(kind.name, Runs()).measurements.append(_measure(kind))


def _measure(kind: Kind) -> Measurement:
    before = usages(kind.sessions)
    answers = kind.load()
    after = usages(kind.sessions)
    taken = Measurement(
        answers, cpu_between(before, after), {name: usage.resident_mib for name, usage in after.items()}
    )
    print(f"      {kind.name}: {told(taken)}", flush=True)
    return taken


def told(taken: Measurement) -> str:
    """Return a run in one line for people."""
    answers = taken.answers
    cpu = ", ".join(
        f"{name} {1000 * seconds / max(answers.right, 1):.3f} s CPU/1000"
        for name, seconds in taken.cpu_seconds.items()
    )
    return (
        f"{answers.rps:,.0f} rps, p50 {answers.p50_ms:.2f}, p99 {answers.p99_ms:.2f}, "
        f"p99.9 {answers.p999_ms:.2f} ms, {answers.failed} failed; {cpu}"
    )
