"""Links from Airflow's tasks to the operators' pages: from a red square to the reason in one click."""

from typing import Any
from urllib.parse import quote

from airflow.sdk import DAG, BaseOperatorLink

from include.config.settings import settings

PAGES = "/plugin/ninety/ninety"
"""The pages in Airflow's frame: `/plugin/<route>`, then the page's own address."""
PLATFORM = "platform"
"""Owner of the DAGs that are of no model."""

_REPORTING = frozenset({"train", "feature_drift", "prediction_drift", "performance"})
_SCORING = frozenset({"batch_score"})


class PageLink(BaseOperatorLink):
    """To the page that says what came of the run: a release, a training, the model."""

    name = "What came of it"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002 - Airflow's signature
        """Return the address; the page finds out which of them it is."""
        return f"{PAGES}/of/{_quoted(ti_key.dag_id)}/{_quoted(ti_key.run_id)}"


class ReportLink(BaseOperatorLink):
    """To the report: the gates of a training, the last look of a monitor."""

    name = "Report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address."""
        model, stage = _parts(operator)
        if stage == "train":
            run = _quoted(f"{ti_key.dag_id}:{ti_key.run_id}")
            return f"{PAGES}/models/{model}/trainings/{run}"
        return f"{PAGES}/models/{model}/monitors/{stage}/report"


class TraceLink(BaseOperatorLink):
    """To where a prediction is traced."""

    name = "Trace a prediction"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002 - Airflow's signature
        """Return the address."""
        return f"{PAGES}/trace"


def link_pages(dag: DAG) -> DAG:
    """Give every task of a model's DAG its links, beside those its operator has; returns the DAG."""
    for task in dag.tasks:
        _, stage = _parts(task)
        links: list[BaseOperatorLink] = [PageLink()]
        if stage in _REPORTING:
            links.append(ReportLink())
        if stage in _SCORING:
            links.append(TraceLink())
        task.operator_extra_links = (*task.operator_extra_links, *links)
    return dag


def platform_owner() -> dict[str, str]:
    """Return the owner links of DAGs that are of no model."""
    base = settings().operator_url or settings().airflow_url
    return {PLATFORM: f"{base.rstrip('/')}/plugin/ninety"}


def runbook(model: str) -> str:
    """Return where a model's runbook is shown."""
    return f"/ninety/models/{_quoted(model)}/runbook"


def _parts(task: Any) -> tuple[str, str]:
    tags = (tag for tag in task.dag.tags if tag.startswith("model:"))
    model = next(tags, "").removeprefix("model:")
    return model, task.dag_id.removeprefix(f"{model}_")


def _quoted(part: str) -> str:
    return quote(part, safe="")
