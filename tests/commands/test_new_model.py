import json

import pytest

from include.commands.new_model import new_model
from include.config.models import model_folder
from include.contracts.errors import PlatformError
from include.contracts.signatures import Task
from include.data.labels import compute_labels
from tests.dags.parsing import parse, parsing_environment
from tests.shop import Shop, at, half_a_year


@pytest.fixture
def settings(tmp_path):
    """A shop whose models folder new models go to."""
    return Shop(tmp_path, half_a_year()).settings


@pytest.mark.parametrize("task", list(Task))
def test_a_new_model_loads_and_labels(settings, task):
    """The contract is accepted as written, and label.sql gives values of the task."""
    new_model(settings, "visits", task, "customer_id")
    folder = model_folder(settings.model_folders, "visits")
    assert ("visits", task) == (folder.contract.name, folder.contract.task)
    days = at("2017-03-01"), at("2017-03-03"), at("2017-06-01")
    assert compute_labels(settings, folder, *days) > 0


def test_its_dags_parse(settings, tmp_path):
    """Every generated DAG is there, none broken, beside those of the other model."""
    new_model(settings, "visits", Task.BINARY, "customer_id")
    roots = json.dumps([str(root) for root in settings.model_folders])
    environment = parsing_environment(tmp_path) | {"NINETY_MODEL_FOLDERS": roots}
    for stage, parsed in parse(["labels", "train", "release"], environment).items():
        assert {f"churn_{stage}", f"visits_{stage}"} == set(parsed["dags"])
        assert not any("broken-contract" in dag["tags"] for dag in parsed["dags"].values())


@pytest.mark.parametrize("name", ["Visits", "../visits", "", "1st", "a b", "churn"])
def test_a_name_that_cannot_be_is_refused(settings, name):
    """Nothing is written for a name that is taken, or leads elsewhere."""
    before = sorted(settings.model_folders[0].iterdir())
    with pytest.raises(PlatformError, match=r"name|already a model"):
        new_model(settings, name, Task.BINARY, "customer_id")
    assert before == sorted(settings.model_folders[0].iterdir())


def test_an_entity_without_views_is_refused_with_those_there_are(settings):
    """Who has no view yet learns where one is described."""
    with pytest.raises(PlatformError, match=r"kept by 'pump'; there are views of: customer_id"):
        new_model(settings, "visits", Task.BINARY, "pump")


def test_the_scaffold_needs_no_change_elsewhere(settings, tmp_path):
    """Nothing is written but the model's own folder."""
    before = contents(tmp_path)
    new_model(settings, "visits", Task.BINARY, "customer_id")
    own = contents(settings.model_folders[0] / "visits")
    assert {"contract.yaml", "label.sql", "network.py", "runbook.md"} <= {path.name for path in own}
    assert before | own == contents(tmp_path)


def contents(folder):
    """Return the bytes of every file under a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
