"""The caretaker of projections outlives what it meets."""

import shutil

from include.adapters.ledger.migrate import upgrade
from include.commands.reconcile import reconcile_all
from include.config.settings import REPOSITORY_ROOT, Settings

CHURN = REPOSITORY_ROOT / "include" / "models" / "churn"


def settings_with(tmp_path, *roots: str) -> Settings:
    """Settings with the same model under each of the roots."""
    folders = [tmp_path / root for root in roots]
    for folder in folders:
        shutil.copytree(CHURN, folder / "churn")
    return Settings(home=tmp_path / "home", model_folders=tuple(folders))


def test_a_model_that_serves_nothing_needs_nothing(tmp_path):
    """No server is asked before there is a route or a release."""
    settings = settings_with(tmp_path, "one")
    upgrade(settings.ledger_uri)
    assert {"churn": frozenset()} == reconcile_all(settings, {})


def test_folders_that_contradict_each_other_do_not_end_it(tmp_path, caplog):
    """Two models of one name: the reason is logged, what was known is kept."""
    known = {"churn": frozenset({"churn__1_0_0"})}
    assert known == reconcile_all(settings_with(tmp_path, "one", "two"), known)
    assert "two model folders" in caplog.text


def test_a_ledger_that_is_away_does_not_end_it(tmp_path, caplog):
    """Without tables it says so and unloads nothing it would not have."""
    known = {"churn": frozenset({"churn__1_0_0"})}
    settings = settings_with(tmp_path, "one")
    (settings.home / "ledger").mkdir(parents=True)
    assert known == reconcile_all(settings, known)
    assert "no such table" in caplog.text
