"""`make bench-stats`: the longer Monte Carlo behind the statistics, seeded, written to docs/benchmarks/.

It measures what experiments are promised: the type I error with a look after every batch, the power at the
planned size, and the same where requests of a unit are correlated; beside each, the naive analysis failing.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
from matplotlib.figure import Figure as Picture
from numpy.typing import NDArray
from scipy.special import ndtri

from include.adapters.files import replacing
from include.commands.benchmark_record import BENCHMARKS, Figure, write_record
from include.commands.progress import Progress
from include.stats.delta_method import difference_of_ratios
from include.stats.sample_ratio import sample_ratio_test, sequential_sample_ratio_test
from include.stats.sequential import (
    SPENDINGS,
    critical_values,
    equally_spaced,
    exit_probabilities,
    sample_size_proportions,
)
from include.stats.spending import Floats
from include.stats.sufficient_statistics import JointMoments

LOOKS = 20
ALPHA = 0.05
POWER = 0.8
BASELINE, MDE = 0.1, 0.01
SEED = 2017
NAIVE = -float(ndtri(ALPHA / 2.0))
"""The z of someone who looks as if for the first time."""
LARGEST_REQUESTS = 50
"""Requests of the busiest unit."""


def main() -> None:
    """Run the simulations and write the figures, the table and the picture."""
    parser = argparse.ArgumentParser(
        description="Monte Carlo of the statistics; seeded, so it repeats exactly."
    )
    parser.add_argument("--runs", type=int, default=200_000, help="simulated experiments of proportions")
    parser.add_argument(
        "--unit-runs", type=int, default=10_000, help="simulated experiments of units with requests"
    )
    arguments = parser.parse_args()
    record(arguments.runs, arguments.unit_runs)


def record(runs: int, unit_runs: int, folder: Path = BENCHMARKS) -> None:
    """Measure everything and write it down: JSON, table and picture."""
    progress = Progress(total=5)
    figures: dict[str, Figure] = {"looks": LOOKS, "alpha": ALPHA, "planned_power": POWER, "runs": runs}
    steps: tuple[tuple[str, Callable[[], dict[str, Figure]]], ...] = (
        ("Type I error with a look after every batch", lambda: type_one_errors(runs)),
        ("Power at the planned size", lambda: powers(runs)),
        ("Correlated requests", lambda: clustered_errors(unit_runs)),
        ("Sample ratio mismatch", lambda: sample_ratio_alarms(unit_runs)),
        ("Speed and precision", speed),
    )
    for title, measure in steps:
        with progress.step(title):
            figures |= measure()
    path = write_record("stats", "Statistics: promised and measured", figures, ("numpy", "scipy"), folder)
    draw_picture(figures, folder / "stats.png")
    progress.say(f"written: {path}")


def simulated_z(runs: int, rates: tuple[float, float], looks: int, batch: int) -> Floats:
    """Return z of treatment less control after every batch, shape (runs, looks); unpooled proportions."""
    generator = np.random.default_rng(SEED)
    sizes = batch * np.arange(1, looks + 1)
    control, treatment = (
        np.cumsum(generator.binomial(batch, rate, (runs, looks)), axis=1) / sizes for rate in rates
    )
    variance = (control * (1.0 - control) + treatment * (1.0 - treatment)) / sizes
    z: Floats = (treatment - control) / np.sqrt(variance)
    return z


def type_one_errors(runs: int) -> dict[str, Figure]:
    """Return the share of A/A experiments that reject at any of the looks, for each spending and for none."""
    z = np.abs(simulated_z(runs, (BASELINE, BASELINE), LOOKS, batch=1_000))
    errors: dict[str, Figure] = {
        f"type_one_error_{spending}": ever(
            z > critical_values(equally_spaced(LOOKS), ALPHA, spending=spending)
        )
        for spending in SPENDINGS
    }
    standard_error = float(np.sqrt(ALPHA * (1.0 - ALPHA) / runs))
    return errors | {
        "type_one_error_naive_peeking": ever(z > NAIVE),
        "simulation_standard_error": standard_error,
    }


def powers(runs: int, looks: int = 5) -> dict[str, Figure]:
    """Return the share of experiments at the MDE, of the planned size, that find it."""
    found: dict[str, Figure] = {"power_looks": looks}
    fractions = equally_spaced(looks)
    for spending in SPENDINGS:
        size = sample_size_proportions(
            BASELINE, MDE, ALPHA, POWER, fractions=fractions, spending=spending
        ).control
        z = simulated_z(runs, (BASELINE, BASELINE + MDE), looks, batch=-(-size // looks))
        found[f"units_per_arm_{spending}"] = size
        found[f"power_{spending}"] = ever(z > critical_values(fractions, ALPHA, spending=spending))
    fixed = sample_size_proportions(BASELINE, MDE, ALPHA, POWER).control
    z = simulated_z(runs, (BASELINE, BASELINE + MDE), looks, batch=fixed // looks)
    bounds = critical_values(fractions, ALPHA, spending="pocock")
    return found | {"units_per_arm_fixed_sample": fixed, "power_pocock_without_inflation": ever(z > bounds)}


def clustered_errors(runs: int, looks: int = 4, units: int = 200) -> dict[str, Figure]:
    """Return false alarms over all looks where a unit sends 1 to 50 requests that share an error ratio."""
    generator = np.random.default_rng(SEED)
    bounds = critical_values(equally_spaced(looks), ALPHA, spending="pocock")
    alarms = np.zeros(2)
    for _ in range(runs):
        arms, seen = [JointMoments(), JointMoments()], np.zeros(2, dtype=bool)
        for bound in bounds:
            arms = [arm + requests_of(generator, units) for arm in arms]
            effect = difference_of_ratios(*arms)
            naive = abs(effect.value) / request_level_error(arms)
            seen |= np.array([abs(effect.z), naive]) > bound
        alarms += seen
    return {
        "clustered_runs": runs,
        "type_one_error_delta_method": float(alarms[0] / runs),
        "type_one_error_request_level": float(alarms[1] / runs),
    }


def requests_of(generator: np.random.Generator, units: int) -> JointMoments:
    """Return errors (x) and requests (y) of new units."""
    requests = generator.integers(1, LARGEST_REQUESTS + 1, units)
    return JointMoments.of(generator.binomial(requests, generator.beta(1.0, 9.0, units)), requests)


def request_level_error(arms: list[JointMoments]) -> float:
    """Return the standard error of a difference of error ratios as if requests were independent."""
    shares = [arm.mean_x / arm.mean_y for arm in arms]
    parts = [share * (1 - share) / (arm.units * arm.mean_y) for share, arm in zip(shares, arms, strict=True)]
    return float(np.sqrt(sum(parts)))


def sample_ratio_alarms(runs: int, looks: int = 20) -> dict[str, Figure]:
    """Return false alarms of a 95 to 5 split at alpha 0.05: at one look, at every look, and sequentially."""
    shares = (0.95, 0.05)
    steps = np.random.default_rng(SEED).multinomial(200, shares, (runs, looks))
    once = every = sequential = 0
    for experiment in np.cumsum(steps, axis=1).tolist():
        alarms = [sample_ratio_test(counts, shares, ALPHA).mismatch for counts in experiment]
        once, every = once + alarms[-1], every + any(alarms)
        sequential += any(
            sequential_sample_ratio_test(counts, shares, ALPHA).mismatch for counts in experiment
        )
    return {
        "srm_runs": runs,
        "srm_false_alarms_one_look": once / runs,
        "srm_false_alarms_peeking": every / runs,
        "srm_false_alarms_sequential": sequential / runs,
    }


def speed() -> dict[str, Figure]:
    """Return milliseconds for bounds, best of several, and by how much their crossing misses alpha."""
    figures: dict[str, Figure] = {}
    for looks in (10, 50):
        bounds = critical_values(equally_spaced(looks))
        crossed = sum(side.sum() for side in exit_probabilities(equally_spaced(looks), bounds, -bounds))
        figures[f"bounds_{looks}_looks_milliseconds"] = 1e3 * min(timed(looks) for _ in range(9))
        figures[f"alpha_missed_{looks}_looks"] = abs(float(crossed) - ALPHA)
    return figures


def timed(looks: int) -> float:
    """Return the seconds that the bounds of so many looks take."""
    began = perf_counter()
    critical_values(equally_spaced(looks))
    return perf_counter() - began


def ever(crossed: NDArray[np.bool_]) -> float:
    """Return the share of runs that crossed at any look."""
    return float(crossed.any(axis=1).mean())


def draw_picture(figures: dict[str, Figure], destination: Path) -> None:
    """Draw the bounds, and the type I errors beside the naive one."""
    picture = Picture(figsize=(11, 4.2), layout="constrained")
    bounds, errors = picture.subplots(1, 2)
    fractions = equally_spaced(LOOKS)
    for spending in SPENDINGS:
        bounds.plot(
            fractions, critical_values(fractions, ALPHA, spending=spending), marker=".", label=spending
        )
    bounds.axhline(NAIVE, color="black", linestyle=":", label="naive")
    bounds.set(
        xlabel="information fraction",
        ylabel="critical z",
        ylim=(1.5, 6),
        title=f"{LOOKS} looks, two-sided 5 %",
    )
    bounds.legend()
    names = [name for name in figures if name.startswith("type_one_error_")]
    errors.barh(
        [name.removeprefix("type_one_error_") for name in names], [float(figures[name]) for name in names]
    )
    errors.axvline(ALPHA, color="black", linestyle=":")
    errors.set(xlabel="false alarms, A/A experiments", title="Type I error over all looks")
    errors.invert_yaxis()
    with replacing(destination) as path:
        picture.savefig(path, format="png", dpi=120)


if __name__ == "__main__":
    main()
