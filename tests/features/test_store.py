import pytest

from include.features.store import open_store
from tests.shop import Shop, half_a_year


@pytest.fixture
def shop(tmp_path):
    """A shop with its churn model."""
    return Shop(tmp_path, half_a_year())


def test_definitions_reach_feast(shop):
    """Owner, description, TTL, entity and the model's service are in the registry."""
    store = open_store(shop.settings)
    view = store.get_feature_view("customer_spending")
    assert ("retention", 90, ["customer_id"]) == (view.owner, view.ttl.days, view.entities)
    service = store.get_feature_service("churn_v1")
    assert {"model": "churn"} == service.tags
    features = {
        item.name: {feature.name for feature in item.features} for item in service.feature_view_projections
    }
    views = {name: set(names) for name, names in shop.churn.contract.signature.views.items()}
    assert views | {"churn_v1__hours_since_last_purchase": {"hours_since_last_purchase"}} == features


def test_unchanged_definitions_are_not_applied_again(shop):
    """Opening again leaves the registry's file alone; a changed contract rewrites it."""
    open_store(shop.settings)
    registry = shop.settings.feature_registry
    before = registry.stat().st_mtime_ns
    open_store(shop.settings)
    assert before == registry.stat().st_mtime_ns
    contract = shop.churn.path / "contract.yaml"
    contract.write_text(contract.read_text().replace("service: churn_v1", "service: churn_v2"))
    names = {item.name for item in open_store(shop.settings).list_feature_services()}
    assert "churn_v2" in names


def test_a_broken_contract_breaks_only_its_own(shop, caplog):
    """A model whose contract names an unknown feature has no service; the views are there all the same."""
    contract = shop.churn.path / "contract.yaml"
    contract.write_text(contract.read_text().replace("name: total_spend_30d", "name: total_spent"))
    store = open_store(shop.settings)
    assert [] == store.list_feature_services()
    assert {"customer_spending", "customer_basket"} <= {view.name for view in store.list_feature_views()}
    assert "has no column 'total_spent'" in caplog.text


def test_a_broken_transform_breaks_only_its_own(shop, caplog):
    """A model whose own transform fails has no service; the views are there, the log says why."""
    own = shop.churn.path / "transforms"
    own.mkdir()
    (own / "hours_since_last_purchase.py").write_text(
        "def hours_since_last_purchase(columns):\n    return [1 / 0]\n"
    )
    store = open_store(shop.settings)
    assert [] == store.list_feature_services()
    assert {"customer_spending", "customer_basket"} <= {view.name for view in store.list_feature_views()}
    assert "fails on an example: division by zero" in caplog.text


WEAR = "{name: wear, description: d, owner: o, entity: {name: customer_id, type: int64}, ttl: 2d, "
WEAR += "sources: [purchases], fields: [{name: wear, dtype: int64, description: d}]}"


def test_a_view_whose_files_are_gone_leaves_the_registry(shop):
    """While it is only broken it stays; with its files it goes, and so does its source."""
    views = shop.churn.path / "views"
    views.mkdir()
    query = views / "wear.sql"
    (views / "wear.yaml").write_text(WEAR)
    query.write_text("SELECT customer_id, day AS event_timestamp, 1 AS wear FROM purchases, days")
    shared = {"customer_spending", "customer_basket", "customer_demographics"}
    assert shared | {"wear"} == names(open_store(shop.settings))
    query.rename(views / "away.sql")
    assert shared | {"wear"} == names(open_store(shop.settings))
    (views / "wear.yaml").unlink()
    store = open_store(shop.settings)
    assert shared == names(store)
    assert "wear" not in {source.name for source in store.list_data_sources()}
    assert ["churn_v1"] == [service.name for service in store.list_feature_services()]


def names(store):
    """Return the names of the registry's views."""
    return {view.name for view in store.list_feature_views()}
