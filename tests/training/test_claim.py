"""Whatever wakes a training, the ledger says what it is about, and two at once are one."""

import multiprocessing
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from include.adapters.ledger.ledger import Ledger
from include.config.models import ModelFolder
from include.config.settings import REPOSITORY_ROOT
from include.contracts.retraining import RetrainReason, Training
from include.training.claim import Demand, Present, claim, due, requesters

CHURN = ModelFolder(REPOSITORY_ROOT / "include" / "models" / "churn")
AS_OF = datetime(2017, 11, 1, tzinfo=UTC)
LABELLED = AS_OF - timedelta(days=14)
NOW = Present(AS_OF, LABELLED, "code-1")


def look(as_of: datetime) -> Present:
    """Return the same labels and code at any moment."""
    return Present(as_of, LABELLED, "code-1")


LAST = Training(
    model="churn",
    run_id="churn_train:one",
    as_of=AS_OF,
    labelled_until=LABELLED,
    fingerprint="code-1",
    candidate_uri="candidates/one",
    version="1.0.0",
)
EARLIER = datetime(2020, 1, 1, tzinfo=UTC)
LATER = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def url(ledger_url: str) -> str:
    """A migrated ledger's URL, in each database there is code for."""
    return ledger_url


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """An empty ledger."""
    opened = Ledger(url)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("last", "now", "reasons"),
    [
        (None, NOW, {RetrainReason.DATA}),
        (None, replace(NOW, labelled_until=None), set()),
        (LAST, NOW, set()),
        (LAST, replace(NOW, fingerprint="code-2"), {RetrainReason.CODE}),
        (LAST, replace(NOW, labelled_until=LABELLED + timedelta(days=6)), set()),
        (LAST, replace(NOW, labelled_until=LABELLED + timedelta(days=7)), {RetrainReason.DATA}),
        (
            LAST,
            Present(AS_OF, LABELLED + timedelta(days=7), "code-2"),
            {RetrainReason.CODE, RetrainReason.DATA},
        ),
    ],
)
def test_what_is_due(last, now, reasons):
    """A first training, other code, labels of a whole snapshot; nothing else."""
    assert reasons == set(due(CHURN.contract, last, now))


def test_a_timed_run_takes_what_is_due_and_the_next_finds_nothing(ledger):
    """What was trained is remembered, whether it passed its gates or not."""
    first = claim(ledger, CHURN, "churn_train:one", look=look, moment=AS_OF)
    assert (AS_OF, "it was never trained") == (first.as_of, first.why)
    ledger.record_training(LAST.model_copy(update={"version": None}), "system")
    ledger.end_retrain("churn_train:one", "judged, not registered", "system")
    second = claim(ledger, CHURN, "churn_train:two", look=look, moment=AS_OF)
    assert (None, "nothing is new since the last training, and nobody asked for one") == (
        second.as_of,
        second.why,
    )


def test_a_woken_run_takes_what_was_requested(ledger):
    """Moment and requester are the request's; without one it has nothing to do."""
    assert claim(ledger, CHURN, "churn_train:idle", look=look).as_of is None
    ledger.request_retrain("churn", RetrainReason.DRIFT, AS_OF, "ada")
    ledger.request_retrain(
        "churn",
        RetrainReason.PERFORMANCE,
        AS_OF + timedelta(days=1),
        "system",
        why="AUC fell",
        figures={"n": 3},
    )
    assert ("AUC fell", {"n": 3}) == (
        ledger.retrain_requests("churn")[1].why,
        ledger.retrain_requests("churn")[1].figures,
    )
    taken = claim(ledger, CHURN, "churn_train:one", look=look)
    assert (AS_OF + timedelta(days=1), "ada") == (
        taken.as_of,
        requesters(ledger, "churn_train:one", "system"),
    )
    assert "drift request; AUC fell" == taken.why
    assert taken == claim(ledger, CHURN, "churn_train:one", look=look)


def test_all_who_asked_are_named(ledger):
    """Who triggers a run beside a request that waits is a requester like whoever wrote that."""
    ledger.request_retrain("churn", RetrainReason.DRIFT, AS_OF, "bob")
    ledger.request_retrain("churn", RetrainReason.PERFORMANCE, AS_OF, "system")
    demand = Demand(AS_OF, LATER)
    for _ in range(2):
        taken = claim(ledger, CHURN, "churn_train:one", look=look, demand=demand, actor="ada")
        assert (AS_OF, "ada, bob") == (taken.as_of, requesters(ledger, "churn_train:one", "ada"))


def test_several_requests_of_a_woken_run_name_each_requester(ledger):
    """Nobody who asked is forgotten for having asked second, or for asking the same."""
    for name in ("uma", "ada", "uma"):
        ledger.request_retrain("churn", RetrainReason.DRIFT, AS_OF, name)
    claim(ledger, CHURN, "churn_train:one", look=look)
    assert "ada, uma" == requesters(ledger, "churn_train:one", "system")
    assert "system" == requesters(ledger, "churn_train:another", "system")


def test_a_person_gets_what_they_ask_for(ledger):
    """Though nothing is new; what they ask for while just this is trained is not trained again."""
    ledger.record_training(LAST, "system")
    asked = claim(ledger, CHURN, "churn_train:two", look=look, demand=Demand(AS_OF, LATER), actor="ada")
    assert (AS_OF, "ada asked for it") == (asked.as_of, asked.why)
    assert "ada" == requesters(ledger, "churn_train:two", "ada")
    ledger.end_retrain("churn_train:two", "registered 1.0.1", "ada")
    for demand, trains in (
        (Demand(AS_OF, EARLIER), False),
        (Demand(AS_OF, EARLIER, seed=8), True),
        (Demand(AS_OF, EARLIER, {"hidden": 8}), True),
        (Demand(AS_OF + timedelta(days=1), EARLIER), True),
    ):
        taken = claim(ledger, CHURN, f"churn_train:{demand}", look=look, demand=demand, actor="ada")
        assert trains == (taken.as_of is not None), taken
        ledger.end_retrain(f"churn_train:{demand}", "done", "ada")


