"""What Airflow knows of the models' DAGs, read from its own database in three queries."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from airflow.models.dag import DagModel, DagTag
from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from include.pages.airflow_facts import AirflowFacts, DagFacts, WaitingQuestion

_TAG = "model:"
_WAITING = ("awaiting_input", "deferred")


def airflow_facts(session: Session, models: Collection[str]) -> AirflowFacts:
    """Return the DAGs of some models with their last and next runs, and the tasks that wait for a person."""
    owners = _owners(session, models)
    last = _last_runs(session, owners)
    found = session.scalars(select(DagModel).where(DagModel.dag_id.in_(owners)).order_by(DagModel.dag_id))
    return AirflowFacts(
        dags=_grouped((owners[dag.dag_id], _dag_facts(dag, last.get(dag.dag_id))) for dag in found),
        questions=_grouped((owners[each.dag_id], each) for each in _questions(session, owners)),
    )


def _owners(session: Session, models: Collection[str]) -> dict[str, str]:
    tags = [f"{_TAG}{model}" for model in models]
    query = (
        select(DagTag.dag_id, DagTag.name)
        .join(DagModel, DagModel.dag_id == DagTag.dag_id)
        .where(DagTag.name.in_(tags), ~DagModel.is_stale)
    )
    return {dag_id: name.removeprefix(_TAG) for dag_id, name in session.execute(query)}


def _last_runs(session: Session, owners: Mapping[str, str]) -> dict[str, DagRun]:
    newest = select(func.max(DagRun.id)).where(DagRun.dag_id.in_(owners)).group_by(DagRun.dag_id)
    return {run.dag_id: run for run in session.scalars(select(DagRun).where(DagRun.id.in_(newest)))}


def _dag_facts(dag: DagModel, run: DagRun | None) -> DagFacts:
    return DagFacts(
        dag_id=dag.dag_id,
        is_paused=bool(dag.is_paused),
        last_run_id=run.run_id if run else None,
        last_state=str(run.state) if run else None,
        last_started_at=(run.start_date or run.run_after) if run else None,
        next_at=None if dag.is_paused else dag.next_dagrun_create_after,
    )


def _questions(session: Session, owners: Mapping[str, str]) -> Iterable[WaitingQuestion]:
    query = (
        select(HITLDetail, TaskInstance)
        .join(TaskInstance, TaskInstance.id == HITLDetail.ti_id)
        .where(
            TaskInstance.dag_id.in_(owners),
            TaskInstance.state.in_(_WAITING),
            HITLDetail.responded_at.is_(None),
        )
        .order_by(HITLDetail.created_at)
    )
    for asked, task in session.execute(query).unique():
        yield WaitingQuestion(
            dag_id=task.dag_id,
            run_id=task.run_id,
            task_id=task.task_id,
            subject=asked.subject,
            asked=tuple(user["id"] for user in asked.assigned_users),
            since=asked.created_at,
        )


def _grouped(pairs: Iterable[tuple[str, Any]]) -> dict[str, tuple[Any, ...]]:
    found: dict[str, tuple[Any, ...]] = {}
    for model, item in pairs:
        found[model] = (*found.get(model, ()), item)
    return found
