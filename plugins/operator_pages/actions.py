"""Acting: each wish has a reason, goes to the ledger with its author's name, and is done by a DAG's run."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import httpx
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from fastapi import APIRouter, Depends, Form, HTTPException, Path, Request, status
from fastapi.responses import RedirectResponse

from include.config.settings import settings
from include.contracts.actions import Action, AskedAction
from include.contracts.errors import LedgerError
from include.contracts.identifiers import uuid7
from include.pages.airflow_facts import AirflowFacts
from include.pages.experiments import CONTROL_DAG, experiment_page, model_of_experiment
from include.pages.releases import known_release
from operator_pages.access import Reader, ReaderDep
from operator_pages.forgery import refuse_foreign
from operator_pages.places import desk
from operator_pages.rendering import place

router = APIRouter(dependencies=[Depends(refuse_foreign)])

Reason = Annotated[str, Form(min_length=3, max_length=2_000, pattern=r"\S")]
_TIMEOUT_SECONDS = 30.0

ROLL_BACK_DAG = "rollback"
RETRAIN_DAG = "train"
"""Last part of the DAG's id that does it; whoever may edit the DAG may ask for it."""


class Ramping(StrEnum):
    """What may be done with a ramp."""

    PAUSE = "pause"
    RESUME = "resume"


RAMPS = {Ramping.PAUSE: Action.PAUSE_RAMP, Ramping.RESUME: Action.RESUME_RAMP}


class Steering(StrEnum):
    """What may be done with an experiment."""

    START = "start"
    ADVANCE = "advance"
    STOP = "stop"


STEERS = {
    Steering.START: Action.START_EXPERIMENT,
    Steering.ADVANCE: Action.ADVANCE_EXPERIMENT,
    Steering.STOP: Action.STOP_EXPERIMENT,
}
ALERTS_DAG = "alerts_deliver"
"""Whoever may edit it looks after alerts that are about no model."""


@router.post("/models/{model}/roll-back")
def roll_back(
    *,
    request: Request,
    model: str,
    reader: ReaderDep,
    reason: Reason,
    to: Annotated[str, Form(pattern=r"^(previous|\d+\.\d+\.\d+)$")] = "previous",
    release_id: Annotated[str, Form()] = "",
) -> RedirectResponse:
    """Send all traffic back to an earlier version; leads back to the release it was asked at, if to one."""
    conf = {"to": to, "reason": reason}
    asked = _asked(Action.ROLL_BACK, reader.see(model), f"{model}_{ROLL_BACK_DAG}", reason, conf)
    page = ("releases", release_id) if release_id else ("models", model)
    return _ask(request, reader, asked, *page)


@router.post("/models/{model}/retrain")
def retrain(
    request: Request,
    model: str,
    reader: ReaderDep,
    reason: Reason,
    as_of: Annotated[datetime | None, Form()] = None,
) -> RedirectResponse:
    """Train the model, looking back from a moment; from now unless one is given."""
    conf = {"as_of": _aware(as_of).isoformat(), "reason": reason}
    asked = _asked(Action.RETRAIN, reader.see(model), f"{model}_{RETRAIN_DAG}", reason, conf)
    return _ask(request, reader, asked, "models", model)


@router.post("/releases/{release_id}/{turn}")
def hold_or_go_on(
    request: Request, release_id: str, turn: Annotated[Ramping, Path()], reader: ReaderDep, reason: Reason
) -> RedirectResponse:
    """Keep a ramp where it is, or let it go on, which asks an approver first."""
    model = reader.see(known_release(desk(), release_id).model)
    asked = _asked(RAMPS[turn], model, f"{model}_ramp_{turn.value}", reason, {"reason": reason})
    return _ask(request, reader, asked, "releases", release_id)


@router.post("/experiments/{experiment_id}/{verb}")
def steer(
    *,
    request: Request,
    experiment_id: str,
    verb: Annotated[Steering, Path()],
    reader: ReaderDep,
    reason: Reason,
    as_of: Annotated[datetime | None, Form()] = None,
) -> RedirectResponse:
    """Start an experiment, which asks its approvers first; raise its share; or stop it."""
    model = reader.see(model_of_experiment(desk(), experiment_id, reader.models))
    name = experiment_page(desk(), model, experiment_id, AirflowFacts(), datetime.now(UTC)).plan.name
    conf = {"action": verb.value, "reason": reason, "as_of": _aware(as_of).isoformat()}
    asked = _asked(STEERS[verb], model, f"{name}_{CONTROL_DAG}", reason, conf)
    return _ask(request, reader, asked, "experiments", experiment_id)


@router.post("/alerts/{alert_id}/acknowledge")
def acknowledge(request: Request, alert_id: str, reader: ReaderDep, reason: Reason) -> RedirectResponse:
    """Look after an alert, with a note that says how."""
    alert = desk().ledger.alert(alert_id)
    if alert is None:
        raise LedgerError(f"there is no alert {alert_id!r}")
    model = alert.content.model
    if model is not None:
        reader.see(model)
    reader.must_edit(ALERTS_DAG if model is None else f"{model}_{RETRAIN_DAG}")
    desk().ledger.acknowledge_alert(alert_id, reader.name, reason.strip())
    return _back(request, "alerts")


def _asked(action: Action, model: str, dag_id: str, reason: str, conf: dict[str, Any]) -> AskedAction:
    return AskedAction(
        action=action,
        model=model,
        dag_id=dag_id,
        run_id=f"asked__{uuid7(datetime.now(UTC))}",
        conf=conf,
        reason=reason.strip(),
    )


def _ask(request: Request, reader: Reader, asked: AskedAction, *page: str) -> RedirectResponse:
    """Write the wish down, trigger the run that grants it, and lead back to a page."""
    reader.must_edit(asked.dag_id)
    desk().ledger.record_action(asked, reader.name)
    _trigger(request, asked)
    return _back(request, *page, asked=f"{asked.dag_id}:{asked.run_id}")


def _aware(moment: datetime | None) -> datetime:
    """Return a moment, one without a zone as UTC; now where none is given."""
    given = moment or datetime.now(UTC)
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def _trigger(request: Request, asked: AskedAction) -> None:
    """Trigger the run as the person who asks: through Airflow's own API, with their own token."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    token = credentials if scheme.lower() == "bearer" else request.cookies.get(COOKIE_NAME_JWT_TOKEN, "")
    answer = httpx.post(
        f"{settings().airflow_url}/api/v2/dags/{asked.dag_id}/dagRuns",
        json={"dag_run_id": asked.run_id, "logical_date": None, "conf": asked.conf, "note": asked.reason},
        headers={"Authorization": f"Bearer {token}"},
        timeout=_TIMEOUT_SECONDS,
        trust_env=False,
    )
    if answer.is_error:
        detail = f"Airflow refused to start {asked.dag_id}: {answer.text[:500]}"
        raise HTTPException(
            answer.status_code if answer.is_client_error else status.HTTP_502_BAD_GATEWAY, detail
        )


def _back(request: Request, *parts: str, **query: str) -> RedirectResponse:
    target = place(request.scope.get("root_path", ""), *parts)
    return RedirectResponse(f"{target}?{httpx.QueryParams(query)}" if query else target, 303)
