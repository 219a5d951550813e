"""The steps of a ramp, each as its task runs it; what of them lasts is told by `stages`.

Two ways: one on which the requests are good to the end, and one on which those beside the champion fail. The
requests were logged before, and count from whenever a place is entered.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from include.adapters.prediction_log import PredictionLog
from include.contracts.predictions import FallbackReason, Status
from include.rollout.ramp import enter, look, ramp_tools
from include.rollout.ramp_control import Answer, answer, pause, resume
from tests.adapters.test_prediction_log import row
from tests.faults.stages import SECOND, World, decide, load, open_release, prepare, register_version, settle

GOOD = {
    "stages": [{"share": 0.5, "hold": "0s", "minimum_requests": 200}, {"share": 1.0, "hold": "0s"}],
    "bake": "1s",
    "patience": "0s",
    "guardrails": [{"metric": "error_ratio", "margin": 0.2, "baseline": 0.01}],
}
FOREVER = {**GOOD, "stages": [{**GOOD["stages"][0], "minimum_requests": 100_000}, GOOD["stages"][1]]}
"""A first stage that never has its requests: it holds."""


def prepare_good(world: World) -> None:
    """Load a second version whose requests will be good."""
    _prepare(world, GOOD, failing=0)


def prepare_bad(world: World) -> None:
    """Load a second version that fails half of the requests."""
    _prepare(world, GOOD, failing=200)


def prepare_held(world: World) -> None:
    """Load a second version whose first stage will hold."""
    _prepare(world, FOREVER, failing=0)


def _prepare(world: World, plan: dict[str, object], failing: int) -> None:
    prepare(world, rollout=plan)
    for stage in (register_version, open_release, decide, load):
        stage(world, SECOND)
    log = PredictionLog(world.settings.predictions_folder, 2**20)
    later = datetime.now(UTC) + timedelta(days=1)
    log.append(
        [
            row(
                recorded_at=later,
                unit=str(number),
                assigned_variant=variant,
                release_or_experiment_id=f"release-{SECOND}",
                share=share,
                **_failed(variant == "challenger" and number < failing),
            )
            for variant, share in (("champion", 0.5), ("challenger", 0.5), ("champion", None))
            for number in range(400)
        ]
    )
    log.close()


def _failed(fails: bool) -> dict[str, object]:
    return {"status": Status.FALLBACK, "fallback_reason": FallbackReason.MODEL_ERROR} if fails else {}


def enter_place(world: World) -> None:
    """Enter the next place, unless it has been entered: as the task does that finds it so."""
    enter(ramp_tools(world.settings, world.folder.contract), world.release(SECOND), "system")


def look_at_place(world: World) -> None:
    """Look at the place, unless it is passed or the ramp is over; a time that must pass has passed."""
    release = world.release(SECOND)
    if release.stage.is_terminal or (release.ramp is not None and release.ramp.passed):
        return
    tools = ramp_tools(world.settings, world.folder.contract)
    tools.ledger._clock = lambda: datetime.now(UTC) + timedelta(minutes=1)
    look(tools, release)


def say_promote(world: World) -> None:
    """Answer the ramp that holds."""
    tools = ramp_tools(world.settings, world.folder.contract)
    answer(tools, world.release(SECOND), Answer.PROMOTE, by="approver", reason="a quiet night")


def stop(world: World) -> None:
    """Pause it."""
    pause(world.ledger, "churn", by="uma", reason="a game tonight")


def go_on(world: World) -> None:
    """Resume it."""
    resume(world.ledger, "churn", by="approver", asked_by="uma", reason="it is over")


RAMPS: dict[str, dict[str, Callable[[World], None]]] = {
    "good": {
        "enter_share": enter_place,
        "pass_share": look_at_place,
        "enter_all": enter_place,
        "pass_all": look_at_place,
        "enter_bake": enter_place,
        "end_bake": look_at_place,
        "settle_promoted": settle,
    },
    "bad": {"enter_bad": enter_place, "roll_back_share": look_at_place, "settle_rolled_back": settle},
    "held": {
        "enter_held": enter_place,
        "hold": look_at_place,
        "pause": stop,
        "resume": go_on,
        "answer": say_promote,
    },
}
"""Steps of each way in their order; each finds what the ones before it left."""
PREPARED = {"enter_share": prepare_good, "enter_bad": prepare_bad, "enter_held": prepare_held}
"""What makes the world that the first step of a way finds."""
