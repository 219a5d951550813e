"""An experiment as the ledger holds it, for several tests."""

from datetime import UTC, datetime
from typing import Any

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.routes import RouteUpdate
from include.contracts.experiment_plan import ExperimentPlan
from include.contracts.experiments import Experiment, ExperimentState, PlannedSize
from include.contracts.routes import ModelRoute
from tests.adapters.ledger.changes import route_to

BEGAN = datetime(2017, 10, 1, tzinfo=UTC)
PLAN = {
    "name": "offers",
    "description": "Do more customers come back?",
    "salt": "offers-1",
    "unit": "customer_id",
    "variants": [
        {"name": "control", "version": "champion", "share": 0.5},
        {"name": "treatment", "version": "candidate", "share": 0.5},
    ],
    "primary": {
        "metric": "came_back",
        "kind": "proportion",
        "direction": "increase",
        "baseline": 0.5,
        "mde": 0.05,
    },
    "within": "8w",
    "guardrails": [{"metric": "error_ratio", "margin": 0.01}],
}
SIZE = PlannedSize(
    control=1_600,
    treatment=1_600,
    information=800.0,
    baseline=0.5,
    standard_deviation=None,
    inflation_factor=1.02,
    expected_fraction_null=0.99,
    expected_fraction_alternative=0.8,
    units_per_day=100.0,
    expected_seconds=40 * 86_400.0,
)

THREE = [
    {"name": "control", "version": "champion", "share": 0.4},
    {"name": "mild", "version": "1.0.1", "share": 0.3},
    {"name": "bold", "version": "1.0.2", "share": 0.3},
]
FURTHER = [{"version": "1.0.2", "sha256": "sha-churn-1.0.2"}]
"""Of three arms, the second treatment."""
SIZED = SIZE.model_copy(update={"further": (1_600,)})
"""What three arms take."""


def plan(**changes: Any) -> ExperimentPlan:
    """Return the plan, some keys replaced."""
    return ExperimentPlan.model_validate(PLAN | changes)


def experiment(**changes: Any) -> Experiment:
    """Return an experiment of churn that just started, some fields replaced."""
    written = changes.pop("plan", plan())
    fields: dict[str, Any] = {
        "experiment_id": written.salt,
        "name": written.name,
        "model": "churn",
        "plan": written,
        "plan_sha256": written.sha256,
        "size": SIZE,
        "control_version": "1.0.0",
        "treatment_version": "1.0.1",
        "treatment_sha256": "sha-churn-1.0.1",
        "share": written.shares[0],
        "state": ExperimentState.RUNNING,
        "began_at": BEGAN,
        "started_by": "ada",
        "approved_by": ("olga",),
        "revision": 1,
        "started_at": BEGAN,
    }
    return Experiment.model_validate(fields | changes)


def split(share: float = 0.5, change_id: str = "offers-1") -> ModelRoute:
    """Return churn's route with its traffic split."""
    return route_to("1.0.0").model_copy(
        update={"challenger": route_to("1.0.1").champion, "share": share, "change_id": change_id}
    )


def started(ledger: Ledger, **changes: Any) -> Experiment:
    """Start an experiment of a model that serves."""
    ledger.change_route(RouteUpdate(route_to("1.0.0"), 0), actor="ada", reason="first")
    new = experiment(**changes)
    return ledger.start_experiment(new, RouteUpdate(split(new.share), 1))
