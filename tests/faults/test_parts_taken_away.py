"""Ledger and online store taken away while a gateway answers, and put back; MLflow is away all the time."""

import json
import shutil
from pathlib import Path

import httpx
import pytest

from include.adapters.ledger.ledger import Ledger
from include.config.settings import Settings
from include.contracts.keys import Verb
from include.contracts.routes import EntityKey
from tests.faults.gateways import GatewayProcess, running_gateway, write_online
from tests.faults.served import served
from tests.serving.gateway.conftest import FRESH, wait_for

pytestmark = pytest.mark.faults

[VIEW] = FRESH.features
KEY = EntityKey(name="customer_id", type="int64")
ONE = {"entity": {"customer_id": 1}}


def moved(folder: Path) -> Path:
    """Take a folder away; return where it is now."""
    return folder.rename(folder.with_name(f"{folder.name}.away"))


def asked(settings: Settings, key: str) -> httpx.Response:
    """Ask for one prediction."""
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.post(f"{settings.gateway_url}/v1/predict/churn", json=ONE, headers=headers, timeout=20)


def messages(gateway: GatewayProcess) -> list[str]:
    """Return what the gateway's log says."""
    return [json.loads(line)["message"] for line in gateway.log.read_text().splitlines()]


def check_no_failure(gateway: GatewayProcess) -> None:
    """Nothing failed for a reason nobody thought of."""
    assert "traceback" not in gateway.log.read_text().lower()


def test_without_the_ledger_the_last_routes_and_keys_stay_in_force(tmp_path: Path) -> None:
    """Every request is answered meanwhile, also after a restart; no empty ledger appears in its place."""
    with served(tmp_path, per_second=200) as (settings, load):
        folder = tmp_path / "ledger"
        with running_gateway(settings, "first") as gateway, load.running():
            load.answered_again(50)
            away = moved(folder)
            gateway.wait_for("ledger is away")
            load.answered_again(50)
        load.over.clear()
        folder.mkdir()
        with running_gateway(settings, "second") as gateway, load.running():
            load.answered_again(50)
            gateway.wait_for("ledger is away")
            folder.rmdir()  # and nothing was made in it
            away.rename(folder)
            gateway.wait_for("ledger is back")
            load.answered_again(50)
        assert [] == load.failures
        check_no_failure(gateway)


def test_a_ledger_put_in_the_place_of_another_is_the_one_that_is_followed(tmp_path: Path) -> None:
    """One restored from a copy: keys it issues from then on are taken, those issued before still are."""
    with (
        served(tmp_path, per_second=50) as (settings, load),
        running_gateway(settings, "restored") as gateway,
    ):
        copy = shutil.copytree(tmp_path / "ledger", tmp_path / "copy")
        moved(tmp_path / "ledger")
        copy.rename(tmp_path / "ledger")
        ledger = Ledger(settings.ledger_uri)
        _, secret = ledger.issue_key("new", ["churn"], [Verb.PREDICT], "ada")
        wait_for(lambda: asked(settings, secret).status_code == 200)
        assert 200 == asked(settings, load.key).status_code
        ledger.close()
        check_no_failure(gateway)


def test_without_its_online_store_it_refuses_and_answers_again_by_itself(tmp_path: Path) -> None:
    """503 with Retry-After while it is away; put back or made anew, it is read again at the next request."""
    with served(tmp_path) as (settings, load), running_gateway(settings, "features") as gateway:
        store = settings.online_store
        assert 200 == asked(settings, load.key).status_code
        away = moved(store.parent)
        refused = asked(settings, load.key)
        assert (503, "/docs#features-unavailable") == (refused.status_code, refused.json()["type"])
        assert "1" == refused.headers["retry-after"]
        assert 200 == httpx.get(f"{settings.gateway_url}/v2/health/ready").status_code
        away.rename(store.parent)
        assert 200 == asked(settings, load.key).status_code

        store.rename(store.with_suffix(".old"))
        [features] = FRESH.features.values()
        write_online(settings, VIEW, KEY, {1: {**features, "total_spend_30d": 1_000.0}})
        assert 1_004.0 == asked(settings, load.key).json()["score"]
        check_no_failure(gateway)
