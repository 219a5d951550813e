"""Outcomes: what became of predictions, told by callers and logged once each."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from logging import getLogger
from pathlib import Path

import msgspec

from include.adapters.outcome_log import OutcomeLog
from include.adapters.prediction_log import find_all
from include.contracts.errors import ConflictError, DataError, LogWriteError
from include.contracts.keys import ApiKey, Verb
from include.contracts.predictions import OutcomeRow
from serving.gateway.dataplane import Dataplane
from serving.gateway.decoding import decoded
from serving.gateway.keys import authorise
from serving.gateway.problems import (
    FORBIDDEN,
    INVALID_REQUEST,
    LOG_UNAVAILABLE,
    OUTCOME_CONFLICT,
    Problem,
)
from serving.gateway.schemas import Outcome, OutcomeReceipt

MOST_OUTCOMES = 1_000
"""Most outcomes in one request."""

_log = getLogger(__name__)
_outcomes = msgspec.json.Decoder(Outcome | list[Outcome])


class Outcomes:
    """Accepts outcomes; sending one again does nothing."""

    def __init__(self, dataplane: Dataplane, log: OutcomeLog, predictions: Path) -> None:
        self._dataplane = dataplane
        self._log = log
        self._predictions = predictions

    async def accept(self, key: ApiKey, body: bytes) -> OutcomeReceipt:
        """Log the outcomes of a body; all of them, or none when one is refused.

        Raises:
            Problem: 403, 409 for a known id with other content, 422, 429, 503 when a log cannot be used.
        """
        limits = self._dataplane.limits
        try:
            outcomes = _checked(key, body)
        except Problem:
            await limits.admit(key, 1)
            raise
        await limits.admit(key, len(outcomes))
        models = await self._models_of([item.prediction_id for item in outcomes if item.prediction_id])
        return self._append([self._row(key, outcome, models) for outcome in outcomes])

    def _append(self, rows: Sequence[OutcomeRow]) -> OutcomeReceipt:
        try:
            receipt = self._log.append(rows)
        except ConflictError as error:
            raise Problem(OUTCOME_CONFLICT, str(error)) from error
        except LogWriteError as error:
            raise Problem(LOG_UNAVAILABLE, "the outcome could not be logged; send it again") from error
        return OutcomeReceipt(receipt.accepted, receipt.duplicates)

    def _row(self, key: ApiKey, outcome: Outcome, models: Mapping[str, str]) -> OutcomeRow:
        model = _model(outcome, models)
        authorise(key, model, Verb.OUTCOMES)
        return OutcomeRow(
            outcome_id=outcome.outcome_id,
            model=model,
            metric=outcome.metric,
            value=outcome.value,
            occurred_at=_occurred_at(outcome),
            recorded_at=self._dataplane.backends.clock(),
            prediction_id=outcome.prediction_id,
            unit=outcome.unit,
            key_id=key.key_id,
        )

    async def _models_of(self, prediction_ids: Sequence[str]) -> dict[str, str]:
        """Return the model by prediction; reading days of the log takes a while, off the event loop."""
        if not prediction_ids:
            return {}
        try:
            rows = await asyncio.to_thread(find_all, self._predictions, prediction_ids)
        except ValueError as error:
            raise Problem(INVALID_REQUEST, str(error)) from error
        except (DataError, OSError) as error:
            _log.error("prediction log unreadable", extra={"fields": {"error": str(error)}})
            raise Problem(LOG_UNAVAILABLE, "the prediction's day of the log cannot be read") from error
        return {prediction_id: row.model for prediction_id, row in rows.items()}


def _checked(key: ApiKey, body: bytes) -> list[Outcome]:
    if Verb.OUTCOMES not in key.verbs:
        raise Problem(FORBIDDEN, "the key has no outcomes on any model")
    said = decoded(_outcomes, body)
    outcomes = said if isinstance(said, list) else [said]
    if len(outcomes) > MOST_OUTCOMES:
        raise Problem(
            INVALID_REQUEST, f"{len(outcomes)} outcomes in one request; at most {MOST_OUTCOMES} are taken"
        )
    for outcome in outcomes:
        _check_subject(outcome)
    return outcomes


def _check_subject(outcome: Outcome) -> None:
    if (outcome.prediction_id is None) == (outcome.unit is None):
        raise Problem(INVALID_REQUEST, f"{outcome.outcome_id}: send 'prediction_id' or 'unit', not both")
    if outcome.unit is not None and outcome.model is None:
        raise Problem(INVALID_REQUEST, f"{outcome.outcome_id}: 'unit' needs 'model' with it")


def _model(outcome: Outcome, models: Mapping[str, str]) -> str:
    """Return the model an outcome is about, that of the prediction where one is named."""
    if outcome.prediction_id is None:
        return outcome.model or ""
    model = models.get(outcome.prediction_id)
    if model is None:
        raise Problem(INVALID_REQUEST, f"no prediction {outcome.prediction_id!r} is in the log")
    if outcome.model not in (None, model):
        raise Problem(INVALID_REQUEST, f"{outcome.outcome_id}: the prediction is not of {outcome.model!r}")
    return model


def _occurred_at(outcome: Outcome) -> datetime:
    try:
        return outcome.occurred_at.astimezone(UTC)
    except OverflowError:
        raise Problem(
            INVALID_REQUEST, f"{outcome.outcome_id}: 'occurred_at' lies outside the years 1 to 9999 in UTC"
        ) from None
