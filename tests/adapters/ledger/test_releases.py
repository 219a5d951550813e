from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.routes import RouteUpdate
from include.contracts.errors import ConflictError, LeaseError, LedgerError
from include.contracts.events import EventKind
from include.contracts.releases import Decision, Release, ReleaseStage
from include.contracts.routes import ModelRoute
from tests.adapters.ledger.changes import (
    advance_to_loaded,
    answer,
    approve,
    open_release,
    register,
    route_to,
)


def test_second_release_is_refused_with_its_holder(ledger: Ledger) -> None:
    """While a release is open, another of the same model is refused; another model's is not."""
    register(ledger)
    register(ledger, "1.0.1")
    register(ledger, model="spend")
    open_release(ledger)
    with pytest.raises(LeaseError, match=r"release 'r1' of 1\.0\.0, awaiting_approval, opened by system"):
        open_release(ledger, "1.0.1", "r2")
    open_release(ledger, release_id="r3", model="spend")


def test_opening_again_is_the_same_release(ledger: Ledger) -> None:
    """A task that runs twice opens one release."""
    register(ledger)
    assert open_release(ledger) == open_release(ledger)
    assert len(ledger.events(kind=EventKind.RELEASE_OPENED)) == 1


def test_release_id_belongs_to_one_artefact(ledger: Ledger) -> None:
    """An id in use cannot name a release of something else."""
    register(ledger)
    register(ledger, "1.0.1")
    open_release(ledger)
    with pytest.raises(ConflictError, match=r"belongs to churn 1\.0\.0"):
        open_release(ledger, "1.0.1")


def test_unknown_version_is_not_released(ledger: Ledger) -> None:
    """A release without its version is refused by the database itself."""
    with pytest.raises(ConflictError, match=r"(?i)foreign key"):
        open_release(ledger)
    assert ledger.open_release_of("churn") is None


def test_one_of_many_gets_the_lease(url: str) -> None:
    """Of eight that open at once, exactly one does."""
    ledgers = [Ledger(url) for _ in range(8)]
    register(ledgers[0])
    together = Barrier(8)

    def race(place: int) -> Release | None:
        together.wait()
        try:
            return open_release(ledgers[place], release_id=f"r{place}")
        except LeaseError:
            return None

    with ThreadPoolExecutor(8) as pool:
        opened = [release for release in pool.map(race, range(8)) if release is not None]
    assert [ledgers[0].open_release_of("churn")] == opened
    assert ledgers[0].verify() == 2
    for ledger in ledgers:
        ledger.close()


def test_lost_compare_and_set_changes_nothing(ledger: Ledger) -> None:
    """Who acts on what is no longer so is refused."""
    register(ledger)
    release = open_release(ledger)
    approve(ledger, release)
    ledger.advance_release("r1", release.revision, ReleaseStage.APPROVED, actor="olga")
    with pytest.raises(ConflictError, match="revision 2 "):
        ledger.advance_release("r1", release.revision, ReleaseStage.REJECTED, actor="uma")
    assert ledger.verify() == 4


def test_stages_follow_each_other(ledger: Ledger) -> None:
    """No stage can be skipped, and none is approved without an approval."""
    register(ledger)
    release = open_release(ledger)
    with pytest.raises(LedgerError, match="from awaiting_approval to loaded"):
        ledger.advance_release("r1", release.revision, ReleaseStage.LOADED, actor="eve")
    with pytest.raises(LedgerError, match="0 of the 1 approvals"):
        ledger.advance_release("r1", release.revision, ReleaseStage.APPROVED, actor="eve")


def test_release_and_route_change_together(ledger: Ledger) -> None:
    """With a stale route revision the release stays where it was, too."""
    register(ledger)
    loaded = advance_to_loaded(ledger, open_release(ledger))
    before = ledger.verify()
    stale = RouteUpdate(route_to("1.0.0"), expected_revision=3)
    with pytest.raises(ConflictError, match="route is at revision 0, not 3"):
        ledger.advance_release("r1", loaded.revision, ReleaseStage.BAKING, actor="system", route=stale)
    assert ledger.release("r1") == loaded
    assert ledger.route("churn") is None
    assert before == ledger.verify()


def test_end_gives_the_lease_back(ledger: Ledger) -> None:
    """After its terminal stage another release may open."""
    register(ledger)
    loaded = advance_to_loaded(ledger, open_release(ledger))
    update = RouteUpdate(route_to("1.0.0"), 0)
    baking = ledger.advance_release(
        "r1", loaded.revision, ReleaseStage.BAKING, actor="system", share=1.0, route=update
    )
    ended = ledger.advance_release("r1", baking.revision, ReleaseStage.PROMOTED, actor="system")
    assert (ended.share, ended.ended_at is None) == (1.0, False)
    assert ledger.open_release_of("churn") is None
    register(ledger, "1.0.1")
    assert open_release(ledger, "1.0.1", "r2") == ledger.open_release_of("churn")
    assert [ended.release_id, "r2"] == [release.release_id for release in ledger.releases("churn")]


