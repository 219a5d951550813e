"""Whether a run has anything to train: the ledger decides, whatever woke the run."""

from dataclasses import dataclass, field
from datetime import datetime

import pyarrow.compute

from include.adapters.label_store import read_labels
from include.adapters.ledger.ledger import Ledger
from include.config.code import fingerprint
from include.config.models import ModelFolder
from include.config.settings import Settings
from include.contracts.events import SYSTEM
from include.contracts.model import ModelContract
from include.contracts.moments import format_duration
from include.contracts.requesters import joined_requesters
from include.contracts.retraining import RetrainReason, Training

Values = dict[str, float | int | str | bool]


@dataclass(frozen=True)
class Demand:
    """What a person asked for, by triggering a run."""

    as_of: datetime
    asked_at: datetime
    """Wall time."""
    hyperparameters: Values = field(default_factory=dict)
    seed: int | None = None


@dataclass(frozen=True)
class Present:
    """How things stand for a training as of a moment."""

    as_of: datetime
    labelled_until: datetime | None
    """Event time of the newest label known by then; None without any."""
    fingerprint: str


@dataclass(frozen=True)
class Claim:
    """A training a run has taken on, or why there is none."""

    as_of: datetime | None
    why: str
    requested_by: str = SYSTEM
    """All who asked, joined: whoever triggered the run, and whoever wrote a request it takes on."""


def present(settings: Settings, folder: ModelFolder, as_of: datetime) -> Present:
    """Look at labels and code."""
    moments = read_labels(settings, folder.name, as_of)["event_at"]
    newest = pyarrow.compute.max(moments).as_py() if len(moments) else None
    return Present(as_of, newest, fingerprint(folder))


def due(contract: ModelContract, last: Training | None, now: Present) -> dict[RetrainReason, str]:
    """Return why a training is due by itself, in words; empty where nothing is new."""
    if now.labelled_until is None:
        return {}
    if last is None:
        return {RetrainReason.DATA: "it was never trained"}
    found = {}
    if now.fingerprint != last.fingerprint:
        found[RetrainReason.CODE] = f"the code changed: {last.fingerprint[:12]} to {now.fingerprint[:12]}"
    newer = now.labelled_until - last.labelled_until
    if newer >= contract.training.snapshot_every:
        found[RetrainReason.DATA] = f"labels of {format_duration(newer)} came in"
    return found


def is_repeat(last: tuple[Training, datetime] | None, demand: Demand, code: str) -> bool:
    """Say whether a demand was made while just this training was under way or waiting: one is enough."""
    if last is None:
        return False
    training, recorded_at = last
    same = (training.as_of, training.hyperparameters, training.seed, training.fingerprint) == (
        demand.as_of,
        demand.hyperparameters,
        demand.seed,
        code,
    )
    return same and demand.asked_at < recorded_at


def claim(
    ledger: Ledger,
    folder: ModelFolder,
    run_id: str,
    *,
    now: Present | None,
    demand: Demand | None = None,
    actor: str = SYSTEM,
) -> Claim:
    """Take on what is to be trained; a run that asks again gets the same answer.

    Args:
        ledger: holds requests, claims and the last training.
        folder: the model's folder.
        run_id: the claimant, `<dag>:<run>`.
        now: how things stand; None for a run that was woken and takes what is requested.
        demand: what a person asked for; None for a run of the system.
        actor: who triggered the run.
    """
    retired = ledger.retired_models().get(folder.name)
    if retired is not None and demand is None:
        return Claim(None, f"{folder.name} is retired: {retired}")
    last = ledger.last_training(folder.name)
    reasons: dict[RetrainReason, str] = {}
    moment = demand.as_of if demand else now.as_of if now else None
    if demand is not None and now is not None:
        if is_repeat(last, demand, now.fingerprint):
            return Claim(None, "the run before it trained just this, after this one was asked for")
        reasons = {RetrainReason.MANUAL: f"{actor} asked for it"}
    elif now is not None:
        reasons = due(folder.contract, last[0] if last else None, now)
    wishes = [(reason, moment) for reason in reasons if moment is not None]
    claimed = ledger.claim_retrain(folder.name, run_id, actor, wishes)
    if not claimed:
        return Claim(None, _nothing(ledger, folder.name))
    told = dict.fromkeys(reasons.get(item.reason, f"{item.reason.value} request") for item in claimed)
    return Claim(
        as_of=demand.as_of if demand else max(item.as_of for item in claimed),
        why="; ".join(told),
        requested_by=joined_requesters([actor, *(item.requested_by for item in claimed)]),
    )


def _nothing(ledger: Ledger, model: str) -> str:
    holders = ledger.claimants(model)
    if holders:
        return f"{', '.join(holders)} is training already"
    return "nothing is new since the last training, and nobody asked for one"
