"""The model contract: the hand-off between data science and engineering, strict to the last key."""

from enum import StrEnum
from math import isfinite
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from include.contracts.canonical import content_hash
from include.contracts.moments import Duration
from include.contracts.monitoring import Monitoring
from include.contracts.ramps import RolloutPlan
from include.contracts.routes import EntityKey, Fallback, StalePolicy
from include.contracts.schedules import Cron
from include.contracts.signatures import FeatureInput, Signature, Task

_STRICT = ConfigDict(frozen=True, extra="forbid")

_JUDGED_BY: dict[str, Any] = {
    "task": True,
    "classes": True,
    "features": {"inputs"},
    "label": {"delay"},
    "training": {"history", "snapshot_every", "validation", "test", "seed"},
    "gates": True,
    "slices": True,
    "objectives": {"latency_p99_ms", "batch_rows_per_second"},
    "resources": True,
}
"""What decides an evaluation's verdict; the rest may change while a version is trained, and after."""


class Metric(StrEnum):
    """Metrics a gate may name; for all but the last five, larger is better."""

    ROC_AUC = "roc_auc"
    AVERAGE_PRECISION = "average_precision"
    ACCURACY = "accuracy"
    PRECISION = "precision"
    RECALL = "recall"
    R2 = "r2"
    BRIER = "brier"
    LOG_LOSS = "log_loss"
    EXPECTED_CALIBRATION_ERROR = "expected_calibration_error"
    MEAN_ABSOLUTE_ERROR = "mean_absolute_error"
    ROOT_MEAN_SQUARED_ERROR = "root_mean_squared_error"

    @property
    def larger_is_better(self) -> bool:
        """Whether a larger value is a better model."""
        return self not in _SMALLER_IS_BETTER

    @property
    def tasks(self) -> frozenset[Task]:
        """Tasks the metric is defined for."""
        if self in _REGRESSION:
            return frozenset({Task.REGRESSION})
        if self in _ANY_CLASSIFIER:
            return frozenset({Task.BINARY, Task.MULTICLASS})
        return frozenset({Task.BINARY})


_REGRESSION = frozenset({Metric.R2, Metric.MEAN_ABSOLUTE_ERROR, Metric.ROOT_MEAN_SQUARED_ERROR})
_ANY_CLASSIFIER = frozenset({Metric.ACCURACY, Metric.LOG_LOSS})
_SMALLER_IS_BETTER = frozenset(
    {
        Metric.BRIER,
        Metric.LOG_LOSS,
        Metric.EXPECTED_CALIBRATION_ERROR,
        Metric.MEAN_ABSOLUTE_ERROR,
        Metric.ROOT_MEAN_SQUARED_ERROR,
    }
)


class Owner(BaseModel):
    """Who answers for the model."""

    model_config = _STRICT

    team: str
    """Team that owns the model; owner of its DAGs in Airflow."""
    email: str
    """Address of the team."""
    on_call: str
    """Who is called when it fails: a rota or a person."""


class Label(BaseModel):
    """What the label is; label.sql is how it is computed."""

    model_config = _STRICT

    description: str
    """What is predicted, in a sentence."""
    delay: Duration
    """Time from event_at to known_at; also the gap between training and test windows."""


class Features(BaseModel):
    """What the model reads and what happens when it cannot."""

    model_config = _STRICT

    service: str = Field(pattern=r"^[a-z][a-z0-9_]*_v\d+$")
    """Feast feature service; Feast has no version field, so the name carries it."""
    inputs: tuple[FeatureInput, ...] = Field(min_length=1)
    """What the model reads, in the order of its tensors."""
    stale_policy: StalePolicy = StalePolicy.REJECT
    """Whether a request with a feature too old or absent is rejected, or answered without it."""


class Training(BaseModel):
    """How the platform's training loop is to be run; times count back from `as_of`."""

    model_config = _STRICT

    history: Duration
    """How far back the training set reaches."""
    snapshot_every: Duration
    """Spacing of the moments at which every entity is a row."""
    validation: Duration
    """Length of the window that stops training early."""
    test: Duration
    """Length of the last window, which the model has not seen."""
    minimum_rows: int = Field(default=1_000, ge=1)
    """Fewest rows of the training window."""
    leak_bound: float = Field(default=0.95, gt=0.5, le=1)
    """Training stops where one feature alone predicts the label better: ROC-AUC, or R2 of a regression."""
    allow_dirty: bool = False
    """Whether a version may be registered from a tree with uncommitted changes."""
    seed: int = 7
    """Seed of everything random; same data, code and seed give the same model."""
    hyperparameters: dict[str, float | int | str | bool] = Field(default_factory=dict)
    """The loop's (learning_rate, weight_decay, batch_size, epochs, patience), and whatever network.py
    reads."""


