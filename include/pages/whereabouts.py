"""Which page speaks about a DAG and its runs."""

from include.pages.desk import Desk
from include.pages.experiments import experiment_lines

_SHARED = {"features_materialize": "features", "features_skew_audit": "features", "alerts_deliver": "alerts"}


def whereabouts(desk: Desk, dag_id: str, run_id: str | None, model: str | None) -> tuple[str, ...]:
    """Return the parts of the page's address.

    Args:
        desk: what is read.
        dag_id: the DAG.
        run_id: the run; None for the DAG as a whole.
        model: the model it is of; None for a DAG of all.
    """
    if model is None:
        return (_SHARED.get(dag_id, "models"),)
    stage = dag_id.removeprefix(f"{model}_")
    if run_id is not None and stage == "train":
        return ("models", model, "trainings", f"{dag_id}:{run_id}")
    if run_id is not None and stage == "release" and desk.ledger.release(f"{model}-{run_id}") is not None:
        return ("releases", f"{model}-{run_id}")
    return ("models", model) if dag_id.startswith(f"{model}_") else _experiment(desk, model, dag_id)


def _experiment(desk: Desk, model: str, dag_id: str) -> tuple[str, ...]:
    """Return the page of the experiment that a DAG is named for: the last one started, else the plan."""
    name = dag_id.rpartition("_")[0]
    found = next((line for line in experiment_lines(desk, model) if line.name == name), None)
    return ("models", model) if found is None else ("experiments", found.experiment_id)
