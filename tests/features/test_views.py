import pytest

from include.config.settings import Settings
from include.contracts.errors import ContractError
from include.features.views import load_views

DEFINITION = (
    "{name: wear, description: d, owner: o, entity: {name: pump, type: string}, ttl: 2d, "
    "sources: [readings], fields: [{name: mean, dtype: float64, description: d}]}"
)
SHARED = {"customer_spending", "customer_basket", "customer_demographics"}


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
    assert SHARED | {"wear"} <= found.keys()
    assert tmp_path / "pumps" == found["wear"].model_folder
    assert ("pump", "event_timestamp", "mean") == found["wear"].definition.columns


WRONG = [
    ("wear.sql", "SELECT 1 FROM readings, days, prices", "it must read days and the sources"),
    ("wear.yaml", DEFINITION.replace("wear", "tear"), "must equal its file's name"),
    ("wear.yaml", DEFINITION.replace("owner: o", "owners: o"), "owners"),
    ("customer_spending.yaml", DEFINITION.replace("wear", "customer_spending"), "is missing"),
]


@pytest.mark.parametrize("wrong", WRONG, ids=[case[2] for case in WRONG])
def test_a_wrong_view_is_left_out(tmp_path, views, caplog, wrong):
    """A query that reads what is not named, a wrong name, an unknown key, a missing query: only that view."""
    name, content, message = wrong
    (views / name).write_text(content)
    found = load_views(Settings(home=tmp_path, model_folders=(tmp_path,)))
    assert SHARED <= found.keys()
    assert tmp_path / "pumps" != found.get(name.partition(".")[0], found["customer_spending"]).model_folder
    assert message in caplog.text


def test_a_name_taken_twice_is_left_out(tmp_path, views, caplog):
    """Two views of one name would share a table online: the shared one stays."""
    for suffix in ("yaml", "sql"):
        text = (views / f"wear.{suffix}").read_text().replace("wear", "customer_spending")
        (views / f"customer_spending.{suffix}").write_text(text)
    found = load_views(Settings(home=tmp_path, model_folders=(tmp_path,)))
    assert found["customer_spending"].model_folder is None
    assert "already a feature view" in caplog.text


def test_an_entity_has_one_type(tmp_path, views, caplog):
    """A model's view that gives a known entity another type is left out; the entity's other views stay."""
    (views / "wear.yaml").write_text(DEFINITION.replace("name: pump,", "name: customer_id,"))
    assert "wear" not in load_views(Settings(home=tmp_path, model_folders=(tmp_path,)))
    assert "entity 'customer_id' has another type" in caplog.text


def test_a_wrong_shared_view_stops_everybody(tmp_path, views, monkeypatch):
    """What all models share must be right."""
    monkeypatch.setattr("include.features.views.SHARED_VIEWS", views)
    (views / "wear.sql").unlink()
    with pytest.raises(ContractError, match="is missing"):
        load_views(Settings(home=tmp_path, model_folders=()))
