from datetime import timedelta

import pytest
from sqlalchemy import update

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.routes import RouteUpdate
from include.adapters.ledger.tables import versions
from include.contracts.errors import ChainError, ConflictError, LeaseError, LedgerError
from include.contracts.events import EventKind
from tests.adapters.ledger.changes import open_release, register, route_to


def served(ledger: Ledger, model: str = "churn", version: str = "1.0.0") -> None:
    """Register a version and give it the model's traffic."""
    register(ledger, version, model)
    revision = ledger.route_state(model).revision
    ledger.change_route(RouteUpdate(route_to(version, model), revision), actor="ada", reason="start")


def test_a_retired_model_has_no_route_and_all_its_history(ledger):
    """Its route is gone and the reason is in the snapshot; versions and what served when stay."""
    served(ledger)
    served(ledger, "spend")
    before = ledger.events()[-1].recorded_at
    assert ledger.retire_model("churn", actor="ada", reason="replaced by loyalty")
    snapshot = ledger.route_snapshot()
    assert ({"spend"}, {"churn": "replaced by loyalty"}) == (set(snapshot.routes), snapshot.retired)
    assert ledger.route("churn") is None
    assert "1.0.0" == ledger.versions("churn")[0].version
    assert "1.0.0" == ledger.served_at("churn", before).change.route.champion.version
    assert ledger.served_at("churn", ledger.events()[-1].recorded_at + timedelta(seconds=1)) is None
    (event,) = ledger.events(kind=EventKind.MODEL_RETIRED)
    assert ("ada", "replaced by loyalty") == (event.actor, event.payload["reason"])
    assert 5 == ledger.verify()


def test_retired_twice_is_retired_once(ledger):
    """The second call changes nothing."""
    served(ledger)
    ledger.retire_model("churn", actor="ada", reason="old")
    assert not ledger.retire_model("churn", actor="uma", reason="older")
    assert {"churn": "old"} == ledger.retired_models()


def test_a_release_brings_a_model_back(ledger):
    """A new route takes the model off the list; the chain still verifies."""
    served(ledger)
    ledger.retire_model("churn", actor="ada", reason="old")
    served(ledger, version="1.0.1")
    assert {} == ledger.retired_models()
    assert ledger.route("churn") is not None
    assert 5 == ledger.verify()


def test_what_is_open_must_end_first(ledger):
    """A release under way is named, and nothing changes."""
    register(ledger)
    open_release(ledger)
    with pytest.raises(LeaseError, match="release 'r1' is still open"):
        ledger.retire_model("churn", actor="ada", reason="old")
    with pytest.raises(LeaseError, match="release 'r1' is still open"):
        ledger.retire_version("churn", "1.0.0", actor="ada", reason="old")
    assert {} == ledger.retired_models()


def test_no_reason_no_retirement(ledger):
    """Whoever reads it later must learn why."""
    with pytest.raises(LedgerError, match="written reason"):
        ledger.retire_model("churn", actor="ada", reason=" ")


def test_a_retired_version_is_released_no_more(ledger):
    """It is known but no longer offered, and the chain tells of it."""
    register(ledger)
    assert ledger.retire_version("churn", "1.0.0", actor="ada", reason="leaks")
    assert not ledger.retire_version("churn", "1.0.0", actor="ada", reason="leaks")
    assert ((), 1) == (ledger.versions("churn"), len(ledger.versions("churn", retired=True)))
    with pytest.raises(LedgerError, match=r"churn 1\.0\.0 is retired"):
        open_release(ledger)
    assert 2 == ledger.verify()


def test_a_version_with_traffic_stays(ledger):
    """The champion cannot be retired under its callers."""
    served(ledger)
    with pytest.raises(ConflictError, match="has traffic"):
        ledger.retire_version("churn", "1.0.0", actor="ada", reason="old")


def test_nothing_falls_back_to_a_retired_version(ledger):
    """The champion before it is taken out of the route in the same transaction."""
    served(ledger)
    register(ledger, "1.0.1")
    both = route_to("1.0.1").model_copy(update={"previous": route_to("1.0.0").champion})
    ledger.change_route(RouteUpdate(both, 1), actor="ada", reason="next")
    ledger.retire_version("churn", "1.0.0", actor="ada", reason="leaks")
    assert ledger.route("churn").previous is None
    ledger.verify()


def test_a_retired_version_shadows_no_more(ledger):
    """What never serves again is not mirrored to either; the champion stays."""
    served(ledger)
    register(ledger, "1.0.1")
    shadow = {"shadow": route_to("1.0.1").champion, "shadow_share": 0.5}
    ledger.change_route(
        RouteUpdate(route_to("1.0.0").model_copy(update=shadow), 1), actor="ada", reason="try"
    )
    ledger.retire_version("churn", "1.0.1", actor="ada", reason="leaks")
    assert route_to("1.0.0") == ledger.route("churn")
    ledger.verify()


def test_a_retirement_undone_behind_the_ledgers_back_is_found(ledger):
    """A row that says otherwise than the chain is named."""
    register(ledger)
    ledger.retire_version("churn", "1.0.0", actor="ada", reason="leaks")
    with ledger._engine.begin() as connection:
        connection.execute(update(versions).values(retired_at=None))
    with pytest.raises(ChainError, match=r"versions: the row of churn 1\.0\.0 was altered"):
        ledger.verify()
