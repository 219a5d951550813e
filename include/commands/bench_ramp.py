"""`make bench-ramp`: whole ramps simulated through the real decision, seeded, written to docs/benchmarks/.

A new version that does no harm, and one that fails twice as often, each a thousand times, with a look after
every twentieth of a place's requests; the sizes are those the plan derives. Beside them an analysis that
looks as often and takes each look for the only one, and units whose requests share their fate.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as Picture
from scipy.special import ndtri

from include.adapters.files import replacing
from include.commands.benchmark_record import BENCHMARKS, Figure, write_record
from include.commands.progress import Progress
from include.contracts.guardrails import RequestMetric
from include.contracts.ramps import Ramp, RampVerdict, RolloutPlan
from include.contracts.signatures import Task
from include.rollout.decide import Evidence, decide
from include.rollout.plan import resolved_plan
from include.stats.guardrails import Tally, VariantSample
from include.stats.proportions import score_z
from include.stats.sufficient_statistics import Proportion

SEED = 2017
BASELINE = 0.01
LOOKS = 20
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
SHARES = (0.05, 0.1, 0.25, 0.5)
METRICS = (RequestMetric.ERROR_RATIO, RequestMetric.FALLBACK_RATIO)
PLAN = resolved_plan(
    RolloutPlan.model_validate(
        {
            "stages": [*({"share": share, "hold": "12h"} for share in SHARES), {"share": 1.0, "hold": "0s"}],
            "bake": "0s",
            "guardrails": [{"metric": each, "margin": 0.005, "baseline": BASELINE} for each in METRICS],
        }
    ),
    Task.BINARY,
)
"""The default margins of the ratios, over the shares that have a champion beside them."""
CLUSTER = 0.02
"""First parameter of the error ratios' beta distribution: few units fail, and those often."""
LARGEST_REQUESTS = 50
"""Requests of the busiest unit."""


class Counted(VariantSample):
    """Requests of which only the counts are simulated, each of a unit of its own."""

    def __init__(self, failures: dict[str, int], requests: int) -> None:
        super().__init__(np.empty(0, np.int64), np.empty(0), dict.fromkeys(failures, np.empty(0, np.bool_)))
        object.__setattr__(self, "_failures", failures)
        object.__setattr__(self, "_counted", requests)

    _failures: dict[str, int]
    _counted: int

    @property
    def requests(self) -> int:
        """How many there are."""
        return self._counted

    def tally(self, metric: str) -> Tally:
        """Return the counts of a ratio metric."""
        return Tally(self._failures[metric], self._counted)


@dataclass(frozen=True)
class Ended:
    """How one simulated ramp ended."""

    verdict: RampVerdict
    place: int
    requests: int
    """Requests of the new version at that place."""
    naive: bool
    """Whether looks that are each taken for the only one would have sent it back."""


def main() -> None:
    """Run the simulations and write the figures, the table and the picture."""
    parser = argparse.ArgumentParser(description="Monte Carlo of the ramp; seeded, so it repeats exactly.")
    parser.add_argument("--runs", type=int, default=1_000, help="simulated ramps of each kind")
    parser.add_argument("--unit-runs", type=int, default=300, help="simulated places of units with requests")
    arguments = parser.parse_args()
    record(arguments.runs, arguments.unit_runs)


def record(runs: int, unit_runs: int, folder: Path = BENCHMARKS) -> None:
    """Simulate, and write it down: JSON, table and picture."""
    progress = Progress(total=3)
    with progress.step("ramps of a version that does no harm"):
        harmless = simulated(runs, BASELINE)
    with progress.step("ramps of a version that fails twice as often"):
        doubled = simulated(runs, 2.0 * BASELINE)
    with progress.step("units whose requests share their fate"):
        clustered = clustered_alarms(unit_runs)
    found = {**sizes(), **figures(harmless, doubled), **clustered}
    path = write_record("ramp", "Ramps: promised and simulated", found, ("numpy", "scipy"), folder)
    draw_picture(doubled, folder / "ramp.png")
    progress.say(f"written: {path}")


def sizes() -> dict[str, Figure]:
    """Return the plan's promises and the requests they take."""
    needed = {
        f"requests_at_{share * 100:g}_percent": stage.minimum_requests
        for share, stage in zip(SHARES, PLAN.stages, strict=False)
    }
    return {"baseline_error_ratio": BASELINE, "margin": 0.005, "alpha": PLAN.alpha, "looks": LOOKS, **needed}


def simulated(runs: int, ratio: float) -> list[Ended]:
    """Return the ends of so many ramps of a version with an error ratio; its fallbacks are the champion's."""
    generator = np.random.default_rng(SEED)
    return [ramp(generator, ratio) for _ in range(runs)]


def ramp(generator: np.random.Generator, ratio: float) -> Ended:
    """Simulate one ramp: it ends where it goes back, holds, or has passed every share."""
    naive = False
    for place, stage in enumerate(PLAN.stages[: len(SHARES)]):
        state = Ramp(
            place=place,
            began_at=BEGAN,
            entered_at=BEGAN,
            due_at=BEGAN + stage.hold,
            control_share=stage.share,
        )
        for look, (control, treatment) in enumerate(traffic(generator, stage.share, place, ratio), 1):
            now = BEGAN + stage.hold * (look / LOOKS)
            verdict = decide(PLAN, state, Evidence(treatment, control), {}, now).verdict
            naive = naive or looks_bad(control, treatment)
            if verdict in {RampVerdict.ROLLBACK, RampVerdict.HOLD}:
                return Ended(verdict, place, treatment.requests, naive)
    return Ended(RampVerdict.PROMOTE, len(SHARES), 0, naive)


