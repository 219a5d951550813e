from datetime import UTC, datetime

import pytest

from include.adapters.artefacts import ArtefactStore
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.routes import RouteUpdate
from include.adapters.tracking import Tracking
from include.config.models import ModelFolder
from include.config.settings import Settings
from include.contracts.errors import RegistryError
from include.contracts.packages import Version
from include.contracts.routes import ModelRoute
from include.registry.reconcile import RegistryPlan, plan_registry, reconcile_registry
from include.registry.register import register
from tests.adapters.ledger.changes import route_to
from tests.registry.candidates import write_candidate

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy"  # SQLAlchemy's word to MLflow
)

VERSIONS = tuple(
    Version(
        model="churn",
        version=number,
        artefact_sha256=f"sha-churn-{number}",
        package_uri=f"packages/churn/{number}",
        run_id=f"run-{number}",
        requested_by="ada",
        registered_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    for number in ("1.0.0", "1.0.1")
)
SPLIT = ModelRoute.model_validate(
    {**dict(route_to("1.0.0")), "challenger": route_to("1.0.1").champion, "share": 0.05, "change_id": "r"}
)
BOTH = {"1.0.0", "1.0.1"}
NONE = {"champion": None, "challenger": None}


@pytest.mark.parametrize(
    ("route", "known", "aliases", "expected"),
    [
        (None, set(), NONE, RegistryPlan(VERSIONS, {}, ())),
        (None, BOTH, {**NONE, "champion": "1.0.0"}, RegistryPlan((), {}, ("champion",))),
        (route_to("1.0.0"), BOTH, NONE, RegistryPlan((), {"champion": "1.0.0"}, ())),
        (route_to("1.0.0"), {"1.0.0"}, {**NONE, "champion": "1.0.0"}, RegistryPlan(VERSIONS[1:], {}, ())),
        (SPLIT, BOTH, {**NONE, "champion": "1.0.0"}, RegistryPlan((), {"challenger": "1.0.1"}, ())),
        (
            route_to("1.0.1"),
            BOTH,
            {"champion": "1.0.0", "challenger": "1.0.1"},
            RegistryPlan((), {"champion": "1.0.1"}, ("challenger",)),
        ),
        (SPLIT, BOTH, {"champion": "1.0.0", "challenger": "1.0.1"}, RegistryPlan((), {}, ())),
    ],
)
def test_plan(
    route: ModelRoute | None,
    known: set[str],
    aliases: dict[str, str | None],
    expected: RegistryPlan,
) -> None:
    """What MLflow lacks, points at wrongly, or must not point at any more."""
    assert expected == plan_registry(VERSIONS, route, known, aliases)


def test_drift_is_repaired(
    settings: Settings, ledger: Ledger, tracking: Tracking, down: Tracking, folder: ModelFolder
) -> None:
    """A version and an alias that MLflow was never told of are there afterwards, once."""
    store = ArtefactStore(settings.artefacts_folder)
    run = tracking.start_run("churn", "reconcile", {})
    uri = write_candidate(store, folder, run)
    version = register(settings, ledger, down, folder, uri, actor="ada")
    ledger.change_route(RouteUpdate(route_to(version.version), 0), actor="ada", reason="start")
    reconcile_registry(ledger, tracking, store, "churn")
    assert version.version == tracking.alias("churn", "champion")
    assert RegistryPlan((), {}, ()) == reconcile_registry(ledger, tracking, store, "churn")
    with pytest.raises(RegistryError, match=r"http://127\.0\.0\.1:9"):
        reconcile_registry(ledger, down, store, "churn")
