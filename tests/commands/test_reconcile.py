"""The caretaker of projections outlives what it meets."""

import shutil

from include.adapters.ledger.migrate import upgrade
from include.commands.reconcile import reconcile_all
from include.config.settings import REPOSITORY_ROOT, Settings
from tests.triton import running_triton, triton_ports

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


def test_what_a_killed_evaluation_left_is_taken_away(tmp_path):
    """A candidate that nobody measures any more is unloaded and its files are gone; MLflow need not run."""
    settings = settings_with(tmp_path, "one").model_copy(update=triton_ports())
    upgrade(settings.ledger_uri)
    with running_triton(settings):
        (settings.triton_repository / "candidate-killed").mkdir(parents=True)
        reconcile_all(settings, {})
    assert [] == list(settings.triton_repository.glob("candidate-*"))


def test_leftovers_wait_for_triton(tmp_path, caplog):
    """While it is away they stay, it is said, and models are reconciled all the same."""
    settings = settings_with(tmp_path, "one").model_copy(update=triton_ports())
    upgrade(settings.ledger_uri)
    left = settings.triton_repository / "candidate-killed"
    left.mkdir(parents=True)
    assert {"churn": frozenset()} == reconcile_all(settings, {})
    assert left.is_dir()
    assert "could not unload candidate-killed" in caplog.text
