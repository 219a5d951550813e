"""Evaluation reports: frozen, with an enum reason and the figures behind every verdict."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from include.contracts.moments import UtcDatetime


class GateKind(StrEnum):
    """What a gate compares a candidate with."""

    THRESHOLD = "threshold"
    BASELINE = "baseline"
    CHAMPION = "champion"
    PARITY = "parity"
    """The exported graph against the trained network."""


class Verdict(StrEnum):
    """How a gate decided."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    NOT_APPLICABLE = "not_applicable"
    """There is nothing to compare with, such as no champion yet."""


class GateResult(BaseModel):
    """One gate's verdict and its figures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: GateKind
    metric: str
    verdict: Verdict
    value: float | None
    """The candidate's figure."""
    bound: float | None
    """The figure it had to reach."""
    detail: str
    """One sentence for people, with the figures."""


class EvaluationReport(BaseModel):
    """A candidate on a window of time it has not seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    model: str
    as_of: UtcDatetime
    test_start: UtcDatetime
    test_end: UtcDatetime
    test_rows: int
    metrics: dict[str, float]
    baseline_metrics: dict[str, float]
    champion_version: str | None
    champion_metrics: dict[str, float]
    gates: tuple[GateResult, ...]

    @property
    def passed(self) -> bool:
        """Whether no gate failed."""
        return all(gate.verdict is not Verdict.FAIL for gate in self.gates)

    @property
    def failures(self) -> tuple[GateResult, ...]:
        """The gates that failed."""
        return tuple(gate for gate in self.gates if gate.verdict is Verdict.FAIL)


class Assessment(BaseModel):
    """Which report stands for a version now, and the champion it compares with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    champion_version: str | None
    evaluation_uri: str | None
    """None: the report in the version's package."""
