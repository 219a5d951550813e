"""Recording: rows go to the prediction log before their answers go out, as durability and policy ask."""

from collections.abc import Awaitable, Sequence
from logging import getLogger

from include.config.settings import LogPolicy
from include.contracts.errors import LogWriteError
from include.contracts.predictions import PredictionRow
from serving.gateway.ports import RowLog
from serving.gateway.problems import LOG_UNAVAILABLE, Problem
from serving.gateway.telemetry import Telemetry

_log = getLogger(__name__)


class Recorder:
    """Appends rows; where that fails, `strict` refuses their answers and `lenient` counts them as dropped."""

    def __init__(self, log: RowLog, telemetry: Telemetry, policy: LogPolicy = LogPolicy.STRICT) -> None:
        self._log = log
        self._telemetry = telemetry
        self._policy = policy
        self._is_failing = False

    def record(self, rows: Sequence[PredictionRow]) -> Awaitable[None] | None:
        """Append rows; return what to wait for before they are answered for, None for nothing.

        Raises:
            Problem: 503, they could not be logged; waiting raises it, too.
        """
        try:
            written = self._log.append(rows)
        except LogWriteError as error:
            self._failed(rows, error)
            return None
        self._telemetry.log_bytes.inc(written)
        settling = self._log.settling()
        if settling is not None:
            return self._settled(rows, settling)
        self._succeeded()
        return None

    async def _settled(self, rows: Sequence[PredictionRow], settling: Awaitable[None]) -> None:
        try:
            with self._telemetry.stage("sync"):
                await settling
        except LogWriteError as error:
            self._failed(rows, error)
        else:
            self._succeeded()

    def _failed(self, rows: Sequence[PredictionRow], error: LogWriteError) -> None:
        if not self._is_failing:
            self._is_failing = True
            fields = {"error": str(error), "policy": self._policy.value}
            _log.error("prediction log unavailable", extra={"fields": fields})
        if self._policy is LogPolicy.STRICT:
            raise Problem(LOG_UNAVAILABLE, "the prediction could not be logged") from error
        self._telemetry.log_dropped.inc(len(rows))

    def _succeeded(self) -> None:
        if self._is_failing:
            self._is_failing = False
            _log.warning("prediction log available again", extra={"fields": {"policy": self._policy.value}})
