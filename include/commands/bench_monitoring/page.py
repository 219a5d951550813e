"""The page and the picture of `make bench-monitoring`."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from include.adapters.files import replacing
from include.commands.benchmark_parts import Parts, flat
from include.commands.benchmark_record import BENCHMARKS, Figure, write_record

NAME = "monitoring"
LIBRARIES = ("numpy", "scipy", "pyarrow", "duckdb", "evidently")
NOTES = """\
**Speed.** A million rows of either sample, forty numbers and ten categories, in memory and unsorted.
Evidently makes its HTML report of fewer such rows between runs of ours, each in its own process, and a
straight line through two sizes says what a million would take: what is extrapolated is named so. Memory is
the most a process held, rows included. Seconds of the clock hold for this machine and its load; those of
processors, and both ratios, hold better.

**Detection.** At default settings. A *false alarm* is any warning or alarm in a week of a model whose inputs
(18 numbers that hang together, 2 categories), scores and labels are as ever; windows overlap as they do in
production: a day, looked at every six hours (inputs) or every hour (scores). *Found* is at a single look.
*Raw p-value* and *plain error* are the same data under the rule as it is usually written: any p-value below
0.05, an expected calibration error above 0.05.

**Label join.** A million units, predicted and labelled every day for ten days; 1 % of the labels twice, 1 %
corrected, 5 % late. From the compacted log and the label store to the store of labelled predictions, each
run in its own process; *again* is the same when nothing changed, *late* what late labels and corrections
alone take after everything else was joined.

**Performance.** Whole models, day by day, under the churn contract: four metrics, one prediction a unit and
day, a fifth of the units positive. Healthy weeks follow 35 healthy days; the *bare rule* calls each day worse
that is 10 % below its trailing mean. *Turned* is the share of units whose labels became the opposite; a
slide turns 0.4 % more each day, from the day after the baseline is complete, and *days until found* count
from there. *Causes* are of 8,000 labelled rows from before and 2,000 since."""


def write_page(parts: Parts) -> None:
    """Write figures, table and picture of all parts there are."""
    figures = flat(parts)
    _draw(figures)
    path = write_record(NAME, "Monitoring", figures, LIBRARIES, notes=NOTES)
    print(f"wrote {path}")


def _draw(figures: Mapping[str, Figure]) -> None:
    picture = Picture(figsize=(11, 4.2), layout="constrained")
    left, right = picture.subplots(1, 2)
    _lines(
        left, figures, "feature_drift_found_ratio_shift_", "_sd", "shift of one input of twenty, in its sd"
    )
    _lines(right, figures, "calibration_found_ratio_scores_", "_too_high", "scores too high by")
    with replacing(BENCHMARKS / f"{NAME}.png") as path:
        picture.savefig(path, format="png", dpi=120)


def _lines(axes: Axes, figures: Mapping[str, Figure], start: str, end: str, label: str) -> None:
    """Draw the ratio found by size, a line for each number of rows."""
    points: dict[str, list[tuple[float, float]]] = {}
    for name, value in figures.items():
        if name.startswith(start):
            size, _, rows = name.removeprefix(start).partition(f"{end}_of_")
            points.setdefault(rows.replace("_", " "), []).append((float(size), float(value)))
    for rows, line in points.items():
        axes.plot(*zip(*sorted(line), strict=True), marker="o", label=rows)
    axes.set(xlabel=label, ylabel="found at one look", ylim=(-0.02, 1.02))
    if points:
        axes.legend()