def traffic(
    generator: np.random.Generator, share: float, place: int, ratio: float
) -> Iterator[tuple[Counted, Counted]]:
    """Yield control and new version after each part of a place's requests."""
    least = PLAN.minimum_at(place)
    ends = np.ceil(least * np.arange(1, LOOKS + 1) / LOOKS).astype(int)
    rest = np.round(ends * (1.0 - share) / share).astype(int)
    counts = {}
    for metric in METRICS:
        worse = ratio if metric is RequestMetric.ERROR_RATIO else BASELINE
        counts[metric.value] = (
            np.cumsum(generator.binomial(np.diff(rest, prepend=0), BASELINE)),
            np.cumsum(generator.binomial(np.diff(ends, prepend=0), worse)),
        )
    for look in range(LOOKS):
        control, treatment = ({name: int(arms[arm][look]) for name, arms in counts.items()} for arm in (0, 1))
        yield Counted(control, int(rest[look])), Counted(treatment, int(ends[look]))


def looks_bad(control: Counted, treatment: Counted) -> bool:
    """Say what a one-sided z-test at the whole alpha says of the errors, as if for the first time."""
    arms = [each.tally(RequestMetric.ERROR_RATIO.value) for each in (control, treatment)]
    z = score_z(*(Proportion(arm.failures, arm.requests) for arm in arms))
    return z > -float(ndtri(PLAN.alpha))


def figures(harmless: list[Ended], doubled: list[Ended]) -> dict[str, Figure]:
    """Return how the ramps ended."""
    runs, by_share = len(harmless), {share: place for place, share in enumerate(SHARES)}
    ends = Counter(each.verdict for each in harmless)
    caught = [each for each in doubled if each.verdict is RampVerdict.ROLLBACK]
    return {
        "ramps": runs,
        "harmless_rolled_back_ratio": ends[RampVerdict.ROLLBACK] / runs,
        "harmless_held_ratio": ends[RampVerdict.HOLD] / runs,
        "harmless_promoted_ratio": ends[RampVerdict.PROMOTE] / runs,
        "harmless_rolled_back_by_naive_looks_ratio": sum(each.naive for each in harmless) / runs,
        "doubled_rolled_back_ratio": len(caught) / runs,
        "doubled_rolled_back_by_25_percent_ratio": sum(each.place <= by_share[0.25] for each in caught)
        / runs,
        "doubled_rolled_back_at_5_percent_ratio": sum(each.place == 0 for each in caught) / runs,
        "doubled_requests_median": float(np.median([each.requests for each in caught])) if caught else 0.0,
    }


def clustered_alarms(runs: int, share: float = 0.25, units: int = 600) -> dict[str, Figure]:
    """Return false rollbacks where a unit sends 1 to 50 requests that share an error ratio, a look a quarter.

    Beside the judgement the same with the units forgotten: each request then counts for itself.
    """
    generator = np.random.default_rng(SEED)
    alarms = np.zeros(2)
    for _ in range(runs):
        control, treatment = (requests_of(generator, int(units * part)) for part in (1.0 - share, share))
        seen = np.zeros(2, dtype=bool)
        for quarter in (0.25, 0.5, 0.75, 1.0):
            arms = [part_of(each, quarter) for each in (control, treatment)]
            apart = [VariantSample(np.arange(arm.requests), arm.latencies, arm.flags) for arm in arms]
            seen |= np.array([goes_back(*arms), goes_back(*apart)])
        alarms += seen
    return {
        "clustered_runs": runs,
        "clustered_harmless_rolled_back_ratio": float(alarms[0] / runs),
        "clustered_rolled_back_if_requests_were_independent_ratio": float(alarms[1] / runs),
    }


def goes_back(control: VariantSample, treatment: VariantSample) -> bool:
    """Say whether a place that is not due yet goes back."""
    state = Ramp(
        place=2, began_at=BEGAN, entered_at=BEGAN, due_at=BEGAN + timedelta(days=1), control_share=0.25
    )
    return decide(PLAN, state, Evidence(treatment, control), {}, BEGAN).verdict is RampVerdict.ROLLBACK


def requests_of(generator: np.random.Generator, units: int) -> VariantSample:
    """Return the requests of new units, unit by unit; an error ratio of its own for each, 1 % on average."""
    requests = generator.integers(1, LARGEST_REQUESTS + 1, units)
    codes = np.repeat(np.arange(units), requests)
    ratios = np.repeat(generator.beta(CLUSTER, CLUSTER / BASELINE - CLUSTER, units), requests)
    failed = generator.random(codes.size) < ratios
    flags = {metric.value: failed for metric in METRICS}
    return VariantSample(codes, np.full(codes.size, 0.01), flags)


def part_of(sample: VariantSample, part: float) -> VariantSample:
    """Return the requests of the first part of the units."""
    kept = sample.units < part * (sample.units[-1] + 1)
    flags = {name: values[kept] for name, values in sample.flags.items()}
    return VariantSample(sample.units[kept], sample.latencies[kept], flags)


def draw_picture(doubled: list[Ended], destination: Path) -> None:
    """Draw after how many requests of the new version a doubled error ratio went back."""
    picture = Picture(figsize=(9, 3.6), layout="constrained")
    axes = picture.subplots()
    for place, share in enumerate(SHARES):
        found = [each.requests for each in doubled if each.place == place]
        if found:
            axes.hist(found, bins=40, label=f"at {share * 100:g} %")
    axes.axvline(PLAN.minimum_at(0), color="black", linestyle=":", label="the first place's requests")
    axes.set(
        xlabel="requests on the new version", ylabel="ramps", title="Twice the error ratio: when it goes back"
    )
    axes.legend()
    with replacing(destination) as path:
        picture.savefig(path, format="png", dpi=120)


if __name__ == "__main__":
    main()
