from datetime import UTC, datetime

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.commands.check_retrain import ask, check, main, reasons_of
from include.config.code import fingerprint
from include.contracts.errors import PlatformError
from include.contracts.retraining import RetrainReason, Training
from include.data.labels import compute_labels
from tests.shop import Shop, at, half_a_year

AS_OF = at("2017-06-01")


@pytest.fixture
def shop(tmp_path):
    """A shop whose churn model was trained on the labels it has."""
    shop = Shop(tmp_path, half_a_year())
    upgrade(shop.settings.ledger_uri)
    compute_labels(shop.settings, shop.churn, at("2017-04-01"), AS_OF, AS_OF)
    ledger = Ledger(shop.settings.ledger_uri)
    ledger.record_training(
        Training(
            model="churn",
            run_id="churn_train:one",
            as_of=AS_OF,
            labelled_until=at("2017-05-18"),
            fingerprint=fingerprint(shop.churn),
            candidate_uri="candidates/one",
            version="1.0.0",
        ),
        "system",
    )
    ledger.close()
    return shop


def test_nothing_is_due_while_nothing_changed(shop, monkeypatch, capsys):
    """A team's CI goes on."""
    monkeypatch.setattr("include.commands.check_retrain.settings", lambda: shop.settings)
    check("churn", "2017-06-01", request=False)
    assert "churn: nothing is new since its last training" in capsys.readouterr().out


def test_changed_code_ends_with_a_status(shop, monkeypatch, capsys):
    """The network of the model folder is not what was trained."""
    (shop.churn.path / "network.py").write_text("layers = 3\n")
    monkeypatch.setattr("include.commands.check_retrain.settings", lambda: shop.settings)
    with pytest.raises(SystemExit, match="1"):
        check("churn", "2017-06-01", request=False)
    assert "churn is due, code: the code changed" in capsys.readouterr().out


def test_what_is_due_can_be_asked_for(shop):
    """The request is in the ledger once, whether Airflow runs or not."""
    (shop.churn.path / "network.py").write_text("layers = 3\n")
    settings = shop.settings.model_copy(update={"airflow_port": 9})
    reasons = reasons_of(settings, "churn", AS_OF)
    for _ in range(2):
        assert "Airflow was not woken" in ask(settings, "churn", reasons, AS_OF, "ada")
    (request,) = Ledger(settings.ledger_uri).retrain_requests("churn")
    assert (RetrainReason.CODE, datetime(2017, 6, 1, tzinfo=UTC), "ada") == (
        request.reason,
        request.as_of,
        request.requested_by,
    )


def test_who_asks_is_whom_they_name_else_who_types(shop, monkeypatch):
    """Approvers are users of Airflow, whose names are seldom those of the operating system."""
    (shop.churn.path / "network.py").write_text("layers = 3\n")
    settings = shop.settings.model_copy(update={"airflow_port": 9})
    monkeypatch.setattr("include.commands.check_retrain.settings", lambda: settings)
    monkeypatch.setattr("include.commands.check_retrain.user_name", lambda: "somebody")
    for by in ((), ("--by", "ada"), ("--by", " bob "), ("--by", " ")):
        monkeypatch.setattr("sys.argv", ["check-retrain", "churn", "2017-06-01", "--request", *by])
        main()
    requests = Ledger(settings.ledger_uri).retrain_requests("churn")
    assert ["somebody", "ada", "bob"] == [request.requested_by for request in requests]


@pytest.mark.parametrize("by", ["system", " system "])
def test_nobody_asks_as_the_system(shop, monkeypatch, by):
    """A request of the system's excludes nobody from approving: who names it would get round that."""
    (shop.churn.path / "network.py").write_text("layers = 3\n")
    monkeypatch.setattr("include.commands.check_retrain.settings", lambda: shop.settings)
    with pytest.raises(PlatformError, match="'system' is nobody: BY=<user of Airflow>"):
        check("churn", "2017-06-01", request=True, by=by)
    assert () == Ledger(shop.settings.ledger_uri).retrain_requests("churn")


def test_a_retired_model_is_not_due(shop, monkeypatch, capsys):
    """It trains no more by itself, so nothing is asked for and a team's CI goes on."""
    (shop.churn.path / "network.py").write_text("layers = 3\n")
    ledger = Ledger(shop.settings.ledger_uri)
    ledger.retire_model("churn", actor="ada", reason="replaced")
    monkeypatch.setattr("include.commands.check_retrain.settings", lambda: shop.settings)
    check("churn", "2017-06-01", request=True)
    assert "churn is retired: replaced" in capsys.readouterr().out
    assert () == ledger.retrain_requests("churn")
