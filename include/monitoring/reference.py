"""What inputs are held against: the champion's own training set, or the dataset its contract names."""

from dataclasses import dataclass

from include.adapters.artefacts import ArtefactStore
from include.adapters.datasets import read_dataset
from include.adapters.snapshots import UNIT, read_snapshot_table
from include.config.foreign_names import reference_address
from include.config.settings import Settings
from include.contracts.errors import ArtefactError
from include.contracts.model import ModelContract
from include.contracts.monitoring import FeatureDrift
from include.contracts.packages import Manifest
from include.monitoring.judgement import DriftReason
from include.monitoring.samples import Sample, misfits, sample


@dataclass(frozen=True)
class Reference:
    """Rows the model learned from, or that stand for them."""

    name: str
    """URI of the dataset, or of the snapshot in the artefact store."""
    rows: Sample
    """Every input of the model has its column."""


@dataclass(frozen=True)
class Unusable:
    """Why there is nothing to hold inputs against."""

    reason: DriftReason
    what: str


def feature_reference(
    settings: Settings,
    store: ArtefactStore,
    contract: ModelContract,
    drift: FeatureDrift,
    manifest: Manifest,
) -> Reference | Unusable:
    """Return the reference of a model's inputs, or why it cannot be used.

    Args:
        settings: says where datasets that contracts name lie.
        store: holds the champion's training set.
        contract: the model's.
        drift: its monitor of inputs; says whether there is a dataset.
        manifest: the champion's.
    """
    try:
        reference = _read(settings, store, contract, drift, manifest)
    except ArtefactError as error:
        return Unusable(DriftReason.REFERENCE_MISSING, str(error))
    wrong = [f"{name!r} {what}" for name, what in misfits(reference.rows.table, manifest.signature)]
    if wrong:
        told = f"the reference {reference.name} does not match the signature: {'; '.join(wrong)}"
        return Unusable(DriftReason.REFERENCE_MISMATCH, told)
    if reference.rows.independent < drift.minimum_rows:
        worth = (
            f"is worth {reference.rows.independent:.0f} independent rows of the {drift.minimum_rows} needed"
        )
        return Unusable(DriftReason.REFERENCE_TOO_SMALL, f"the reference {reference.name} {worth}")
    return reference


def _read(
    settings: Settings,
    store: ArtefactStore,
    contract: ModelContract,
    drift: FeatureDrift,
    manifest: Manifest,
) -> Reference:
    uri = drift.reference_dataset
    if uri is None:
        name, table = manifest.snapshot.uri, read_snapshot_table(store, manifest.snapshot)
    else:
        name, table = uri, read_dataset(_address(uri, settings))
    key = next((column for column in (UNIT, contract.entity.name) if column in table.column_names), None)
    return Reference(name, sample(table, None if key is None else table[key]))


def _address(uri: str, settings: Settings) -> str:
    address = reference_address(uri, settings)
    if address is None:
        raise ArtefactError(f"nothing says where {uri!r} lies; map its prefix with NINETY_REFERENCE_DATASETS")
    return address
