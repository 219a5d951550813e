"""Waits, without a worker, until something has to be done about a ramp."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

POLL_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 15.0
"""A log that takes long to read is read less often; a breach wakes its step within twice that."""


class RampTrigger(BaseTrigger):
    """Reads ledger and prediction log; fires when a place is due, breached, or moved by somebody.

    It changes nothing: whatever it saw, the step looks again. What it needs is in the ledger, so that one
    started anew after a restart waits for the same.

    Args:
        release_id: the release on its ramp.
        revision: how the step saw it.
        question: id of the task instance that asks a person, if one is asked.
    """

    def __init__(self, release_id: str, revision: int, question: str | None = None) -> None:
        super().__init__()
        self.release_id = release_id
        self.revision = revision
        self.question = question

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what a triggerer makes it of."""
        fields = {"release_id": self.release_id, "revision": self.revision, "question": self.question}
        return "ramp_trigger.RampTrigger", fields

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look again and again; a ledger or log that cannot be read now may be a moment later."""
        watch = None
        while True:
            began = monotonic()
            try:
                watch = watch or await asyncio.to_thread(self._watch)
                woke = await asyncio.to_thread(watch.look)
                event = {"woke": woke} if woke else await self._answered()
            except Exception:  # one that ends would leave the ramp unwatched
                self.log.exception("release %s: looking failed; looking again", self.release_id)
                event = None
            if event is not None:
                yield TriggerEvent(event)
                return
            took = monotonic() - began
            await asyncio.sleep(min(max(POLL_SECONDS, 2.0 * took), LONGEST_PAUSE_SECONDS))

    def _watch(self) -> Any:
        from include.config.settings import settings
        from include.rollout.ramp_watch import RampWatch

        return RampWatch(settings(), self.release_id, self.revision)

    async def _answered(self) -> dict[str, Any] | None:
        """Return an answer that came while the step was not parked: Airflow keeps it, and tells nobody."""
        if self.question is None:
            return None
        from airflow.sdk.execution_time.hitl import get_hitl_detail_content_detail
        from asgiref.sync import sync_to_async

        found = await sync_to_async(get_hitl_detail_content_detail)(ti_id=self.question)
        if not (found.response_received and found.chosen_options):
            return None
        user = found.responded_by_user
        return {
            "chosen_options": list(found.chosen_options),
            "params_input": found.params_input or {},
            "responded_by_user": {"id": user.id, "name": user.name} if user else None,
        }
