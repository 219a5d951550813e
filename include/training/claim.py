"""Whether a run has anything to train: the ledger decides, whatever woke the run."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial

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
from include.contracts.retraining import RetrainReason, RetrainRequest, Training

ALREADY_TRAINED = "already trained"
"""Outcome of a request that the last training had answered before a run took it on."""

Values = dict[str, float | int | str | bool]

_OF_CODE_AND_DATA = frozenset({RetrainReason.CODE, RetrainReason.DATA})


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


def present(settings: Settings, folder: ModelFolder, as_of: datetime) -> Present:
    """Look at labels and code."""
    moments = read_labels(settings, folder.name, as_of)["event_at"]
    newest = pyarrow.compute.max(moments).as_py() if len(moments) else None
    return Present(as_of, newest, fingerprint(folder))


def due(contract: ModelContract, last: Training | None, now: Present) -> dict[RetrainReason, str]:
    """Return why a training is due by itself, in words; empty where nothing is new.

    Args:
        contract: the model's.
        last: its last training by the contract alone; experiments with overrides do not count.
        now: how things stand.
    """
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


def satisfies(demand: Demand | None, request: RetrainRequest) -> bool:
    """Say whether a run answers a request that waits: not one of an earlier moment, nor an experiment."""
    if demand is None:
        return True
    return not demand.hyperparameters and demand.seed is None and request.as_of <= demand.as_of


def claim(
    ledger: Ledger,
    folder: ModelFolder,
    run_id: str,
    *,
    look: Callable[[datetime], Present],
    moment: datetime | None = None,
    demand: Demand | None = None,
    actor: str = SYSTEM,
) -> Claim:
    """Take on what is to be trained; a run that asks again gets the same answer.

    A request that the last training answered, as one written while it ran, is over and not trained again.

    Args:
        ledger: holds requests, claims and the last training.
        folder: the model's folder.
        run_id: the claimant, `<dag>:<run>`.
        look: how things stand as of a moment.
        moment: of a timed run; None for one that was woken, which takes what is requested.
        demand: what a person asked for; None for a run of the system.
        actor: who triggered the run.
    """
    retired = ledger.retired_models().get(folder.name)
    if retired is not None and demand is None:
        return Claim(None, f"{folder.name} is retired: {retired}")
    wished = demand.as_of if demand else moment
    reasons = _reasons(ledger, folder, look, demand, moment, actor)
    wishes = [(reason, wished) for reason in reasons if wished is not None]
    claimed = ledger.claim_retrain(folder.name, run_id, actor, wishes, partial(satisfies, demand))
    if not claimed:
        return Claim(None, _nothing(ledger, folder.name))
    wanted = _still_wanted(ledger, folder, claimed, look, demand)
    if over := [request.request_id for request in claimed if request not in wanted]:
        ledger.end_retrain(run_id, ALREADY_TRAINED, actor, over)
    if not wanted:
        return Claim(None, "what was asked for was trained meanwhile")
    told = dict.fromkeys(
        reasons.get(item.reason, item.why or f"{item.reason.value} request") for item in wanted
    )
    return Claim(
        as_of=demand.as_of if demand else max(item.as_of for item in wanted),
        why="; ".join(told),
    )


def requesters(ledger: Ledger, run_id: str, actor: str) -> str:
    """Return all who asked for the training a run has taken on, joined: none of them may approve it.

    They are read from the ledger whenever they are needed: what a run hands on may be written by others.

    Args:
        ledger: holds the claim.
        run_id: the claimant.
        actor: who triggered the run.
    """
    return joined_requesters([actor, *(item.requested_by for item in ledger.held_requests(run_id))])


def _reasons(  # noqa: PLR0917 - what `claim` was told
    ledger: Ledger,
    folder: ModelFolder,
    look: Callable[[datetime], Present],
    demand: Demand | None,
    moment: datetime | None,
    actor: str,
) -> dict[RetrainReason, str]:
    """Return why a run trains by itself, whatever else is requested, in words."""
    if demand is not None:
        return {RetrainReason.MANUAL: f"{actor} asked for it"}
    if moment is None:
        return {}
    return due(folder.contract, ledger.last_regular_training(folder.name), look(moment))


def _still_wanted(
    ledger: Ledger,
    folder: ModelFolder,
    claimed: tuple[RetrainRequest, ...],
    look: Callable[[datetime], Present],
    demand: Demand | None,
) -> list[RetrainRequest]:
    """Return the requests that the last training did not answer.

    It is read only now that the claim is held: before, another run might still have recorded one.
    """
    last, regular = ledger.last_training(folder.name), ledger.last_regular_training(folder.name)
    stand = cache(look)

    def is_answered(request: RetrainRequest) -> bool:
        if request.reason in _OF_CODE_AND_DATA:
            return regular is not None and not due(folder.contract, regular, stand(request.as_of))
        if request.reason is RetrainReason.MANUAL and demand is not None:
            return is_repeat(last, demand, stand(demand.as_of).fingerprint)
        return False

    return [request for request in claimed if not is_answered(request)]


def _nothing(ledger: Ledger, model: str) -> str:
    holders = ledger.claimants(model)
    if holders:
        return f"{', '.join(holders)} is training already"
    return "nothing is new since the last training, and nobody asked for one"
