"""Versions come, switch and go, and one gateway takes over from another, while callers never pause."""

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.prediction_log import read
from include.adapters.tracking import Tracking
from include.config.settings import Settings
from include.contracts.packages import Version
from include.contracts.predictions import Source
from include.rollout.promote import promote
from include.rollout.reconcile import reconcile_triton
from include.rollout.rollback import roll_back
from include.rollout.shadow import start_shadow, stop_shadow
from tests.faults.gateways import Load, issue_key, running_gateway, write_online
from tests.registry.candidates import ROWS
from tests.rollout.platform import Platform
from tests.serving.gateway.conftest import free_port
from tests.triton import running_triton, triton_ports

pytestmark = pytest.mark.faults


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """Give a platform whose model churn serves 1.0.0, with features of some customers online."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    settings = Settings(home=tmp_path / "home", gateway_port=free_port(), **triton_ports())
    upgrade(settings.ledger_uri)
    ledger = Ledger(settings.ledger_uri)
    with running_triton(settings) as triton:
        tracking = Tracking(settings, uri="http://127.0.0.1:9")
        platform = Platform(settings, ledger, triton, tracking, tmp_path, "churn")
        rows = {number: {**row, "preferred_category": "DELI"} for number, row in enumerate(ROWS)}
        write_online(settings, "customer_spending", platform.folder.contract.entity, rows)
        release(platform, platform.register("a"))
        yield platform
    ledger.close()


def release(platform: Platform, version: Version) -> None:
    """Load a version, give it all traffic, promote it."""
    promote(platform.ledger, platform.switched(version), "system")


def reconcile(platform: Platform) -> tuple[str, ...]:
    """Reconcile as its process does, with everything unwanted the time before; return what was unloaded."""
    names = frozenset(platform.triton.loaded())
    return reconcile_triton(
        platform.settings, platform.ledger, platform.triton, platform.model, may_unload=names
    ).unloaded


def roll_back_to(platform: Platform, version: Version) -> None:
    """Roll back to a version."""
    roll_back(
        platform.settings,
        platform.ledger,
        [platform.triton],
        platform.model,
        actor="olga",
        reason="drill",
        to=version.version,
    )


def test_no_request_fails_while_everything_changes(platform: Platform) -> None:
    """Load, switch, unload, shadow, roll back, take over: every request is answered, without a fallback."""
    settings, ledger, triton = platform.settings, platform.ledger, platform.triton
    load = Load(settings.gateway_url, issue_key(ledger), tuple(range(len(ROWS))))
    first = ledger.versions("churn")[0]
    second, third = platform.register("b", seed=8), platform.register("c", seed=9)
    with ExitStack() as gateways:
        old = gateways.enter_context(running_gateway(settings, "first"))
        with load.running():
            load.answered_by(first.version)
            release(platform, second)
            load.answered_by(second.version)
            start_shadow(settings, ledger, [triton], "churn", version=third.version, share=1.0, actor="olga")
            load.more(200)
            stop_shadow(ledger, "churn", actor="olga")
            release(platform, third)
            load.answered_by(third.version)
            load.more(100)
            assert (platform.name(first),) == reconcile(platform)
            assert {platform.name(second), platform.name(third)} == triton.loaded()
            roll_back_to(platform, second)
            load.answered_by(second.version)
            load.more(100)
            assert (platform.name(third),) == reconcile(platform)
            new = gateways.enter_context(running_gateway(settings, "second"))
            load.more(100)
            assert -signal.SIGTERM == old.end()
            load.more(300)
        assert "Traceback" not in old.log.read_text() + new.log.read_text()

    assert [] == load.failures
    assert {"1.0.0", second.version, third.version} == {answer["version"] for answer in load.answers}
    check_log(settings, load)


def check_log(settings: Settings, load: Load) -> None:
    """Every answer has its row, once; every shadow row its answer."""
    rows = Counter(
        row.prediction_id for row in read(settings.predictions_folder) if row.source is Source.LIVE
    )
    answered = [answer["prediction_id"] for answer in load.answers]
    shadows = [row.shadow_of for row in read(settings.predictions_folder) if row.source is Source.SHADOW]
    assert dict.fromkeys(answered, 1) == {name: rows[name] for name in answered}
    assert len(shadows) == len(set(shadows) & rows.keys()) > 100


def test_a_stopped_gateway_answers_what_it_took(platform: Platform) -> None:
    """SIGTERM under load, with nobody to take over: what it accepted is answered, then nobody listens."""
    load = Load(
        platform.settings.gateway_url, issue_key(platform.ledger), (0, 1, 2), per_second=1e6, callers=32
    )
    with running_gateway(platform.settings, "alone") as gateway, load.running():
        load.more(200)
        assert -signal.SIGTERM == gateway.end()
        load.more(20)

    assert {"ConnectError"} == {failure.partition("(")[0] for failure in load.failures}
    check_all_logged(platform.settings, load)


def check_all_logged(settings: Settings, load: Load) -> None:
    """What was answered is in the log, and nothing is there that was not answered."""
    rows = Counter(row.prediction_id for row in read(settings.predictions_folder))
    assert Counter(answer["prediction_id"] for answer in load.answers) == rows
