"""The caretaker of projections outlives what it meets."""

from contextlib import closing

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.ledger.routes import RouteUpdate
from include.commands.reconcile import reconcile_all
from include.config.settings import Settings
from tests.adapters.ledger.changes import register, route_to
from tests.triton import running_triton, triton_ports


def settings_of(tmp_path) -> Settings:
    """Settings of a platform whose model folder is gone, with a version of the model in the ledger."""
    settings = Settings(home=tmp_path / "home", model_folders=())
    upgrade(settings.ledger_uri)
    with closing(Ledger(settings.ledger_uri)) as ledger:
        register(ledger)
    return settings


def test_a_model_that_serves_nothing_needs_nothing(tmp_path):
    """No server is asked before there is a route or a release; no folder is needed to know of it."""
    assert {"churn": frozenset()} == reconcile_all(settings_of(tmp_path), {})


def test_a_model_without_a_folder_is_looked_after(tmp_path, caplog):
    """What serves is kept serving, whether or not its contract still loads: its servers are asked."""
    settings = settings_of(tmp_path).model_copy(update=triton_ports())
    with closing(Ledger(settings.ledger_uri)) as ledger:
        ledger.change_route(RouteUpdate(route_to("1.0.0"), 0), actor="ada", reason="start")
    reconcile_all(settings, {})
    assert "churn: Triton at" in caplog.text


def test_a_ledger_that_is_away_does_not_end_it(tmp_path, caplog):
    """Without a ledger it says so and unloads nothing it would not have."""
    known = {"churn": frozenset({"churn__1_0_0"})}
    settings = Settings(home=tmp_path / "home")
    (settings.home / "ledger").mkdir(parents=True)
    assert known == reconcile_all(settings, known)
    assert "unable to open database file" in caplog.text


def test_what_a_killed_evaluation_left_is_taken_away(tmp_path):
    """A candidate that nobody measures any more is unloaded and its files are gone; MLflow need not run."""
    settings = settings_of(tmp_path).model_copy(update=triton_ports())
    with running_triton(settings):
        (settings.triton_repository / "candidate-killed").mkdir(parents=True)
        reconcile_all(settings, {})
    assert [] == list(settings.triton_repository.glob("candidate-*"))


def test_leftovers_wait_for_triton(tmp_path, caplog):
    """While it is away they stay, it is said, and models are reconciled all the same."""
    settings = settings_of(tmp_path).model_copy(update=triton_ports())
    left = settings.triton_repository / "candidate-killed"
    left.mkdir(parents=True)
    assert {"churn": frozenset()} == reconcile_all(settings, {})
    assert left.is_dir()
    assert "could not unload candidate-killed" in caplog.text
