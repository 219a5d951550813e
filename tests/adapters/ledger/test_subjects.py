from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.routes import RouteUpdate
from include.contracts.errors import ConflictError, LedgerError
from include.contracts.events import EventKind
from include.contracts.keys import Verb
from include.contracts.retraining import RetrainReason
from tests.adapters.ledger.changes import register, route_to
from tests.adapters.ledger.conftest import START

AS_OF = datetime(2017, 10, 1, tzinfo=UTC)


def test_package_is_registered_once(ledger: Ledger) -> None:
    """The same package again is the same version, whatever number is asked for."""
    first = register(ledger)
    again = ledger.register_version(
        model="churn",
        version="1.0.1",
        artefact_sha256=first.artefact_sha256,
        package_uri=first.package_uri,
        run_id=first.run_id,
        requested_by="ada",
        actor="ada",
    )
    assert first == again
    assert (first,) == ledger.versions("churn")
    assert first == ledger.version_by_artefact("churn", first.artefact_sha256)
    assert ledger.verify() == 1


def test_number_belongs_to_one_package(ledger: Ledger) -> None:
    """Another package cannot take a number that is used, nor a run that made another package."""
    first = register(ledger)
    for version, run_id in (("1.0.0", "run-x"), ("1.0.1", first.run_id)):
        with pytest.raises(ConflictError, match=r"churn 1\.0\.0 of run run-1\.0\.0 is registered already"):
            ledger.register_version(
                model="churn",
                version=version,
                artefact_sha256="other",
                package_uri="packages/churn/other",
                run_id=run_id,
                requested_by="ada",
                actor="ada",
            )


def test_versions_are_in_their_own_order(ledger: Ledger) -> None:
    """1.10.0 comes after 1.9.0."""
    for version in ("1.10.0", "1.9.0"):
        register(ledger, version)
    assert ["1.9.0", "1.10.0"] == [item.version for item in ledger.versions("churn")]
    assert ledger.version("churn", "3.0.0") is None


def test_snapshots_follow_each_other(ledger: Ledger) -> None:
    """Each change makes a new snapshot of all routes, under a rising number and the routes' hash."""
    assert (ledger.snapshot_id(), ledger.route_snapshot()) == (None, None)
    first = ledger.change_route(RouteUpdate(route_to("1.0.0"), 0), actor="ada", reason="start")
    second = ledger.change_route(RouteUpdate(route_to("1.0.0", "spend"), 0), actor="ada", reason="start")
    third = ledger.change_route(RouteUpdate(route_to("1.0.1"), 1), actor="ada", reason="next")
    back = ledger.change_route(RouteUpdate(route_to("1.0.0"), 2), actor="ada", reason="back")
    assert ["1", "2", "3", "4"] == [item.snapshot_id.split("-")[0] for item in (first, second, third, back)]
    assert second.snapshot_id.split("-")[1] == back.snapshot_id.split("-")[1]
    assert {"churn", "spend"} == set(back.routes)
    assert back == ledger.route_snapshot()
    assert back.snapshot_id == ledger.snapshot_id()
    assert ledger.route_state("churn").revision == 3


def test_key_is_shown_once(ledger: Ledger, url: str) -> None:
    """The ledger holds a key's hash, and neither table nor event holds the key."""
    key, secret = ledger.issue_key("laptop", ["churn"], [Verb.PREDICT], "ada")
    assert key.sha256 == sha256(secret.encode()).hexdigest()
    assert secret.startswith(f"{key.prefix}.")
    assert (key,) == ledger.api_keys()
    assert secret.split(".")[1] not in str(ledger.events())
    assert key.allows("churn", Verb.PREDICT)


def test_key_can_be_revoked(ledger: Ledger) -> None:
    """A revoked key is no longer valid; revoking again changes nothing."""
    key, _ = ledger.issue_key("laptop", ["*"], [Verb.PREDICT], "ada")
    revoked = ledger.revoke_key(key.key_id, actor="ada", reason="lost")
    assert revoked == ledger.revoke_key(key.key_id, actor="ada", reason="lost")
    assert (revoked,) == ledger.api_keys()
    assert revoked.revoked_at is not None
    assert not revoked.is_valid(revoked.revoked_at)
    assert ledger.verify() == 2
    with pytest.raises(LedgerError, match="no API key 'key-x'"):
        ledger.revoke_key("key-x", actor="ada", reason="lost")


