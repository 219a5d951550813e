"""What served on a date, as the ledger tells it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.ledger.routes import RouteUpdate
from include.commands.served import served
from include.config.settings import settings
from include.contracts.errors import PlatformError
from include.contracts.releases import ReleaseStage
from tests.adapters.ledger.changes import advance_to_loaded, open_release, register, route_to
from tests.adapters.ledger.trials import experiment, split


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """Give the ledger the command finds, with two versions that served one after the other."""
    monkeypatch.setenv("NINETY_HOME", str(tmp_path))
    settings.cache_clear()
    upgrade(settings().ledger_uri)
    opened = Ledger(settings().ledger_uri)
    register(opened)
    register(opened, "1.0.1")
    loaded = advance_to_loaded(opened, open_release(opened))
    opened.advance_release(
        "r1",
        loaded.revision,
        ReleaseStage.BAKING,
        actor="system",
        share=1.0,
        route=RouteUpdate(route_to("1.0.0"), 0),
    )
    opened.change_route(RouteUpdate(route_to("1.0.1"), 1), actor="olga", reason="drill")
    yield opened
    opened.close()
    settings.cache_clear()


def test_each_date_has_its_version_and_its_approver(ledger: Ledger) -> None:
    """Before the change the approved version, after it the other, with who changed it and why."""
    second = ledger.route_history("churn")[1].recorded_at
    before = served("churn", (second - timedelta(microseconds=1)).isoformat())
    assert "1.0.0 had 100% of the traffic\n    approved by olga at " in before
    after = served("churn", "")
    assert "by olga: drill" in after
    assert "1.0.1 had 100% of the traffic\n    no approval of it was recorded before" in after


def test_a_treatment_was_approved_for_its_experiment(ledger: Ledger) -> None:
    """Its traffic was agreed to with the experiment's plan, whether or not it was ever released."""
    ledger.abandon("churn", actor="ada", reason="an experiment needs the lease")
    ledger.start_experiment(experiment(), RouteUpdate(split(), 2))
    told = served("churn", "")
    assert "1.0.1 had 50% of the traffic\n    approved by olga for the experiment offers-1" in told


@pytest.mark.parametrize(
    ("model", "at", "message"),
    [
        ("", "", "usage: make served"),
        ("churn", "last week", "'last week' is no day or moment"),
        ("churn", "2017-01-01", "nothing served 'churn' at 2017-01-01 00:00:00 UTC"),
        ("rain", "", "nothing served 'rain'"),
    ],
)
def test_unanswerable_question_says_why(ledger: Ledger, model: str, at: str, message: str) -> None:
    """A missing name, a moment that cannot be read, a time before the first route."""
    with pytest.raises(PlatformError, match=message):
        served(model, at)
