"""The monitoring block exactly as the reference article has it, and the names in it that are a team's own."""

from pathlib import Path

import pytest

from include.config.foreign_names import check_foreign_names, pipeline_dag, reference_address
from include.config.settings import Settings
from include.contracts.errors import ContractError
from include.contracts.model import ModelContract
from tests.contracts.test_model import CHURN, MONITORING

SEED = ModelContract.model_validate(CHURN | {"monitoring": MONITORING})
DATASETS = {"s3://ml-artifacts/": "/data/all/", "s3://ml-artifacts/training-data/": "/data/training/"}
PIPELINES = {"ml-pipelines/retrain-v2": "{model}_train"}


def refused(settings: Settings, contract: ModelContract = SEED) -> str:
    """Return what a contract is refused with."""
    with pytest.raises(ContractError) as caught:
        check_foreign_names(contract, Path("include/models/churn"), settings)
    return str(caught.value)


def test_mapped_names_are_taken():
    """The longest prefix says where a dataset lies, and `{model}` which training a pipeline is."""
    settings = Settings(reference_datasets=DATASETS, pipelines=PIPELINES)
    check_foreign_names(SEED, Path("include/models/churn"), settings)
    assert "/data/training/v3.parquet" == reference_address(
        "s3://ml-artifacts/training-data/v3.parquet", settings
    )
    assert "/data/all/x.parquet" == reference_address("s3://ml-artifacts/x.parquet", settings)
    assert "churn_train" == pipeline_dag("ml-pipelines/retrain-v2", "churn", settings)


def test_unmapped_names_are_refused_together():
    """Each with its key, the setting that maps it, and what to write instead."""
    told = refused(Settings())
    assert "monitoring.feature_drift.reference_dataset: nothing says where 's3://ml-artifacts/trai" in told
    assert "NINETY_REFERENCE_DATASETS (mapped: none)" in told
    assert "monitoring.auto_retrain.pipeline: nothing says what 'ml-pipelines/retrain-v2' stands for" in told
    assert "leave the key out for 'churn_train', or map the name with NINETY_PIPELINES (mapped: none)" in told


def test_a_pipeline_past_the_gates_is_refused():
    """A name may be mapped, but only to the model's own training."""
    settings = Settings(reference_datasets=DATASETS, pipelines={"ml-pipelines/retrain-v2": "spend_train"})
    assert "stands for 'spend_train'; this model's gates are in 'churn_train' only" in refused(settings)


def test_a_model_without_foreign_names_needs_no_setting():
    """Churn's own block names nothing that must be mapped."""
    check_foreign_names(ModelContract.model_validate(CHURN), Path("include/models/churn"), Settings())
