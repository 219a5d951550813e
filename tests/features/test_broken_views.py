"""A model's own view that fails: an alert, and everybody else goes on."""

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.features.broken_views import alerting, settle_broken
from include.features.computed_days import due_days
from include.features.materialize import stage_features
from include.features.online import materialize_online
from include.features.validate_views import validate_views
from tests.shop import Shop, at, half_a_year, on

DAY, AS_OF = on("2017-02-20"), at("2017-02-21")
SHARED = {"customer_spending", "customer_basket", "customer_demographics"}
GOOD = "SELECT customer_id, day AS event_timestamp, count(*) AS oddity FROM purchases, days GROUP BY ALL"
DEFINITION = (
    "{name: odd, description: d, owner: o, entity: {name: customer_id, type: int64}, ttl: 2d, "
    "sources: [purchases], fields: [{name: oddity, dtype: int64, description: d}], "
    "checks: {columns: {oddity: {minimum: 1}}}}"
)


@pytest.fixture
def shop(tmp_path):
    """A shop whose churn model brings a view of its own, and a migrated ledger."""
    shop = Shop(tmp_path, half_a_year())
    (shop.churn.path / "views").mkdir()
    contract = shop.churn.path / "contract.yaml"
    used = "  inputs:\n    - {name: oddity, kind: numeric, view: odd}\n"
    contract.write_text(contract.read_text().replace("  inputs:\n", used, 1))
    upgrade(shop.settings.ledger_uri)
    write(shop, DEFINITION, GOOD)
    return shop


def write(shop, definition, query):
    """Write the model's own view."""
    (shop.churn.path / "views" / "odd.yaml").write_text(definition)
    (shop.churn.path / "views" / "odd.sql").write_text(query)


def run(shop, ledger):
    """Do what the DAG does; return what is online."""
    assert DAY in due_days(shop.settings, DAY, AS_OF, alerting(ledger))
    stage_features(shop.settings, [DAY], AS_OF, tell=alerting(ledger))
    validate_views(shop.settings, ledger, [DAY], AS_OF)
    broken = []
    counts = materialize_online(shop.settings, DAY, broken.append)
    settle_broken(shop.settings, ledger, broken)
    return set(counts)


def alerts(ledger):
    """Return model and subject of the open alerts."""
    return [(alert.content.model, alert.content.subject) for alert in ledger.open_alerts()]


BROKEN = [
    ("a query that fails", DEFINITION, GOOD.replace("count(*)", "CAST('x' AS BIGINT)")),
    ("a definition that is none", "{name: odd}", GOOD),
    ("rows that are unfit", DEFINITION, GOOD.replace("count(*)", "-count(*)")),
    (
        "a source that is not there",
        DEFINITION.replace("[purchases]", "[pumps]"),
        GOOD.replace("purchases", "pumps"),
    ),
]


@pytest.mark.parametrize(
    ("definition", "query"),
    [
        pytest.param(*case, id=name, marks=[pytest.mark.slow] if place else [])
        for place, (name, *case) in enumerate(BROKEN)
    ],
)
def test_a_broken_view_is_alerted_and_the_others_go_on(shop, definition, query):
    """One alert that names the model; the shared views are online; once it is right again, all is."""
    ledger = Ledger(shop.settings.ledger_uri)
    write(shop, definition, query)
    for _ in range(2):
        assert run(shop, ledger) == SHARED
        forget_days(shop)
    assert [("churn", "view:odd")] == alerts(ledger)
    write(shop, DEFINITION, GOOD)
    assert SHARED | {"odd"} == run(shop, ledger)
    assert [] == alerts(ledger)


def test_an_alert_ends_with_its_view(shop):
    """Nobody is asked to repair what is gone."""
    ledger = Ledger(shop.settings.ledger_uri)
    write(shop, DEFINITION, "SELECT 1")
    run(shop, ledger)
    assert [("churn", "view:odd")] == alerts(ledger)
    for suffix in ("yaml", "sql"):
        (shop.churn.path / "views" / f"odd.{suffix}").unlink()
    forget_days(shop)
    run(shop, ledger)
    assert [] == alerts(ledger)


def forget_days(shop):
    """Make the day due again."""
    for path in (shop.settings.features_folder / "computed").glob("*.json"):
        path.unlink()
