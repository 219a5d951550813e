"""A ledger with one model's route, customers online, a Triton that outlives every gateway, and callers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.ledger.routes import RouteUpdate
from include.config.settings import Settings
from tests.faults.gateways import Load, issue_key, write_online
from tests.serving.gateway.conftest import FRESH, free_port, route, serving_triton, version_route

ENTITIES = tuple(range(8))


@contextmanager
def served(
    home: Path, per_second: float = 2_000, artefact_sha256: str | None = None, **changes: object
) -> Iterator[tuple[Settings, Load]]:
    """Give a platform with one model, customers online, and callers that ask as fast as they are answered.

    Args:
        home: its folder.
        per_second: most requests the callers send together.
        artefact_sha256: what the model's version is.
        changes: settings of other values.
    """
    settings = Settings(**{"home": home, "gateway_port": free_port(), **changes})
    upgrade(settings.ledger_uri)
    ledger = Ledger(settings.ledger_uri)
    with serving_triton() as (_, endpoint):
        champion = version_route("1.0.0", endpoint)
        routed = route(
            endpoint, champion=champion | ({"artefact_sha256": artefact_sha256} if artefact_sha256 else {})
        )
        ledger.change_route(RouteUpdate(routed, 0), actor="ada", reason="start")
        for view, features in FRESH.features.items():
            write_online(settings, view, routed.entity, {key: dict(features) for key in ENTITIES})
        yield settings, Load(settings.gateway_url, issue_key(ledger), ENTITIES, per_second=per_second)
    ledger.close()
