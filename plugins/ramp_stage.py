"""A place of a ramp: enter it, wait without a worker, look, decide, and ask a person where it must."""

from datetime import datetime
from typing import Any

from airflow.sdk import BaseOperator, Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.execution_time.hitl import upsert_hitl_detail

from include.config.models import model_folder
from include.config.settings import settings
from include.contracts.errors import LedgerError
from include.contracts.events import SYSTEM
from ramp_trigger import RampTrigger
from release_approval import release_id

CLOCK = "clock"
"""Parameter of a run: what the plan's times are multiplied by."""


class RampStage(BaseOperator):
    """Bring a release through the places of its ramp up to one.

    The ledger says where the release stands, so the task may be killed, cleared or run twice: it goes on from
    there. While it waits it holds no worker, and a trigger looks every few seconds. While it asks, it goes on
    watching: harm that shows meanwhile goes back at once, and the question is void.

    Args:
        model: whose release it is.
        until: last place this task sees to; None: all that are left.
    """

    def __init__(self, *, model: str, until: int | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.until = until

    def execute(self, context: Any) -> None:
        """Go on from where the ledger says the release stands."""
        self._go_on(context, is_asking=False)

    def resume(self, context: Any, event: dict[str, Any], is_asking: bool) -> None:
        """Go on after waiting: with a person's answer, or because something is to be done."""
        if "chosen_options" in event:
            is_asking = self._answer(context, event)
        self._go_on(context, is_asking)

    def _go_on(self, context: Any, is_asking: bool) -> None:
        from include.contracts.ramps import RampVerdict
        from include.rollout.approval import existing_release
        from include.rollout.ramp import enter, look, next_place

        tools, name = self._tools(), release_id(self.model, context)
        while True:
            release = existing_release(tools.ledger, name)
            place = next_place(release)
            if place is None:
                return self._end(tools, release)
            if self.until is not None and place > min(self.until, release.plan.full_place):
                return None
            release = enter(tools, release, self._actor(context), clock=self._clock(context))
            release, decision = look(tools, release)
            self.log.info("%s: %s, %s", name, decision.verdict.value, decision.detail)
            if decision.verdict in {RampVerdict.WAIT, RampVerdict.HOLD}:
                break
        is_held = release.ramp is not None and release.ramp.held is not None
        if is_held and not is_asking:
            self._ask(context, release, decision, tools.ledger.now())
        question = str(context["task_instance"].id) if is_held else None
        self.defer(
            trigger=RampTrigger(name, release.revision, question),
            method_name="resume",
            kwargs={"is_asking": is_held},
        )
        return None

    def _end(self, tools: Any, release: Any) -> None:
        """End well where the release was promoted; else fail, with what ended it."""
        from include.contracts.releases import ReleaseStage

        if release.stage is not ReleaseStage.PROMOTED:
            why = tools.ledger.why_ended(release.release_id)
            raise AirflowFailException(f"{release.release_id} is {release.stage.value}: {why}")

    def _ask(self, context: Any, release: Any, decision: Any, now: datetime) -> None:
        """Put the question where Airflow shows what waits for a person; the approvers may answer."""
        from include.rollout.ramp_question import question

        reason = Param("", type="string", description="Why; goes to the ledger. To promote, it is needed")
        params = ParamsDict({"reason": reason})
        upsert_hitl_detail(
            ti_id=context["task_instance"].id,
            options=_options(),
            subject=f"{release.model} {release.version} holds at {release.plan.name_of(release.ramp.place)}",
            body=question(release, decision, now),
            params={"reason": params.get_param("reason").serialize()},
            assigned_users=[{"id": user, "name": user} for user in release.approvers],
        )

    def _answer(self, context: Any, event: dict[str, Any]) -> bool:
        """Do what a person answered; returns whether the question stands still: never, it is asked anew."""
        from include.rollout.approval import existing_release
        from include.rollout.ramp_control import Answer, answer

        tools = self._tools()
        # By name, as the ledger knows people; an auth manager may number them.
        user = event["responded_by_user"] or {"name": SYSTEM}
        try:
            answer(
                tools,
                existing_release(tools.ledger, release_id(self.model, context)),
                Answer(event["chosen_options"][0]),
                by=user["name"],
                reason=(event["params_input"] or {}).get("reason") or "",
            )
        except LedgerError as error:
            self.log.warning("the answer does not count: %s", error)
        return False

    def _tools(self) -> Any:
        from include.rollout.ramp import ramp_tools

        return ramp_tools(settings(), model_folder(settings().model_folders, self.model).contract)

    @staticmethod
    def _actor(context: Any) -> str:
        return context["dag_run"].triggering_user_name or SYSTEM

    @staticmethod
    def _clock(context: Any) -> float:
        clock = float(context["params"].get(CLOCK) or 1.0)
        if clock < 1.0 and not settings().replay:
            raise AirflowFailException(f"{CLOCK} {clock:g}: times are compressed only in a replay")
        return clock


def _options() -> list[str]:
    from include.rollout.ramp_control import Answer

    return [each.value for each in Answer]