def test_abandoning_takes_the_challenger_away(ledger: Ledger) -> None:
    """A human ends a release with a reason, and its challenger has no traffic any more."""
    register(ledger)
    register(ledger, "1.0.1")
    loaded = advance_to_loaded(ledger, open_release(ledger, "1.0.1"))
    alone = route_to("1.0.0")
    split = ModelRoute.model_validate(
        {**dict(alone), "challenger": route_to("1.0.1").champion, "share": 0.05, "change_id": "r1"}
    )
    ledger.advance_release(
        "r1", loaded.revision, ReleaseStage.RAMPING, actor="system", share=0.05, route=RouteUpdate(split, 0)
    )
    with pytest.raises(LedgerError, match="written reason"):
        ledger.abandon("churn", actor="olga", reason=" ")
    assert ReleaseStage.ABANDONED is ledger.abandon("churn", actor="olga", reason="wrong week").stage
    assert alone == ledger.route("churn")
    with pytest.raises(LedgerError, match="no open release"):
        ledger.abandon("churn", actor="olga", reason="again")


def test_same_answer_counts_once(ledger: Ledger) -> None:
    """A rerun task that records the same answer changes nothing; another answer is refused."""
    register(ledger)
    release = open_release(ledger)
    first = approve(ledger, release)
    assert first == approve(ledger, release)
    assert (first,) == ledger.approvals("r1")
    with pytest.raises(ConflictError, match="already answered 'approved'"):
        ledger.record_approval(first.model_copy(update={"decision": Decision.REJECTED}))


def test_a_version_is_approved_by_all_it_takes(ledger: Ledger) -> None:
    """One yes of two approves nothing, nor one beside a no; two of another release do."""
    register(ledger)
    for number, answers in enumerate(((Decision.APPROVED,), (Decision.APPROVED, Decision.REJECTED)), 1):
        release = open_release(ledger, release_id=f"r{number}", quorum=2)
        for name, decision in zip(("olga", "uma"), answers, strict=False):
            answer(ledger, release, name, decision)
        ledger.abandon("churn", actor="ada", reason="it was only asked")
        assert not ledger.approved("churn", "1.0.0")
    release = open_release(ledger, release_id="r3", quorum=2)
    answer(ledger, release, "olga", Decision.APPROVED)
    assert not ledger.approved("churn", "1.0.0")
    answer(ledger, release, "uma", Decision.APPROVED)
    assert ledger.approved("churn", "1.0.0")


def test_answer_is_bound_to_the_artefact(ledger: Ledger) -> None:
    """An answer about another artefact than the release's is refused."""
    register(ledger)
    release = open_release(ledger)
    with pytest.raises(LedgerError, match="the answer speaks about"):
        approve(ledger, release.model_copy(update={"artefact_sha256": "other"}))


def test_answer_after_the_end_is_refused(ledger: Ledger) -> None:
    """Once a release is over, nobody can answer it."""
    register(ledger)
    release = open_release(ledger)
    ledger.abandon("churn", actor="olga", reason="too late")
    with pytest.raises(ConflictError, match="no longer waits"):
        approve(ledger, release)


def test_what_served_then(ledger: Ledger) -> None:
    """The ledger says what served at a moment, and who had approved it."""
    register(ledger)
    loaded = advance_to_loaded(ledger, open_release(ledger))
    ledger.advance_release(
        "r1",
        loaded.revision,
        ReleaseStage.BAKING,
        actor="system",
        share=1.0,
        route=RouteUpdate(route_to("1.0.0"), 0),
    )
    register(ledger, "1.0.1")
    ledger.change_route(RouteUpdate(route_to("1.0.1"), 1), actor="olga", reason="drill")
    first, second = ledger.route_history("churn")
    assert ("1.0.0", "1.0.1") == (first.route.champion.version, second.route.champion.version)
    assert (None, "drill") == (first.reason, second.reason)
    served = ledger.served_at("churn", second.recorded_at - timedelta(seconds=1))
    assert served is not None
    assert first == served.change
    assert ["olga"] == [approval.decided_by for approval in served.approvals["1.0.0"]]
    assert ledger.served_at("churn", first.recorded_at - timedelta(seconds=1)) is None