class Threshold(BaseModel):
    """A bound on a metric over the test window."""

    model_config = _STRICT

    metric: Metric
    """What is measured."""
    minimum: float | None = None
    """Smallest value that passes."""
    maximum: float | None = None
    """Largest value that passes."""

    @model_validator(mode="after")
    def _one_bound(self) -> "Threshold":
        if (self.minimum is None) == (self.maximum is None):
            raise ValueError(f"gate on {self.metric.value!r} needs exactly one of 'minimum' and 'maximum'")
        return self

    @property
    def bound(self) -> float:
        """The one bound there is."""
        return (self.minimum if self.minimum is not None else self.maximum) or 0.0

    def __str__(self) -> str:
        """Return `at least 0.7700`."""
        return f"at {'least' if self.minimum is not None else 'most'} {self.bound:.4f}"


class Baseline(BaseModel):
    """A trivial rule the model must beat: one feature, ranked (or scaled) as it is."""

    model_config = _STRICT

    feature: str
    """Input of the model that stands for the rule."""
    larger_means_positive: bool = True
    """Whether a larger value speaks for the positive class."""
    metric: Metric
    """What both are measured by."""
    margin: float = Field(default=0.0, ge=0.0)
    """By how much the model must be better."""


class ChampionGate(BaseModel):
    """Comparison with the version in production, on the same rows."""

    model_config = _STRICT

    metric: Metric
    """What both are measured by."""
    tolerance: float = Field(ge=0.0)
    """By how much the candidate may be worse."""


class BenchmarkGate(BaseModel):
    """The test window in parts, each with bounds of its own."""

    model_config = _STRICT

    windows: int = Field(default=4, ge=1)
    """How many parts of equal length the test window's event times are cut into."""
    thresholds: tuple[Threshold, ...] = ()
    """Bounds every part must reach; looser than the whole's, since a part holds fewer rows. No part may be
    shorter than `training.snapshot_every`."""


class RobustnessGate(BaseModel):
    """How much may be lost where an input is missing, unknown or extreme."""

    model_config = _STRICT

    affected_share: float = Field(default=0.1, gt=0, le=1)
    """Share of the test rows that each probe spoils."""
    maximum_degradation: float = Field(default=0.05, gt=0)
    """By what part of itself the champion gate's metric may get worse by missing or unknown values."""
    maximum_degradation_extreme: float = Field(default=0.25, gt=0)
    """The same for the smallest and largest values the contract lets through."""


class Gates(BaseModel):
    """What a candidate must reach to be registered."""

    model_config = _STRICT

    thresholds: tuple[Threshold, ...] = Field(min_length=1)
    """Bounds on metrics."""
    baseline: Baseline
    """The trivial rule to beat."""
    champion: ChampionGate
    """How it must stand beside the version in production."""
    benchmark: BenchmarkGate = BenchmarkGate()
    """How it must do in each part of the test window."""
    slices: tuple[Threshold, ...] = ()
    """Bounds that no slice of at least its `minimum_rows` may be shown to miss; they need `slices`."""
    robustness: RobustnessGate = RobustnessGate()
    """How it must bear spoilt inputs."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Every metric a gate names."""
        bounded = (*self.thresholds, *self.benchmark.thresholds, *self.slices)
        return (*(each.metric for each in bounded), self.baseline.metric, self.champion.metric)


class Slice(BaseModel):
    """A column whose values part the test rows."""

    model_config = _STRICT

    view: str
    """Feature view that has the column."""
    column: str
    """Column whose values part the rows."""
    minimum_rows: int = Field(default=100, ge=1)
    """A smaller part says nothing and is not judged."""

    @property
    def frozen_as(self) -> str:
        """Name of its column in a training set; no feature can have it."""
        return f"slice:{self.view}.{self.column}"


class Objectives(BaseModel):
    """What the service promises."""

    model_config = _STRICT

    latency_p99_ms: float = Field(default=100.0, gt=0)
    """Milliseconds within which 99 of 100 requests are answered."""
    batch_rows_per_second: float | None = Field(default=None, gt=0)
    """Rows a second that Triton must answer in full batches; none sets no bound."""
    availability: float = Field(default=0.999, gt=0, lt=1)
    """Share of requests that are answered."""


class Serving(BaseModel):
    """How requests are answered when things go wrong."""

    model_config = _STRICT

    deadline_ms: float = Field(default=500.0, gt=0)
    """Milliseconds after which a request falls back."""
    fallbacks: tuple[Fallback, ...] = (Fallback.PREVIOUS_VERSION, Fallback.REFUSE)
    """What is tried, in this order, when a version cannot answer."""
    default_score: tuple[float, ...] | None = None
    """What `default_score` answers, one number for each output."""


