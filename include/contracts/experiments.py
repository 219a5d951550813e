"""Experiments as the ledger holds them: which versions are tried, by whose yes, and how it stands."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from include.contracts.experiment_plan import ExperimentPlan
from include.contracts.moments import UtcDatetime
from include.contracts.releases import Decision

_STRICT = ConfigDict(frozen=True, extra="forbid")


class TreatmentVersion(BaseModel):
    """A version that is tried, and its artefact."""

    model_config = _STRICT

    version: str
    sha256: str


class Tried(BaseModel):
    """What an experiment gives traffic to."""

    model_config = _STRICT

    treatment_version: str
    treatment_sha256: str
    """Artefact of the treatment."""
    further: tuple[TreatmentVersion, ...] = ()
    """Treatments beside the first."""

    @property
    def treatments(self) -> tuple[TreatmentVersion, ...]:
        """What is tried, in the order of the plan."""
        first = TreatmentVersion(version=self.treatment_version, sha256=self.treatment_sha256)
        return (first, *self.further)

    @property
    def treatment_versions(self) -> tuple[str, ...]:
        """The versions that are tried, in the order of the plan."""
        return tuple(each.version for each in self.treatments)


class ExperimentAnswer(Tried):
    """A human's answer to giving a version the traffic of an experiment, bound to what was shown."""

    experiment_id: str
    model: str
    plan_sha256: str
    decision: Decision
    decided_by: str | None
    """None when time ran out, which is only ever a no."""
    decided_at: UtcDatetime
    evidence_sha256: str
    """Hash of the text that was shown."""
    reason: str | None = None


class ExperimentState(StrEnum):
    """Where an experiment stands; all but the first end it."""

    RUNNING = "running"
    STOPPED = "stopped"
    """A person ended it."""
    ROLLED_BACK = "rolled_back"
    """Its analysis, or a rollback of the model, took the treatment's traffic away."""

    @property
    def is_terminal(self) -> bool:
        """Whether the experiment is over and its lease given back."""
        return self is not ExperimentState.RUNNING


class PlannedSize(BaseModel):
    """What the plan costs, worked out before the start."""

    model_config = _STRICT

    control: int
    """Units of control at the last look."""
    treatment: int
    """Units of treatment at the last look."""
    information: float
    """Effective size, 1 / (1/control + 1/treatment), at the last look."""
    further: tuple[int, ...] = ()
    """Units of each treatment beside the first, at the last look."""
    baseline: float | None
    """Assumed, or measured in the log."""
    standard_deviation: float | None
    """Assumed, or measured in the log."""
    inflation_factor: float
    """What the looks cost in units, over one look at the end."""
    expected_fraction_null: float
    """Expected information at the end where nothing differs, as a share of the largest."""
    expected_fraction_alternative: float
    """The same where treatment is better by the MDE."""
    units_per_day: float
    """New units a day that the log promises at the end of its window."""
    expected_seconds: float | None
    """From the start until the last unit has matured; None: never, at the traffic seen."""

    @property
    def informations(self) -> tuple[float, ...]:
        """Effective size of each comparison at the last look."""
        others = (1.0 / (1.0 / self.control + 1.0 / units) for units in self.further)
        return (self.information, *others)

    @property
    def units(self) -> int:
        """Units of all arms at the last look."""
        return self.control + self.treatment + sum(self.further)


class Experiment(Tried):
    """State of an experiment. `revision` counts its changes and is what compare-and-set compares."""

    experiment_id: str
    name: str
    model: str
    plan: ExperimentPlan
    plan_sha256: str
    size: PlannedSize
    control_version: str
    share: float = Field(gt=0.0, lt=1.0)
    """Present share of the first treatment."""
    state: ExperimentState
    began_at: UtcDatetime
    """Event time from which exposures count."""
    started_by: str
    approved_by: tuple[str, ...]
    """Who said yes to giving the treatment traffic."""
    reason: str | None = None
    """Why it ended."""
    revision: int = Field(ge=1)
    started_at: UtcDatetime
    ended_at: UtcDatetime | None = None

    @property
    def last_exposure_at(self) -> UtcDatetime:
        """Event time after which no exposure counts any more."""
        return self.began_at + self.plan.within
