"""Reading: each page once as HTML, and by the same function as JSON under `/json`."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from airflow.api_fastapi.common.db.common import SessionDep
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, StreamingResponse
from pydantic import BaseModel

from include.adapters.ledger.history import EventFilter
from include.contracts.errors import ArtefactError
from include.contracts.events import EventKind
from include.pages.alerts import AlertsPage, alerts_page
from include.pages.experiments import ExperimentPage, experiment_page, model_of_experiment
from include.pages.explanation import Unexplained
from include.pages.features import FeaturesPage, features_page, freshest
from include.pages.ledger import LedgerPage, Proof, exported, ledger_page, proof
from include.pages.model import SPANS, ModelPage, model_page
from include.pages.models import ModelsPage, models_page
from include.pages.releases import EvidencePage, ReleasePage, evidence_page, known_release, release_page
from include.pages.reports import TrainingPage, VersionPage, training_page, version_page
from operator_pages.access import ReaderDep
from operator_pages.airflow_records import airflow_facts
from operator_pages.places import desk, tracer
from operator_pages.rendering import page

router = APIRouter()


Days = Annotated[int, Query(ge=1, le=SPANS[-1])]


def _now() -> datetime:
    return datetime.now(UTC)


def _models(reader: ReaderDep, session: SessionDep) -> ModelsPage:
    facts = airflow_facts(session, reader.models)
    return models_page(desk(), reader.models, facts, _now(), freshest(desk().settings))


def _model(model: str, reader: ReaderDep, session: SessionDep, days: Days = 90) -> ModelPage:
    reader.see(model)
    return model_page(desk(), model, airflow_facts(session, [model]), _now(), days)


def _version(model: str, version: str, reader: ReaderDep) -> VersionPage:
    return version_page(desk(), reader.see(model), version)


def _training(model: str, dag_run: str, reader: ReaderDep) -> TrainingPage:
    return training_page(desk(), reader.see(model), dag_run)


def _release(release_id: str, reader: ReaderDep, session: SessionDep) -> ReleasePage:
    model = reader.see(known_release(desk(), release_id).model)
    return release_page(desk(), release_id, airflow_facts(session, [model]), _now())


def _evidence(release_id: str, reader: ReaderDep) -> EvidencePage:
    reader.see(known_release(desk(), release_id).model)
    return evidence_page(desk(), release_id, _now())


def _experiment(experiment_id: str, reader: ReaderDep, session: SessionDep) -> ExperimentPage:
    model = reader.see(model_of_experiment(desk(), experiment_id, reader.models))
    return experiment_page(desk(), model, experiment_id, airflow_facts(session, [model]), _now())


def _traced(prediction_id: str, reader: ReaderDep) -> BaseModel:
    row = tracer().row(prediction_id.strip())
    reader.see(row.model)
    return tracer().page(row)


def _explained(prediction_id: str, reader: ReaderDep) -> BaseModel:
    row = tracer().row(prediction_id.strip())
    reader.see(row.model)
    try:
        found = tracer().explanation(row)
    except ArtefactError as error:
        return Unexplained(problem=str(error))
    return found or Unexplained(problem="no model answered: there is no score to take apart")


def _features(_: ReaderDep) -> FeaturesPage:
    return features_page(desk(), _now())


def _alerts(reader: ReaderDep) -> AlertsPage:
    return alerts_page(desk(), reader.models)


def _filter(
    *,
    model: str = "",
    kind: Annotated[list[EventKind | Literal[""]] | None, Query()] = None,
    actor: str = "",
    subject: str = "",
    since: datetime | Literal[""] = "",
    until: datetime | Literal[""] = "",
    before: int | None = None,
) -> EventFilter:
    return EventFilter(
        model=model or None,
        kinds=tuple(each for each in kind or () if each),
        actor=actor or None,
        subject=subject or None,
        since=_aware(since or None),
        until=_aware(until or None),
        before=before,
    )


FilterDep = Annotated[EventFilter, Depends(_filter)]


def _ledger(wanted: FilterDep, reader: ReaderDep) -> LedgerPage:
    return ledger_page(desk(), reader.models, wanted)


def _proof(_: ReaderDep) -> Proof:
    return proof(desk())


PAGES: tuple[tuple[str, str, Callable[..., BaseModel]], ...] = (
    ("/models", "models", _models),
    ("/models/{model}", "model", _model),
    ("/models/{model}/versions/{version}", "version", _version),
    ("/models/{model}/trainings/{dag_run}", "training", _training),
    ("/releases/{release_id}", "release", _release),
    ("/releases/{release_id}/evidence", "evidence", _evidence),
    ("/experiments/{experiment_id}", "experiment", _experiment),
    ("/trace/{prediction_id}", "trace", _traced),
    ("/trace/{prediction_id}/explanation", "explanation", _explained),
    ("/features", "features", _features),
    ("/alerts", "alerts", _alerts),
    ("/ledger", "ledger", _ledger),
    ("/ledger/proof", "proof", _proof),
)
"""Address, template and what is read for it."""


def _add(path: str, template: str, read: Callable[..., BaseModel]) -> None:
    def as_page(request: Request, reader: ReaderDep, found: Annotated[Any, Depends(read)]) -> HTMLResponse:
        return page(request, f"{template}.html.jinja", page=found, reader=reader)

    def as_json(found: Annotated[Any, Depends(read)]) -> Response:
        return Response(found.model_dump_json(), media_type="application/json")

    router.get(path, response_class=HTMLResponse, name=template)(as_page)
    router.get(f"/json{path}", name=f"{template}_json", response_class=JSONResponse)(as_json)


for _path, _template, _read in PAGES:
    _add(_path, _template, _read)


@router.get("/trace", response_class=HTMLResponse)
def look_up(request: Request, reader: ReaderDep, prediction_id: str = "") -> HTMLResponse:
    """Ask for a prediction's id, or go to its page."""
    if prediction_id.strip():
        target = page_of(request, "trace", prediction_id=prediction_id.strip())
        return RedirectResponse(target, 303)  # type: ignore[return-value]
    return page(request, "look_up.html.jinja", reader=reader)


@router.get("/ledger/export", response_class=StreamingResponse)
def export(wanted: FilterDep, reader: ReaderDep) -> StreamingResponse:
    """Download the events that fit, one JSON object a line."""
    named = {"Content-Disposition": 'attachment; filename="ledger.jsonl"'}
    lines = exported(desk(), reader.models, wanted)
    return StreamingResponse(lines, media_type="application/x-ndjson", headers=named)


def page_of(request: Request, name: str, **parts: str) -> str:
    """Return the address of a page."""
    return str(request.scope.get("root_path", "")) + str(router.url_path_for(name, **parts))


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