def test_an_experiment_leaves_what_waits_to_others(ledger):
    """Neither a run with its own hyperparameters or seed nor one of an earlier moment answers a request."""
    asked = ledger.request_retrain("churn", RetrainReason.DRIFT, AS_OF, "system")
    for number, demand in enumerate(
        (
            Demand(AS_OF, LATER, {"hidden": 8}),
            Demand(AS_OF, LATER, seed=8),
            Demand(AS_OF - timedelta(days=1), LATER),
        )
    ):
        run = f"churn_train:{number}"
        taken = claim(ledger, CHURN, run, look=look, demand=demand, actor="ada")
        assert (demand.as_of, "ada asked for it") == (taken.as_of, taken.why)
        ledger.end_retrain(run, "registered 1.0.1", "ada")
        assert (asked,) == ledger.retrain_requests("churn")
    later = Demand(AS_OF + timedelta(days=1), LATER)
    assert "drift request" in claim(ledger, CHURN, "churn_train:9", look=look, demand=later, actor="ada").why


def test_an_experiment_does_not_silence_the_schedule(ledger):
    """What is due is measured from the last training by the contract alone."""
    ledger.record_training(LAST.model_copy(update={"hyperparameters": {"hidden": 8}}), "ada")
    assert "it was never trained" == claim(ledger, CHURN, "churn_train:1", look=look, moment=AS_OF).why
    ledger.end_retrain("churn_train:1", "registered 1.0.0", "system")
    ledger.record_training(LAST, "system")
    ledger.record_training(LAST.model_copy(update={"fingerprint": "code-0", "seed": 8}), "ada")
    assert claim(ledger, CHURN, "churn_train:2", look=look, moment=AS_OF).as_of is None


def test_what_was_asked_while_it_was_trained_is_not_trained_again(ledger):
    """A request about data or code that the last training had is over; drift is somebody's judgement."""
    claim(ledger, CHURN, "churn_train:one", look=look, moment=AS_OF)
    for reason in (RetrainReason.DATA, RetrainReason.CODE):
        ledger.request_retrain("churn", reason, AS_OF + timedelta(hours=1), "ada")
    ledger.record_training(LAST, "system")
    ledger.end_retrain("churn_train:one", "registered 1.0.0", "system")
    second = claim(ledger, CHURN, "churn_train:two", look=look)
    assert (None, "what was asked for was trained meanwhile") == (second.as_of, second.why)
    assert ((), ()) == (ledger.retrain_requests("churn"), ledger.claimants("churn"))
    ledger.request_retrain("churn", RetrainReason.DATA, AS_OF, "ada")
    ledger.request_retrain("churn", RetrainReason.DRIFT, AS_OF, "bob")
    third = claim(ledger, CHURN, "churn_train:three", look=look)
    assert (AS_OF, "drift request") == (third.as_of, third.why)
    assert "bob" == requesters(ledger, "churn_train:three", "system")
    assert ledger.verify() > 0


def test_a_run_that_looked_before_the_other_ended_trains_nothing(ledger):
    """It found a training due, the other run ended, and only then it claimed."""

    def look_and_lose(as_of):
        if ledger.last_training("churn") is None:
            ledger.record_training(LAST, "system")
        return look(as_of)

    taken = claim(ledger, CHURN, "churn_train:two", look=look_and_lose, moment=AS_OF)
    assert (None, "what was asked for was trained meanwhile") == (taken.as_of, taken.why)
    assert () == ledger.claimants("churn")


def test_one_run_at_a_time(ledger):
    """While one holds a claim the other gets none, and what is asked meanwhile waits."""
    claim(ledger, CHURN, "churn_train:one", look=look, moment=AS_OF)
    other = claim(ledger, CHURN, "churn_train:two", look=look, demand=Demand(AS_OF, LATER))
    assert (None, "churn_train:one is training already") == (other.as_of, other.why)
    ledger.request_retrain("churn", RetrainReason.DRIFT, AS_OF, "system")
    ledger.end_retrain("churn_train:one", "registered 1.0.0", "system")
    assert AS_OF == claim(ledger, CHURN, "churn_train:three", look=look).as_of
    ledger.verify()


def test_a_retired_model_trains_no_more_by_itself(ledger):
    """A person still may."""
    ledger.retire_model("churn", actor="ada", reason="replaced")
    assert (
        "churn is retired: replaced" == claim(ledger, CHURN, "churn_train:one", look=look, moment=AS_OF).why
    )
    assert claim(ledger, CHURN, "churn_train:two", look=look, demand=Demand(AS_OF, LATER)).as_of


def _claims(url: str, run_id: str, start: object, taken: object) -> None:
    ledger = Ledger(url)
    start.wait()
    taken.put(claim(ledger, CHURN, run_id, look=look, moment=AS_OF).as_of is not None)


def test_two_processes_at_once_make_one_training(url, ledger):
    """Both find a training due; the ledger gives it to one of them."""
    context = multiprocessing.get_context("spawn")
    start, taken = context.Barrier(2), context.Queue()
    processes = [
        context.Process(target=_claims, args=(url, f"churn_train:{number}", start, taken))
        for number in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [False, True] == sorted(taken.get(timeout=10) for _ in processes)
    assert 1 == len(ledger.claimants("churn"))
    assert 2 == ledger.verify()
