"""The package a trained model travels in, and the manifest that names every byte of it.

package/
├── manifest.json     this module's Manifest; its SHA-256 is the artefact's hash
├── model.onnx        preprocessing and network in one graph
├── golden.json       stored inputs and the outputs they must give
├── evaluation.json   reports.EvaluationReport
└── evaluation.html   the same for people
"""

from pydantic import BaseModel, ConfigDict, Field

from include.contracts.model import Resources
from include.contracts.moments import UtcDatetime
from include.contracts.predictions import FeatureValue
from include.contracts.signatures import Signature

MANIFEST_NAME = "manifest.json"
TRAINING_NAME = "training.json"
"""A candidate's TrainingRecord, before registration folds it into the manifest."""
MODEL_NAME = "model.onnx"
GOLDEN_NAME = "golden.json"
EVALUATION_NAME = "evaluation.json"
PAGE_NAME = "evaluation.html"

PARITY_METRIC = "parity_difference"
"""Training metric: how far the exported graph's outputs are from the trained network's."""
PARITY_TOLERANCE = 1e-5
"""Largest difference between two runs of one model that counts as none; relative to outputs beyond 1."""


class GoldenCase(BaseModel):
    """One stored input with the output it must give."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: dict[str, FeatureValue]
    outputs: tuple[float, ...]


class GoldenSet(BaseModel):
    """Golden predictions of a version; compared before it takes traffic and by health checks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cases: tuple[GoldenCase, ...] = Field(min_length=1)
    absolute_tolerance: float = Field(default=1e-5, gt=0)


class CodeState(BaseModel):
    """The code that built something."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    commit: str
    dirty: bool
    """Whether include/, dags/, plugins/, serving/ or a lock differed from the commit."""
    fingerprint: str
    """SHA-256 over the model folder, its feature SQL and the training code."""
    lock_sha256: str
    """SHA-256 of requirements.lock."""


class Snapshot(BaseModel):
    """A training set frozen under its own hash."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    uri: str
    """Path inside the artefact store."""
    rows: int = Field(ge=0)
    start: UtcDatetime
    end: UtcDatetime
    """The rows' event times lie in [start, end)."""
    feature_service: str
    feature_ttl_seconds: dict[str, float]
    """TTL by view, as it was defined when the set was made."""
    transform_sha256: dict[str, str] = Field(default_factory=dict)
    """SHA-256 of each request-time transform's source, by name."""
    as_of: UtcDatetime


class TrainingRecord(BaseModel):
    """How a candidate came to be; written beside its files by the training stage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    model: str
    signature: Signature
    snapshot: Snapshot
    code: CodeState
    contract_sha256: str
    judgement_sha256: str | None = None
    """Hash of what evaluation depends on in the contract; None in records from before it was kept."""
    hyperparameters: dict[str, float | int | str | bool]
    seed: int
    resources: Resources = Resources()
    """What it takes in Triton; it is evaluated with these and serves with these."""
    metrics: dict[str, float]
    """Figures of the training itself, such as the validation loss."""
    requested_by: str
    """All who asked for it, as `joined_requesters` writes them."""
    run_id: str
    """MLflow run."""
    trained_at: UtcDatetime
    duration_seconds: float
    hardware: str


class Manifest(TrainingRecord):
    """What travels with an artefact: its training record and the hash of every file."""

    files: dict[str, str]
    """SHA-256 by file name, the manifest itself excepted."""


class Version(BaseModel):
    """A registered version: a package under a semantic version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    version: str
    artefact_sha256: str
    package_uri: str
    """Path of the package inside the artefact store."""
    run_id: str
    requested_by: str
    """All who asked for its training, as `joined_requesters` writes them."""
    registered_at: UtcDatetime
