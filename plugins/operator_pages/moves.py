"""From a DAG, a run or a task of Airflow to the page that says what came of it."""

from airflow.api_fastapi.common.db.common import SessionDep
from airflow.models.dag import DagTag
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse
from sqlalchemy import select

from include.pages.whereabouts import whereabouts
from operator_pages.access import ReaderDep
from operator_pages.places import desk
from operator_pages.rendering import place

router = APIRouter()
_TAG = "model:"


@router.get("/of/{dag_id}")
def of_dag(dag_id: str, request: Request, reader: ReaderDep, session: SessionDep) -> RedirectResponse:
    """Go to the model of a DAG, or to the page that shows what a DAG of no model does."""
    return _go(request, reader, session, dag_id, None)


@router.get("/of/{dag_id}/{run_id}")
def of_run(
    dag_id: str, run_id: str, request: Request, reader: ReaderDep, session: SessionDep
) -> RedirectResponse:
    """Go to what came of a run: a release, a training, a model."""
    return _go(request, reader, session, dag_id, run_id)


def _go(
    request: Request, reader: ReaderDep, session: SessionDep, dag_id: str, run_id: str | None
) -> RedirectResponse:
    tags = session.scalars(select(DagTag.name).where(DagTag.dag_id == dag_id))
    model = next((tag.removeprefix(_TAG) for tag in tags if tag.startswith(_TAG)), None)
    if model is not None:
        reader.see(model)
    parts = whereabouts(desk(), dag_id, run_id, model)
    return RedirectResponse(place(request.scope.get("root_path", ""), *parts), 303)
