"""Group-sequential tests end to end, on simulated experiments: do they err as little as they promise?"""

import inspect

import numpy as np
import pytest
from scipy.stats import norm

from include.stats import sequential
from include.stats.delta_method import difference_of_ratios
from include.stats.sequential import (
    SPENDINGS,
    critical_values,
    equally_spaced,
    plan_design,
    sample_size_proportions,
)
from include.stats.sufficient_statistics import JointMoments

RUNS = 4_000


def within_simulation_error(level, runs=RUNS):
    """Return an approximation that holds 99.99 % of honest simulations."""
    return pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / runs))


def simulated_z(draw, control_rate, treatment_rate, batches, batch):
    """Return z of two proportions after every batch, shape (RUNS, batches)."""
    sizes = batch * np.arange(1, batches + 1)
    shares = [
        np.cumsum(draw.binomial(batch, rate, (RUNS, batches)), axis=1) / sizes
        for rate in (control_rate, treatment_rate)
    ]
    variance = sum(share * (1 - share) for share in shares) / sizes
    return (shares[1] - shares[0]) / np.sqrt(variance)


@pytest.mark.parametrize("spending", SPENDINGS)
def test_a_look_after_every_batch_keeps_the_type_one_error(spending):
    """A/A experiments on a 10 % conversion, 20 looks 1,000 units an arm apart, two-sided 5 %."""
    z = simulated_z(np.random.default_rng(31), 0.1, 0.1, batches=20, batch=1_000)
    rejected = (np.abs(z) > critical_values(equally_spaced(20), spending=spending)).any(axis=1).mean()

    assert within_simulation_error(0.05) == rejected


def test_naive_peeking_errs_five_times_as_often():
    """The same experiments with 1.96 at each look: about a quarter are false alarms."""
    z = simulated_z(np.random.default_rng(31), 0.1, 0.1, batches=20, batch=1_000)

    assert within_simulation_error(0.248) == (np.abs(z) > norm.isf(0.025)).any(axis=1).mean()


@pytest.mark.parametrize("spending", SPENDINGS)
def test_the_planned_units_give_the_planned_power(spending):
    """At the MDE, with the sizes of the plan, and looks at a quarter, half, three quarters and the end."""
    looks = equally_spaced(4)
    size = sample_size_proportions(0.1, 0.02, power=0.8, fractions=looks, spending=spending).control
    z = simulated_z(np.random.default_rng(32), 0.1, 0.12, batches=4, batch=-(-size // 4))
    power = (z > critical_values(looks, spending=spending)).any(axis=1).mean()

    assert within_simulation_error(0.8) == power


def test_the_size_without_inflation_misses_the_power():
    """Pocock-like looks on the units of a fixed-sample plan lose several points of power."""
    size = sample_size_proportions(0.1, 0.02, power=0.8).control
    z = simulated_z(np.random.default_rng(33), 0.1, 0.12, batches=4, batch=size // 4)
    power = (z > critical_values(equally_spaced(4), spending="pocock")).any(axis=1).mean()

    assert power < 0.76


def test_unplanned_uneven_looks_keep_the_type_one_error():
    """Each of 4,000 experiments looks when it pleases, at 1 to 8 random information fractions."""
    draw = np.random.default_rng(34)
    rejected = 0
    for _ in range(1_000):
        looks = np.append(np.sort(draw.uniform(0.02, 0.95, draw.integers(0, 8))), 1.0)
        bounds = critical_values(looks, spending="pocock")
        paths = np.cumsum(draw.normal(size=(4, looks.size)) * np.sqrt(np.diff(looks, prepend=0.0)), axis=1)
        rejected += (np.abs(paths / np.sqrt(looks)) > bounds).any(axis=1).sum()

    assert within_simulation_error(0.05) == rejected / 4_000


def test_futility_stops_early_and_costs_no_type_one_error():
    """Under no effect most runs stop for futility; those that go on regardless still reject at most alpha."""
    design = plan_design(equally_spaced(5), 0.025, 1, 0.9, futility="pocock")
    z = np.random.default_rng(35).normal(size=(40_000, 5)).cumsum(axis=1) / np.sqrt(np.arange(1, 6))
    rejected = (z > design.upper).any(axis=1).mean()
    futile = (z[:, :4] < np.array(design.lower)[:4]).any(axis=1).mean()

    assert within_simulation_error(0.025, 40_000) == rejected
    assert futile > 0.8


def test_ratio_metrics_with_correlated_requests_keep_the_type_one_error_over_looks():
    """1 to 50 requests a unit that share a rate, four looks: clustered holds 5 %, request-level does not."""
    draw = np.random.default_rng(36)
    bounds = critical_values(equally_spaced(4), spending="pocock")
    runs, clustered, naive = 1_000, 0, 0
    for _ in range(runs):
        arms, stopped = [JointMoments(), JointMoments()], np.zeros(2, dtype=bool)
        for bound in bounds:
            for arm in (0, 1):
                requests = draw.integers(1, 51, 200)
                arms[arm] += JointMoments.of(draw.binomial(requests, draw.beta(1, 9, 200)), requests)
            effect = difference_of_ratios(*arms)
            stopped |= [abs(effect.z) > bound, abs(effect.value) > bound * request_error(arms)]
        clustered, naive = clustered + stopped[0], naive + stopped[1]

    assert within_simulation_error(0.05, runs) == clustered / runs
    assert naive / runs > 0.2


def request_error(arms):
    """Return the standard error of a difference of ratios as if requests were independent."""
    shares = [arm.mean_x / arm.mean_y for arm in arms]
    return np.sqrt(sum(p * (1 - p) / (arm.units * arm.mean_y) for p, arm in zip(shares, arms, strict=True)))


def test_the_promised_signatures_stand():
    """Other code, and other people's, calls them by these names, defaults and order."""
    promised = {
        "spent_alpha": [
            ("fractions", None),
            ("alpha", None),
            ("spending", "obrien_fleming"),
            ("parameter", None),
        ],
        "critical_values": [
            ("fractions", None),
            ("alpha", 0.05),
            ("sides", 2),
            ("spending", "obrien_fleming"),
            ("parameter", None),
            ("information", None),
        ],
        "inflation_factor": [
            ("fractions", None),
            ("alpha", 0.05),
            ("sides", 2),
            ("power", 0.8),
            ("spending", "obrien_fleming"),
            ("parameter", None),
        ],
        "exit_probabilities": [("fractions", None), ("upper", None), ("lower", None), ("drift", 0.0)],
    }
    for name, parameters in promised.items():
        found = inspect.signature(getattr(sequential, name)).parameters.values()
        assert parameters == [(one.name, None if one.default is one.empty else one.default) for one in found]
