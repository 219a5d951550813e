"""A ledger with one model's route, customers online, a Triton that outlives every gateway, and callers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.ledger.routes import RouteUpdate
from include.config.settings import Settings
from tests.faults.gateways import Load, issue_key, write_online
from tests.serving.gateway.conftest import FRESH, free_port, route, serving_triton

ENTITIES = tuple(range(8))


@contextmanager
def served(home: Path, per_second: float = 2_000) -> Iterator[tuple[Settings, Load]]:
    """Give a platform with one model, customers online, and callers that ask as fast as they are answered."""
    settings = Settings(home=home, gateway_port=free_port())
    upgrade(settings.ledger_uri)
    ledger = Ledger(settings.ledger_uri)
    with serving_triton() as (_, endpoint):
        routed = route(endpoint)
        ledger.change_route(RouteUpdate(routed, 0), actor="ada", reason="start")
        for view, features in FRESH.features.items():
            write_online(settings, view, routed.entity, {key: dict(features) for key in ENTITIES})
        yield settings, Load(settings.gateway_url, issue_key(ledger), ENTITIES, per_second=per_second)
    ledger.close()
