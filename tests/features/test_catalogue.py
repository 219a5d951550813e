from include.commands.features import PAGE, listing
from include.config.settings import REPOSITORY_ROOT, Settings
from include.features.catalogue import Freshness, catalogue, freshness, page
from include.features.materialize import compute_features
from include.features.online import materialize_online
from tests.shop import Shop, at, half_a_year, on


def test_the_page_is_up_to_date(tmp_path):
    """docs/features.md says what the view files and contracts say: run `make features PAGE=1`."""
    settings = Settings(home=tmp_path, model_folders=(REPOSITORY_ROOT / "include" / "models",))
    assert page(catalogue(settings)) == PAGE.read_text(encoding="utf-8")


def test_who_uses_what(tmp_path):
    """Each feature names its models, and a broken contract hides no other."""
    shop = Shop(tmp_path, half_a_year())
    broken = tmp_path / "models" / "broken"
    broken.mkdir()
    (broken / "contract.yaml").write_text("name: broken\n")
    used = catalogue(shop.settings).used
    assert ("churn",) == used["customer_spending", "total_spend_30d"]


def test_slices_and_request_time_features_are_listed():
    """What a model parts its rows by is a use; what is computed at the request is a feature."""
    found = catalogue(Settings(model_folders=(REPOSITORY_ROOT / "include" / "models",)))
    assert "churn (slice)" in found.used["customer_demographics", "age"]
    assert "churn" in found.at_request["hours_since_last_purchase"]


def test_freshness_is_this_machines(tmp_path):
    """The newest day computed and the newest stamp online; nothing yet is said as such."""
    shop = Shop(tmp_path, half_a_year())
    view = next(view for view in catalogue(shop.settings).views if view.name == "customer_spending")
    assert Freshness(None, None) == freshness(shop.settings, view)
    compute_features(shop.settings, on("2017-03-01"), on("2017-03-09"), at("2017-07-01"))
    materialize_online(shop.settings, on("2017-03-08"))
    assert Freshness(on("2017-03-09"), at("2017-03-08")) == freshness(shop.settings, view)
    shown = listing(shop.settings)
    assert "newest offline 2017-03-09, newest online 2017-03-08" in shown
    assert "owner retention" in shown
