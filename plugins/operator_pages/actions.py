"""Acting: each wish has a reason, goes to the ledger with its author's name, and is done by a DAG's run."""

from datetime import UTC, datetime
from typing import Annotated, Any

import httpx
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from fastapi import APIRouter, Depends, Form, HTTPException, Request, status
from fastapi.responses import RedirectResponse

from include.config.settings import settings
from include.contracts.actions import Action, AskedAction
from include.contracts.errors import LedgerError
from include.contracts.identifiers import uuid7
from operator_pages.access import Reader, ReaderDep
from operator_pages.forgery import refuse_foreign
from operator_pages.places import desk
from operator_pages.rendering import place

router = APIRouter(dependencies=[Depends(refuse_foreign)])

Reason = Annotated[str, Form(min_length=3, max_length=2_000, pattern=r"\S")]
_TIMEOUT_SECONDS = 30.0

DAG_OF = {Action.ROLL_BACK: "rollback", Action.RETRAIN: "train"}
"""Which of a model's DAGs does what; whoever may edit it may ask for it."""
ALERTS_DAG = "alerts_deliver"
"""Whoever may edit it looks after alerts that are about no model."""


@router.post("/models/{model}/roll-back")
def roll_back(
    request: Request,
    model: str,
    reader: ReaderDep,
    reason: Reason,
    to: Annotated[str, Form(pattern=r"^(previous|\d+\.\d+\.\d+)$")] = "previous",
) -> RedirectResponse:
    """Send all traffic back to an earlier version."""
    conf = {"to": to, "reason": reason}
    return _ask(request, reader, Action.ROLL_BACK, model=model, reason=reason, conf=conf)


@router.post("/models/{model}/retrain")
def retrain(
    request: Request,
    model: str,
    reader: ReaderDep,
    reason: Reason,
    as_of: Annotated[datetime | None, Form()] = None,
) -> RedirectResponse:
    """Train the model, looking back from a moment; from now unless one is given."""
    moment = as_of or datetime.now(UTC)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    conf = {"as_of": aware.isoformat(), "reason": reason}
    return _ask(request, reader, Action.RETRAIN, model=model, reason=reason, conf=conf)


@router.post("/alerts/{alert_id}/acknowledge")
def acknowledge(request: Request, alert_id: str, reader: ReaderDep, reason: Reason) -> RedirectResponse:
    """Look after an alert, with a note that says how."""
    alert = desk().ledger.alert(alert_id)
    if alert is None:
        raise LedgerError(f"there is no alert {alert_id!r}")
    model = alert.content.model
    if model is not None:
        reader.see(model)
    reader.must_edit(ALERTS_DAG if model is None else f"{model}_{DAG_OF[Action.RETRAIN]}")
    desk().ledger.acknowledge_alert(alert_id, reader.name, reason.strip())
    return _back(request, "alerts")


def _ask(
    request: Request, reader: Reader, action: Action, *, model: str, reason: str, conf: dict[str, Any]
) -> RedirectResponse:
    dag_id = f"{reader.see(model)}_{DAG_OF[action]}"
    reader.must_edit(dag_id)
    run_id = f"asked__{uuid7(datetime.now(UTC))}"
    asked = AskedAction(
        action=action, model=model, dag_id=dag_id, run_id=run_id, conf=conf, reason=reason.strip()
    )
    desk().ledger.record_action(asked, reader.name)
    _trigger(request, asked)
    return _back(request, "models", model, asked=f"{dag_id}:{run_id}")


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
