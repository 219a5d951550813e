import json
import re

import jsonschema
import pytest
import yaml

from include.commands.contract_reference import (
    _EXPERIMENT_HEADING,
    EXPERIMENT_PAGE,
    EXPERIMENT_SCHEMA,
    PAGE,
    SCHEMA,
    meanings_of,
    models_of,
    page,
    schema_text,
)
from include.config.settings import REPOSITORY_ROOT
from include.contracts.experiment_plan import ExperimentPlan
from include.contracts.model import ModelContract
from tests.adapters.ledger.trials import PLAN

CONTRACTS = [
    *sorted((REPOSITORY_ROOT / "include" / "models").glob("*/contract.yaml")),
    *sorted((REPOSITORY_ROOT / "tests" / "models").glob("*/contract.yaml")),
]


def test_the_files_are_current():
    """Who changes a key writes the reference anew: make contract-reference."""
    assert schema_text() == SCHEMA.read_text(encoding="utf-8")
    assert page() == PAGE.read_text(encoding="utf-8")
    assert schema_text(ExperimentPlan, "Experiment") == EXPERIMENT_SCHEMA.read_text(encoding="utf-8")
    assert page(ExperimentPlan, _EXPERIMENT_HEADING) == EXPERIMENT_PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "kind", [*models_of(ModelContract), *models_of(ExperimentPlan)], ids=lambda kind: kind.__name__
)
def test_every_key_says_what_it_means(kind):
    """A key without a docstring would stand in the reference without a meaning."""
    assert [] == [key for key, meaning in meanings_of(kind).items() if not meaning]


@pytest.mark.parametrize("path", CONTRACTS, ids=lambda path: path.parent.name)
def test_a_contract_names_the_schema_that_is_there(path):
    """The editor's line leads to the schema."""
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert f"# yaml-language-server: $schema={'../' * 3}docs/contract.schema.json" == first
    assert SCHEMA == (path.parent / first.partition("$schema=")[2]).resolve()


def test_the_schema_knows_every_key_a_contract_uses():
    """What an editor would underline in red in the shipped contracts: nothing."""
    validator = jsonschema.Draft202012Validator(json.loads(schema_text()))
    found = {
        path.parent.name: [e.message for e in validator.iter_errors(yaml.safe_load(path.read_text()))]
        for path in CONTRACTS
    }
    assert not any(found.values()), found


def test_the_schema_of_experiments_knows_theirs():
    """The plan that tests run by is fine, a typo in it is not."""
    validator = jsonschema.Draft202012Validator(json.loads(EXPERIMENT_SCHEMA.read_text(encoding="utf-8")))
    assert [] == list(validator.iter_errors(PLAN))
    assert [] != list(validator.iter_errors(PLAN | {"slat": "x"}))


def test_the_schema_sees_a_typo_and_a_wrong_value():
    """An editor underlines both."""
    contract = yaml.safe_load(CONTRACTS[0].read_text(encoding="utf-8")) | {"task": "ranking", "trainig": {}}
    contract["label"]["delay"] = "soon"
    validator = jsonschema.Draft202012Validator(json.loads(schema_text()))
    told = " ".join(error.message for error in validator.iter_errors(contract))
    assert all(re.search(word, told) for word in ("trainig", "ranking", "soon"))
