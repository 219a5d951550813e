import shutil
from pathlib import Path

import pytest

from include.config.models import ModelFolder, model_folder, model_folders
from include.config.settings import REPOSITORY_ROOT
from include.contracts.errors import ContractError


@pytest.fixture
def churn(tmp_path: Path) -> Path:
    """A copy of the shipped model folder."""
    return Path(
        shutil.copytree(REPOSITORY_ROOT / "include" / "models" / "churn", tmp_path / "models" / "churn")
    )


def test_folders_are_found_by_their_contract(churn):
    """A folder without a contract is no model."""
    (churn.parent / "notes").mkdir()
    assert ["churn"] == list(model_folders((churn.parent,)))


def test_an_unknown_model_is_named_with_those_that_exist(churn):
    """The reader learns what there is."""
    with pytest.raises(ContractError, match=r"no model 'chrun'; there are: churn"):
        model_folder((churn.parent,), "chrun")


def test_two_folders_of_one_name_are_refused(churn, tmp_path):
    """Which of two models was meant is not for us to guess."""
    shutil.copytree(churn, tmp_path / "more" / "churn")
    with pytest.raises(ContractError, match="two model folders"):
        model_folders((churn.parent, tmp_path / "more"))


def test_a_contract_of_another_name_is_refused(churn):
    """Folder and contract agree."""
    with pytest.raises(ContractError, match="renamed: the contract's name 'churn' must equal"):
        _ = ModelFolder(churn.rename(churn.parent / "renamed")).contract


@pytest.mark.parametrize("name", ["label.sql", "network.py", "runbook.md"])
def test_a_missing_file_is_named(churn, name):
    """A contract without its files is no hand-off."""
    (churn / name).unlink()
    with pytest.raises(ContractError, match=f"{name} is missing"):
        _ = ModelFolder(churn).contract


def test_every_problem_is_listed_with_its_path(churn):
    """One run tells all that is wrong."""
    path = churn / "contract.yaml"
    path.write_text(
        path.read_text().replace("delay: 14d", "delay: soon").replace("task: binary", "task: guess")
    )
    with pytest.raises(ContractError) as caught:
        _ = ModelFolder(churn).contract
    assert all(key in str(caught.value) for key in ("label.delay", "task: "))


def test_broken_yaml_is_an_error_for_the_reader(churn):
    """A stray bracket is no traceback."""
    (churn / "contract.yaml").write_text("name: [")
    with pytest.raises(ContractError, match="is not YAML"):
        _ = ModelFolder(churn).contract