class ExperimentMetric(BaseModel):
    """A metric experiments and ramps may name."""

    model_config = _STRICT

    name: str
    """Name in plans and analyses."""
    source: Literal["outcome", "label", "prediction_log"]
    """Where its values come from."""
    direction: Literal["increase", "decrease"]
    """Which way is better."""
    matures_in: Duration
    """Time after exposure until its value is final."""


class Approvers(BaseModel):
    """Who may say yes, and how many must."""

    model_config = _STRICT

    users: tuple[str, ...] = Field(min_length=1)
    """User names in Airflow."""
    quorum: int = Field(default=1, ge=1)
    """How many of them must say yes."""

    @model_validator(mode="after")
    def _reachable(self) -> "Approvers":
        if self.quorum > len(self.users):
            raise ValueError(f"quorum {self.quorum} cannot be reached by {len(self.users)} approvers")
        return self


class Resources(BaseModel):
    """What a version takes in Triton."""

    model_config = _STRICT

    device: Literal["cpu", "gpu"] = "cpu"
    """Where Triton runs it."""
    instances: int = Field(default=1, ge=1)
    """Copies that answer at once."""
    maximum_batch: int = Field(default=256, ge=1)
    """Most rows of one call, and of one batch that Triton joins."""
    maximum_queue_delay_microseconds: int = Field(default=0, ge=0, le=1_000_000)
    """How long Triton holds a call back for others to join it; 0 joins only what waits anyway."""
    memory_mb: int = Field(default=256, ge=1)
    """Memory that all its copies may take together, in megabytes; checked before it is loaded."""


class Schedules(BaseModel):
    """Cron expressions of the model's DAGs, UTC."""

    model_config = _STRICT

    labels: Cron = "0 4 * * *"
    """When labels that became known are written."""
    train: Cron = "0 5 * * 1"
    """When it is trained, if there is anything new."""
    batch_score: Cron | None = None
    """None: batches are scored only when asked for."""


class ModelContract(BaseModel):
    """contract.yaml."""

    model_config = _STRICT

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=80)
    """Name of the model and of its folder: part of DAG ids, paths and Triton's names."""
    description: str
    """What it answers, in a sentence."""
    task: Task
    """Kind of prediction."""
    classes: tuple[str, ...] = ()
    """Class names of a multiclass model, in output order."""
    owner: Owner
    """Who answers for it."""
    runbook: str = "runbook.md"
    """File in the folder that helps whoever is called."""
    entity: EntityKey
    """What a prediction is about."""
    label: Label
    """The truth, and when it is known."""
    features: Features
    """What it reads."""
    training: Training
    """How it is trained."""
    gates: Gates
    """What a candidate must reach."""
    slices: tuple[Slice, ...] = ()
    """Parts of the population that are looked at on their own."""
    objectives: Objectives = Objectives()
    """What the service promises."""
    serving: Serving = Serving()
    """What is answered when things go wrong."""
    rollout: RolloutPlan
    """How a version comes to all traffic."""
    experiment_metrics: tuple[ExperimentMetric, ...] = ()
    """Metrics that experiments and ramps may name."""
    monitoring: Monitoring = Monitoring()
    """What is watched in production."""
    approvers: Approvers
    """Who may say yes to a release."""
    resources: Resources = Resources()
    """What a version takes in Triton."""
    schedules: Schedules = Schedules()
    """When its DAGs run by themselves."""

    @model_validator(mode="after")
    def _servable(self) -> "ModelContract":
        try:
            outputs = self.signature.outputs
        except ValidationError as error:
            reason = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
            raise ValueError(f"task, classes, features.inputs: {reason}") from None
        score = self.serving.default_score
        if score is None:
            if Fallback.DEFAULT_SCORE in self.serving.fallbacks:
                raise ValueError(
                    "serving.fallbacks names 'default_score', but serving.default_score is missing"
                )
        elif len(score) != outputs or not all(map(isfinite, score)):
            raise ValueError(f"serving.default_score: needs {outputs} finite numbers, one for each output")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> "ModelContract":
        for metric in self.gates.metrics:
            if self.task not in metric.tasks:
                raise ValueError(
                    f"gates: metric {metric.value!r} is not defined for a {self.task.value} model"
                )
        if self.gates.baseline.feature not in {item.name for item in self.features.inputs}:
            raise ValueError(
                f"gates.baseline.feature: {self.gates.baseline.feature!r} is not an input of the model"
            )
        return self

    @property
    def signature(self) -> Signature:
        """What the model takes and gives."""
        return Signature(task=self.task, inputs=self.features.inputs, classes=self.classes)

    @property
    def sha256(self) -> str:
        """Hash of the contract's content; formatting and comments do not enter."""
        return content_hash(self.model_dump(mode="json"))

    @property
    def judgement_sha256(self) -> str:
        """Hash of what an evaluation depends on: what is predicted, from what, on which rows; the gates."""
        return content_hash(self.model_dump(mode="json", include=_JUDGED_BY))
