"""Experiment and ramp on the running platform, each by its DAGs: traffic is what the ledger says."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from include.adapters.artefact_home import artefact_store
from include.adapters.ledger.ledger import Ledger
from include.commands.platform import Platform
from include.contracts.errors import PlatformError
from include.contracts.experiment_results import Analysis, ExperimentReason, ExperimentVerdict
from include.contracts.experiments import Experiment, ExperimentState
from include.contracts.ramps import RampReason
from include.contracts.releases import Release, ReleaseStage
from tests.e2e.contested import CLOCK, MODEL, NOON, PLAN, WAIT_SECONDS, Contested, contested, until

pytestmark = pytest.mark.slow  # a model is trained and ramped: minutes
HOUR = timedelta(hours=1)
SALT = str(PLAN["salt"])


@pytest.fixture(scope="module")
def model(platform: Platform) -> Iterator[Contested]:
    """Give the model, its first version serving and a second one registered."""
    with contested(platform, Path(platform.settings.model_folders[-1])) as made:
        yield made


def experiment(model: Contested) -> Experiment:
    """Return how the experiment stands."""
    with closing(model.ledger) as ledger:
        found = ledger.experiment(SALT)
    assert found is not None
    return found


def expose(model: Contested, start: int, end: int, rates: dict[str, int], after: timedelta) -> None:
    """Let customers ask once, and tell of those who came back: so many of ten in each variant."""
    outcomes: list[dict[str, Any]] = []
    seen = {"champion": 0, "challenger": 0}
    for customer in model.customers[start:end]:
        answer = model.ask(customer, NOON + after)
        name = answer["variant"]
        seen[name] += 1
        if seen[name] % 10 < rates[name]:
            outcomes.append(
                {
                    "outcome_id": f"back-{customer}",
                    "prediction_id": answer["prediction_id"],
                    "metric": "came_back",
                    "value": 1.0,
                    "occurred_at": (NOON + after + HOUR).isoformat(),
                }
            )
    model.tell(outcomes)


def look(model: Contested, days: float) -> Analysis:
    """Analyse some days after the start, by the experiment's DAG."""
    moment = NOON + timedelta(days=days)
    run = model.run("offers_analyse", as_of=moment.isoformat())
    model.succeed("offers_analyse", run)
    with closing(model.ledger) as ledger:
        found = ledger.analysis_as_of(MODEL, SALT, moment)
    assert found is not None
    return found


def test_an_experiment_runs_from_its_approval_to_its_end(model):
    """Start, traffic, outcomes, a look without an answer, one with, the verdict, and the end."""
    run = model.run("offers_control", action="start", as_of=NOON.isoformat(), underpowered=True)
    model.say_yes("offers_control", run)
    model.succeed("offers_control", run)
    begun = experiment(model)
    assert (ExperimentState.RUNNING, 0.5, ("approver",), "operator") == (
        begun.state,
        begun.share,
        begun.approved_by,
        begun.started_by,
    )
    assert (model.champion.version, model.candidate.version) == (
        begun.control_version,
        begun.treatment_version,
    )
    counts = model.assert_traffic_is_the_ledgers(at=NOON + HOUR)
    assert min(counts.values()) > 15

    expose(model, 0, 260, {"champion": 4, "challenger": 4}, after=2 * HOUR)
    first = look(model, 1.5)
    assert (ExperimentVerdict.CONTINUE, (ExperimentReason.NOT_SIGNIFICANT,)) == (first.verdict, first.reasons)
    assert first.look is not None
    assert 260 == first.counts.units == first.counts.matured

    expose(model, 260, 1_200, {"champion": 3, "challenger": 6}, after=26 * HOUR)
    last = look(model, 3.0)
    assert (ExperimentVerdict.SHIP, (ExperimentReason.PRIMARY_BETTER,)) == (last.verdict, last.reasons)
    assert (True, 2) == (last.look.final, last.look.number)
    assert last.look.z > last.look.upper
    store = artefact_store(model.platform.settings)
    assert "SHIP: primary better" in store.read(str(last.report_uri)).decode()

    run = model.run("offers_control", action="stop", as_of=NOON.isoformat(), reason="it is decided")
    model.succeed("offers_control", run)
    assert ExperimentState.STOPPED is experiment(model).state
    assert model.route.challenger is None
    assert {"champion": 60} == model.assert_traffic_is_the_ledgers()


def test_a_ramp_is_paused_resumed_and_rolled_back(model):
    """What a person does at a ramp moves ledger and traffic alike, and nothing else does."""
    run = model.run("release", version=model.candidate.version, clock=CLOCK)
    release_id = f"{MODEL}-{run}"
    model.say_yes("release", run)

    def release() -> Release:
        with closing(model.ledger) as ledger:
            found = ledger.release(release_id)
        assert found is not None
        return found

    def at(place: int) -> bool:
        ramp = release().ramp
        return ramp is not None and ramp.place == place

    until(lambda: at(0), WAIT_SECONDS)
    pause = model.run("ramp_pause", reason="a look at the figures")
    model.succeed("ramp_pause", pause)
    assert 0.2 == model.route.share
    assert release().ramp.paused_at is not None
    counts = model.assert_traffic_is_the_ledgers(count=300)
    needed = release().plan.minimum_at(1)
    assert counts["challenger"] >= release().plan.minimum_at(0) > 0
    # Its time is over and its requests have come: only the pause keeps it.
    until(lambda: release().ramp.due_at < ledger_time(model), WAIT_SECONDS)
    held = release()
    assert {"challenger", "champion"} == set(model.assert_traffic_is_the_ledgers())
    assert (0, ReleaseStage.RAMPING) == (release().ramp.place, release().stage)
    assert held.revision == release().revision

    resume = model.run("ramp_resume", reason="the figures are good")
    model.say_yes("ramp_resume", resume)
    model.succeed("ramp_resume", resume)
    until(lambda: at(1), WAIT_SECONDS)
    assert 0.5 == model.route.share
    counts = model.assert_traffic_is_the_ledgers(count=40)
    assert counts["challenger"] < needed

    back = model.run("rollback", reason="go back now")
    model.succeed("rollback", back)
    ended = release()
    assert ReleaseStage.ROLLED_BACK is ended.stage
    assert model.route.challenger is None
    assert {"champion": 60} == model.assert_traffic_is_the_ledgers()
    with pytest.raises(PlatformError, match="is rolled_back: go back now"):
        model.succeed("release", run)
    assert reasons(model, release_id) >= {RampReason.PAUSED_BY_HAND, RampReason.RESUMED_BY_HAND}
    with closing(model.ledger) as ledger:
        assert ledger.verify() > 0


def ledger_time(model: Contested) -> Any:
    """Return the ledger's own time."""
    with closing(model.ledger) as ledger:
        return ledger.now()


def reasons(model: Contested, release_id: str) -> set[str]:
    """Return why a release was moved, each time it was."""
    with closing(Ledger(model.platform.settings.ledger_uri)) as ledger:
        events = [event for event in ledger.events(MODEL, limit=10_000) if event.subject == release_id]
    decided = [event.payload.get("decision") for event in events]
    return {each["reason"] for each in decided if isinstance(each, dict)}
