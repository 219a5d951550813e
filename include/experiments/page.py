"""An analysis as a page people look at: one HTML file, no script, nothing fetched."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from include.contracts.experiment_results import Analysis
from include.contracts.experiments import Experiment
from include.experiments.charts import (
    boundary_chart,
    distribution_chart,
    guardrails_chart,
    intervals_chart,
    slices_chart,
)

_TEMPLATE = "page.html.jinja"


def analysis_page(experiment: Experiment, analyses: Sequence[Analysis]) -> str:
    """Return the page of the last of an experiment's analyses; the same give the same bytes."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["figure"] = _figure
    environment.filters["words"] = _words
    last = analyses[-1]
    looks = [each.look for each in analyses if each.look is not None]
    return environment.get_template(_TEMPLATE).render(
        experiment=experiment,
        plan=experiment.plan,
        analysis=last,
        analyses=analyses,
        looks=looks,
        boundary=boundary_chart(experiment, looks),
        intervals=intervals_chart(looks) if looks else None,
        guardrails=guardrails_chart(last.guardrails) if _has_limits(last) else None,
        distributions=[
            distribution_chart(
                _words(each.name),
                each.distribution,
                (experiment.plan.control.name, experiment.plan.treatment.name),
            )
            for each in last.health
            if each.distribution is not None
        ],
        slices=slices_chart(last.slices) if any(each.low is not None for each in last.slices) else None,
    )


def _has_limits(analysis: Analysis) -> bool:
    return any(each.result.harm is not None for each in analysis.guardrails)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"  # noqa: RUF001 - an en dash stands for no figure


def _words(value: str) -> str:
    return value.replace("_", " ")
