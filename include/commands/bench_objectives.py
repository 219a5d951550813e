"""`make bench-objectives`: false alarms and detection of the burn-rate alerts, by simulation."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
from matplotlib.figure import Figure as Picture
from numpy.typing import NDArray
from scipy.stats import beta

from include.adapters.files import replacing
from include.commands.benchmark_record import BENCHMARKS, Figure, write_record
from include.contracts.objectives import BURN_WINDOWS, PERIOD, BurnWindow
from include.stats.burn_rates import ERROR, MINIMUM_REQUESTS

TARGET = 0.999
SPAN = timedelta(minutes=5)
LAG_MINUTES = 1
SEED = 7
RUNS = 200
TRAFFIC = (10, 100, 10_000)
"""Requests an hour."""
USUAL = (0.1, 0.5)
"""Part of the budget that a healthy service spends."""
TROUBLE = (0.01, 0.1, 1.0)
"""Share of the requests that fail from some moment on."""
DAYS_BEFORE = 3
NOTES = """\
Requests come by chance (Poisson) and fail by chance. A *false alarm* is a period of 30 days in which a pair
of windows fires though the service spends only a part of its budget; *plain* is the same rule without the
lower limit and the least number of requests. *Detected* is the median of the minutes from the first failure
to the alert; -1: not within a day."""


def main() -> None:
    """Simulate, and write the page."""
    figures: dict[str, Figure] = {"target": TARGET, "periods_simulated": RUNS}
    figures |= false_alarms()
    figures |= detection()
    draw_picture(figures)
    path = write_record("objectives", "Burn-rate alerts", figures, ("numpy", "scipy"), notes=NOTES)
    print(f"wrote {path}")


def false_alarms() -> dict[str, Figure]:
    """Return the share of periods with an alarm, of services that keep their objective."""
    found: dict[str, Figure] = {}
    steps = PERIOD // SPAN
    for an_hour in TRAFFIC:
        for part in USUAL:
            total, bad = _requests(an_hour, np.full(steps, part * (1 - TARGET)))
            name = f"at_{an_hour}_an_hour_spending_{part:.0%}".replace("%", "_percent")
            found[f"false_alarm_ratio_{name}"] = float(_alarms(total, bad).any(axis=1).mean())
            found[f"false_alarm_ratio_plain_{name}"] = float(
                _alarms(total, bad, limited=False).any(axis=1).mean()
            )
    return found


def detection() -> dict[str, Figure]:
    """Return the median minutes until trouble is told of."""
    found: dict[str, Figure] = {}
    before, after = timedelta(days=DAYS_BEFORE) // SPAN, timedelta(days=1) // SPAN
    for an_hour in TRAFFIC:
        for share in TROUBLE:
            ratio = np.full(before + after, 0.1 * (1 - TARGET))
            ratio[before:] = share
            alarms = _alarms(*_requests(an_hour, ratio))[:, before:]
            first = np.where(alarms.any(axis=1), alarms.argmax(axis=1) + 1, np.inf)
            middle = float(np.median(first)) * (SPAN / timedelta(minutes=1)) + LAG_MINUTES
            name = f"detected_minutes_{share:.0%}_failing_at_{an_hour}_an_hour".replace("%", "_percent")
            found[name] = middle if np.isfinite(middle) else -1.0
    return found


def _requests(an_hour: int, ratio: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return requests and failures, one row a run and one column a span."""
    random = np.random.default_rng(SEED)
    total = random.poisson(an_hour * (SPAN / timedelta(hours=1)), (RUNS, len(ratio)))
    return total, random.binomial(total, ratio)


def _alarms(total: NDArray[np.int64], bad: NDArray[np.int64], *, limited: bool = True) -> NDArray[np.bool_]:
    """Return in which spans any pair of windows fires."""
    fired = np.zeros(total.shape, np.bool_)
    for each in BURN_WINDOWS:
        fired |= _fires(total, bad, each, limited=limited)
    return fired


def _fires(
    total: NDArray[np.int64], bad: NDArray[np.int64], window: BurnWindow, *, limited: bool
) -> NDArray[np.bool_]:
    allowed = window.rate * (1 - TARGET)
    long_total, long_bad = (_trailing(each, window.long // SPAN) for each in (total, bad))
    short_total, short_bad = (_trailing(each, window.short // SPAN) for each in (total, bad))
    fires = (long_bad > allowed * long_total) & (short_bad > allowed * short_total)
    if limited:
        fires &= long_total >= MINIMUM_REQUESTS
        least = beta.ppf(ERROR, long_bad[fires], long_total[fires] - long_bad[fires] + 1)
        fires[fires] = least > allowed
    return fires


def _trailing(counts: NDArray[np.int64], spans: int) -> NDArray[np.int64]:
    sums = np.cumsum(counts, axis=1)
    sums[:, spans:] -= sums[:, :-spans].copy()
    return sums


def draw_picture(figures: dict[str, Figure]) -> None:
    """Draw false alarms beside the plain rule's, and the times to detection."""
    picture = Picture(figsize=(11, 4.2), layout="constrained")
    alarms, minutes = picture.subplots(1, 2)
    names = [name for name in figures if name.startswith("false_alarm_ratio_at_")]
    labels = [name.removeprefix("false_alarm_ratio_at_").replace("_", " ") for name in names]
    plain = [name.replace("ratio_at", "ratio_plain_at") for name in names]
    _bars(alarms, labels, [figures[name] for name in plain], "lightgrey", "plain rule")
    _bars(alarms, labels, [figures[name] for name in names], "tab:blue", "with limit and minimum")
    alarms.set(xlabel="periods of 30 days with a false alarm", xlim=(0, 1))
    alarms.legend()
    names = [name for name in figures if name.startswith("detected_minutes_")]
    labels = [name.removeprefix("detected_minutes_").replace("_", " ") for name in names]
    _bars(minutes, labels, [figures[name] for name in names], "tab:orange", "median")
    minutes.set(xlabel="minutes until told", xscale="log")
    with replacing(BENCHMARKS / "objectives.png") as path:
        picture.savefig(path, format="png", dpi=120)


def _bars(axes: object, labels: Sequence[str], values: Sequence[Figure], colour: str, label: str) -> None:
    axes.barh(labels, [max(float(value), 0.0) for value in values], color=colour, label=label)  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
