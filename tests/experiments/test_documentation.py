"""The worked example of docs/experiments.md is one that works."""

import re
import shutil
from pathlib import Path

import yaml

from include.config.experiments import experiment_file
from include.config.models import ModelFolder
from include.config.settings import REPOSITORY_ROOT
from include.contracts.experiment_plan import ExperimentPlan
from include.contracts.experiment_results import ExperimentReason, ExperimentVerdict
from include.experiments.decide import Decision
from include.experiments.explain import explained
from include.experiments.outcomes import Fate
from tests.adapters.ledger.trials import experiment

PAGE = (REPOSITORY_ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
RUNBOOK = (REPOSITORY_ROOT / "docs" / "runbooks" / "experiment.md").read_text(encoding="utf-8")


def test_the_documented_plan_is_accepted(tmp_path: Path) -> None:
    """As it stands, beside the documented metrics, in the model it speaks of."""
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.S)
    metrics, plan, several = map(yaml.safe_load, blocks)
    source = REPOSITORY_ROOT / "include" / "models" / "churn"
    shutil.copytree(source, tmp_path / "churn", ignore=shutil.ignore_patterns("__pycache__"))
    contract = yaml.safe_load((source / "contract.yaml").read_text(encoding="utf-8"))
    (tmp_path / "churn" / "contract.yaml").write_text(yaml.safe_dump(contract | metrics), encoding="utf-8")
    (tmp_path / "churn" / "experiments").mkdir()
    folder, path = ModelFolder(tmp_path / "churn"), tmp_path / "churn" / "experiments" / "offers.yaml"
    for written, shares in ((plan, (0.05, 0.5)), (plan | several, (0.05, 0.3))):
        path.write_text(yaml.safe_dump(written), encoding="utf-8")
        assert shares == experiment_file(folder, "offers").plan.shares


def test_every_verdict_and_fate_is_documented() -> None:
    """Whoever meets one finds it; every reason has words."""
    assert all(f"| {verdict.value.upper()} |" in PAGE for verdict in ExperimentVerdict)
    assert all(f"`{fate.value}`" in PAGE for fate in Fate)
    for reason in ExperimentReason:
        assert explained(experiment(), Decision(ExperimentVerdict.HOLD, (reason,)))


def test_every_key_of_a_plan_is_named() -> None:
    """In the example, or beside it."""
    missing = [name for name in ExperimentPlan.model_fields if not re.search(rf"\b{name}\b", PAGE)]
    assert not missing
