"""Outcomes: what became of predictions, told by callers and logged once each."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec

from include.adapters.outcome_log import OutcomeLog
from include.adapters.prediction_log import find
from include.contracts.errors import ConflictError, LogWriteError
from include.contracts.keys import ApiKey, Verb
from include.contracts.predictions import OutcomeRow
from serving.gateway.dataplane import Dataplane
from serving.gateway.decoding import decoded
from serving.gateway.keys import authorise
from serving.gateway.problems import (
    INVALID_REQUEST,
    LOG_UNAVAILABLE,
    OUTCOME_CONFLICT,
    Problem,
)
from serving.gateway.schemas import Outcome, OutcomeReceipt

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
            Problem: 403, 409 for a known id with other content, 422, 503 when the log cannot be written.
        """
        said = decoded(_outcomes, body)
        rows = [await self._row(key, outcome) for outcome in (said if isinstance(said, list) else [said])]
        return self._append(rows)

    def _append(self, rows: Sequence[OutcomeRow]) -> OutcomeReceipt:
        try:
            receipt = self._log.append(rows)
        except ConflictError as error:
            raise Problem(OUTCOME_CONFLICT, str(error)) from error
        except LogWriteError as error:
            raise Problem(LOG_UNAVAILABLE, "the outcome could not be logged; send it again") from error
        return OutcomeReceipt(receipt.accepted, receipt.duplicates)

    async def _row(self, key: ApiKey, outcome: Outcome) -> OutcomeRow:
        model = await self._model(outcome)
        authorise(key, model, Verb.OUTCOMES)
        return OutcomeRow(
            outcome_id=outcome.outcome_id,
            model=model,
            metric=outcome.metric,
            value=outcome.value,
            occurred_at=outcome.occurred_at,
            recorded_at=self._dataplane.backends.clock(),
            prediction_id=outcome.prediction_id,
            unit=outcome.unit,
            key_id=key.key_id,
        )

    async def _model(self, outcome: Outcome) -> str:
        """Return the model an outcome is about, from the prediction's row where one is named."""
        if (outcome.prediction_id is None) == (outcome.unit is None):
            raise Problem(INVALID_REQUEST, f"{outcome.outcome_id}: send 'prediction_id' or 'unit', not both")
        if outcome.prediction_id is None:
            if outcome.model is None:
                raise Problem(INVALID_REQUEST, f"{outcome.outcome_id}: 'unit' needs 'model' with it")
            return outcome.model
        model = await self._model_of(outcome.prediction_id)
        if outcome.model not in (None, model):
            raise Problem(
                INVALID_REQUEST, f"{outcome.outcome_id}: the prediction is not of {outcome.model!r}"
            )
        return model

    async def _model_of(self, prediction_id: str) -> str:
        """Reading a day of the log takes a while, so it happens off the event loop."""
        try:
            row = await asyncio.to_thread(find, self._predictions, prediction_id)
        except ValueError as error:
            raise Problem(INVALID_REQUEST, str(error)) from error
        if row is None:
            raise Problem(INVALID_REQUEST, f"no prediction {prediction_id!r} is in the log")
        return row.model
