"""An analysis as a page people look at: one HTML file, no script, nothing fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from include.contracts.experiment_results import Analysis, Comparison, Look
from include.contracts.experiments import Experiment
from include.experiments.charts import (
    boundary_chart,
    distribution_chart,
    guardrails_chart,
    intervals_chart,
    slices_chart,
)

_TEMPLATE = "page.html.jinja"


@dataclass(frozen=True)
class Compared:
    """One treatment against control, as the page shows it; charts are SVG."""

    name: str
    version: str
    now: Comparison
    looks: Sequence[Look]
    boundary: str
    intervals: str | None
    guardrails: str | None
    slices: str | None
    distributions: Sequence[str]


def analysis_page(experiment: Experiment, analyses: Sequence[Analysis]) -> str:
    """Return the page of the last of an experiment's analyses; the same give the same bytes."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["figure"] = _figure
    environment.filters["words"] = _words
    return environment.get_template(_TEMPLATE).render(
        experiment=experiment,
        plan=experiment.plan,
        analysis=analyses[-1],
        analyses=analyses,
        # An experiment that is void compared nothing, and shows its first treatment only.
        compared=[_compared(experiment, analyses, place) for place in range(len(analyses[-1].comparisons))],
    )


def _compared(experiment: Experiment, analyses: Sequence[Analysis], place: int) -> Compared:
    now, name = analyses[-1].comparisons[place], experiment.plan.treatments[place].name
    compared = [each.comparisons[place] for each in analyses if place < len(each.comparisons)]
    looks = [each.look for each in compared if each.look is not None]
    return Compared(
        name=name,
        version=experiment.treatment_versions[place],
        now=now,
        looks=looks,
        boundary=boundary_chart(experiment, looks, place),
        intervals=intervals_chart(looks) if looks else None,
        guardrails=guardrails_chart(now.guardrails) if _has_limits(now) else None,
        slices=slices_chart(now.slices) if any(each.low is not None for each in now.slices) else None,
        distributions=[
            distribution_chart(_words(each.name), each.distribution, (experiment.plan.control.name, name))
            for each in now.health
            if each.distribution is not None
        ],
    )


def _has_limits(comparison: Comparison) -> bool:
    return any(each.result.harm is not None for each in comparison.guardrails)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"  # noqa: RUF001 - an en dash stands for no figure


def _words(value: str) -> str:
    return value.replace("_", " ")