def test_a_rotated_key_goes_on_for_its_overlap(ledger: Ledger) -> None:
    """The successor has name, scope, limit and lifetime of the old key, which ends with the overlap."""
    day = timedelta(days=1)
    old, _ = ledger.issue_key(
        "laptop", ["churn"], [Verb.PREDICT], "ada", START + 30 * day, rate_per_second=2.5, burst=10
    )
    new, secret = ledger.rotate_key(old.key_id, timedelta(hours=24), actor="olga")
    kept = {"name", "models", "verbs", "rate_per_second", "burst"}
    assert new.model_dump(include=kept) == old.model_dump(include=kept)
    assert new.sha256 == sha256(secret.encode()).hexdigest()
    assert new.expires_at == new.issued_at + 30 * day - (old.issued_at - START)
    ended, held = ledger.api_keys()
    assert held == new
    assert ended == old.model_copy(update={"expires_at": new.issued_at + day})
    told = ledger.events(kind=EventKind.KEY_ROTATED)[0]
    assert (old.key_id, "olga", new.key_id) == (told.subject, told.actor, told.payload["successor"])
    assert ledger.verify() == 3


def test_rotation_never_prolongs_a_key(ledger: Ledger) -> None:
    """A key that ends before the overlap does ends when it would have; a second rotation changes neither."""
    expires_at = START + timedelta(hours=1)
    old, _ = ledger.issue_key("laptop", ["churn"], [Verb.PREDICT], "ada", expires_at)
    for overlap in (timedelta(hours=24), timedelta(hours=48)):
        ledger.rotate_key(old.key_id, overlap, actor="ada")
        assert expires_at == ledger.api_keys()[0].expires_at
    assert ledger.verify() == 5


def test_a_key_that_no_longer_counts_has_no_successor(ledger: Ledger) -> None:
    """Nothing is issued in place of a revoked key, nor of one that an overlap of nothing has ended."""
    revoked, _ = ledger.issue_key("lost", ["churn"], [Verb.PREDICT], "ada")
    ledger.revoke_key(revoked.key_id, actor="ada", reason="lost")
    ended, _ = ledger.issue_key("renewed", ["churn"], [Verb.PREDICT], "ada")
    ledger.rotate_key(ended.key_id, timedelta(0), actor="ada")
    for key in (revoked, ended):
        with pytest.raises(LedgerError, match="issue a new one"):
            ledger.rotate_key(key.key_id, timedelta(hours=1), actor="ada")
    assert len(ledger.api_keys()) == 3
    with pytest.raises(LedgerError, match="no API key 'key-x'"):
        ledger.rotate_key("key-x", timedelta(hours=1), actor="ada")


def test_requests_make_one_run(ledger: Ledger) -> None:
    """Many requests are claimed by one run, once; another run finds none; the first finds them again."""
    asked = ledger.request_retrain("churn", RetrainReason.DRIFT, AS_OF, "system")
    assert asked == ledger.request_retrain("churn", RetrainReason.DRIFT, AS_OF, "system")
    ledger.request_retrain("churn", RetrainReason.MANUAL, AS_OF, "ada")
    claimed = ledger.claim_retrain("churn", "run-1", "system")
    assert [RetrainReason.DRIFT, RetrainReason.MANUAL] == [request.reason for request in claimed]
    assert ledger.claim_retrain("churn", "run-2", "system") == ()
    assert claimed == ledger.claim_retrain("churn", "run-1", "system")
    ended = ledger.end_retrain("run-1", "registered 1.0.1", "system")
    assert {"registered 1.0.1"} == {request.outcome for request in ended}
    assert ended == ledger.end_retrain("run-1", "again", "system")
    assert ledger.retrain_requests("churn") == ()
    assert ledger.verify() == 6


def test_asked_again_is_one_request(ledger: Ledger) -> None:
    """A person's reason waits once, for the latest moment it was asked for; another person's is their own."""
    first = ledger.request_retrain("churn", RetrainReason.CODE, AS_OF, "ci")
    later = ledger.request_retrain("churn", RetrainReason.CODE, AS_OF + timedelta(days=1), "ci")
    assert (first.request_id, AS_OF + timedelta(days=1)) == (later.request_id, later.as_of)
    assert later == ledger.request_retrain("churn", RetrainReason.CODE, AS_OF, "ci")
    other = ledger.request_retrain("churn", RetrainReason.CODE, AS_OF, "ada")
    assert (later, other) == ledger.retrain_requests("churn")
    assert ledger.verify() == 3
