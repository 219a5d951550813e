import pytest

from include.config.settings import Settings
from include.contracts.errors import ContractError
from include.features.views import load_views

DEFINITION = (
    "{name: wear, description: d, owner: o, entity: {name: pump, type: string}, ttl: 2d, "
    "sources: [readings], fields: [{name: mean, dtype: float64, description: d}]}"
)


@pytest.fixture
def views(tmp_path):
    """A model folder's views folder with one good view."""
    folder = tmp_path / "pumps" / "views"
    folder.mkdir(parents=True)
    (folder / "wear.yaml").write_text(DEFINITION)
    (folder / "wear.sql").write_text("SELECT pump, day AS event_timestamp, 1.0 AS mean FROM readings, days")
    return folder


def test_shared_and_own_views(tmp_path, views):
    """A model folder's views stand beside the shared ones and know where they come from."""
    found = load_views(Settings(home=tmp_path, model_folders=(tmp_path,)))
    assert {"customer_spending", "wear"} <= found.keys()
    assert tmp_path / "pumps" == found["wear"].model_folder
    assert ("pump", "event_timestamp", "mean") == found["wear"].definition.columns


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("wear.sql", "SELECT 1 FROM readings, days, prices", "it must read days and the sources"),
        ("wear.yaml", DEFINITION.replace("wear", "tear"), "must equal its file's name"),
        ("wear.yaml", DEFINITION.replace("owner: o", "owners: o"), "owners"),
        ("customer_spending.yaml", DEFINITION.replace("wear", "customer_spending"), "is missing"),
    ],
)
def test_wrong_views_are_refused(tmp_path, views, name, content, message):
    """A query that reads what is not named, a wrong name, an unknown key, a missing query."""
    (views / name).write_text(content)
    with pytest.raises(ContractError, match=message):
        load_views(Settings(home=tmp_path, model_folders=(tmp_path,)))


def test_a_name_taken_twice_is_refused(tmp_path, views):
    """Two views of one name would share a table online."""
    for suffix in ("yaml", "sql"):
        text = (views / f"wear.{suffix}").read_text().replace("wear", "customer_spending")
        (views / f"customer_spending.{suffix}").write_text(text)
    with pytest.raises(ContractError, match="already a feature view"):
        load_views(Settings(home=tmp_path, model_folders=(tmp_path,)))
