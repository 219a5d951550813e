"""Airflow's side of a training's claim: what woke the run, and which others are still alive."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from airflow.sdk import get_current_context

from include.contracts.events import SYSTEM
from stage_task import as_of, triggered_by

if TYPE_CHECKING:
    from include.adapters.ledger.ledger import Ledger
    from include.training.claim import Demand

_BY_ITSELF = ("scheduled", "asset_triggered", "asset_materialization", "backfill")
_ALIVE = ["queued", "running"]


def claimant() -> str:
    """Return what the present run calls itself in the ledger."""
    run = get_current_context()["dag_run"]
    return f"{run.dag_id}:{run.run_id}"


def demanded() -> Demand | None:
    """Return what a person asked for; None for a run of the schedule or of an asset."""
    from include.training.claim import Demand

    context = get_current_context()
    run = context["dag_run"]
    if run.run_type in _BY_ITSELF:
        return None
    params = context["params"]
    return Demand(as_of(), run.run_after, dict(params["hyperparameters"]), params["seed"])


def scheduled_moment() -> datetime | None:
    """Return the moment of a timed run; None for one that was woken."""
    run = get_current_context()["dag_run"]
    return None if run.logical_date is None else as_of()


def return_dead_claims(ledger: Ledger, model: str) -> None:
    """Put back what runs had claimed that are over and never said so: nobody waits for the dead."""
    ti = get_current_context()["ti"]
    for holder in ledger.claimants(model):
        dag_id, _, run_id = holder.partition(":")
        if holder != claimant() and not ti.get_dr_count(dag_id, run_ids=[run_id], states=_ALIVE):
            ledger.return_retrain(holder, "its run ended without a word", triggered_by() or SYSTEM)
