"""Names of a team's own in contracts, and what they stand for here: dataset URIs, pipelines."""

from collections.abc import Iterator
from pathlib import Path

from include.config.settings import Settings
from include.contracts.errors import ContractError
from include.contracts.model import ModelContract


def check_foreign_names(contract: ModelContract, folder: Path, settings: Settings) -> None:
    """Refuse a contract that names a dataset or a pipeline nothing here stands for.

    Raises:
        ContractError: one line per name, each with the path of its key and the setting that maps it.
    """
    wrong = [*_unmapped_dataset(contract, settings), *_unmapped_pipeline(contract, settings)]
    if wrong:
        raise ContractError("\n".join([f"{folder}:", *(f"  {line}" for line in wrong)]))


def reference_address(uri: str, settings: Settings) -> str | None:
    """Return where a dataset lies, by the longest prefix that is mapped; None if none is."""
    mapped = [prefix for prefix in settings.reference_datasets if uri.startswith(prefix)]
    if not mapped:
        return None
    prefix = max(mapped, key=len)
    return settings.reference_datasets[prefix] + uri.removeprefix(prefix)


def pipeline_dag(name: str | None, model: str, settings: Settings) -> str | None:
    """Return the DAG a pipeline's name stands for; no name means the model's own training."""
    own = f"{model}_train"
    return (
        own
        if name in {None, own}
        else settings.pipelines.get(name or "", "").replace("{model}", model) or None
    )


def _unmapped_dataset(contract: ModelContract, settings: Settings) -> Iterator[str]:
    drift, where = contract.monitoring.feature_drift, "monitoring.feature_drift.reference_dataset"
    uri = drift.reference_dataset if drift else None
    if uri is not None and reference_address(uri, settings) is None:
        prefixes = ", ".join(settings.reference_datasets) or "none"
        yield (
            f"{where}: nothing says where {uri!r} lies; map its prefix with NINETY_REFERENCE_DATASETS "
            f"(mapped: {prefixes}), or leave the key out: the champion's own training snapshot is the "
            "reference then"
        )


def _unmapped_pipeline(contract: ModelContract, settings: Settings) -> Iterator[str]:
    retrain = contract.monitoring.auto_retrain
    if retrain is None:
        return
    own, where = f"{contract.name}_train", "monitoring.auto_retrain.pipeline"
    dag = pipeline_dag(retrain.pipeline, contract.name, settings)
    if dag is None:
        mapped = ", ".join(settings.pipelines) or "none"
        yield (
            f"{where}: nothing says what {retrain.pipeline!r} stands for; leave the key out for {own!r}, "
            f"or map the name with NINETY_PIPELINES (mapped: {mapped})"
        )
    elif dag != own:
        yield f"{where}: {retrain.pipeline!r} stands for {dag!r}; this model's gates are in {own!r} only"
