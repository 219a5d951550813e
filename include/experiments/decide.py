"""The verdict, out of everything there is to go by: a pure function, first what makes it invalid."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from include.contracts.experiment_results import (
    ExperimentReason,
    ExperimentVerdict,
    JudgedGuardrail,
    Look,
)
from include.contracts.guardrails import GuardrailVerdict
from include.experiments.bounds import Timetable

_R, _V = ExperimentReason, ExperimentVerdict


@dataclass(frozen=True)
class Evidence:
    """What an analysis found."""

    units: int
    """Units analysed."""
    misplaced: int
    """Units whose rows contradict their assignment."""
    mismatch: bool
    """Whether the arms are not as large as they should be."""
    missing_ratio: float
    """Share of matured units without a label."""
    maximum_missing_ratio: float
    missing_differs: bool
    """Whether labels are missing more often in one arm."""
    guardrails: Sequence[JudgedGuardrail]
    looks: Sequence[Look]
    """Every look there was, one taken now among them."""
    took: bool
    """Whether a look was taken now."""
    wanted: bool
    """Whether one was due or asked for."""
    when: Timetable
    two_sided: bool


@dataclass(frozen=True)
class Decision:
    """A verdict with its reasons."""

    verdict: ExperimentVerdict
    reasons: tuple[ExperimentReason, ...]


def invalid(evidence: Evidence) -> Decision | None:
    """Return why nothing may be concluded; None where something may."""
    reasons = []
    if evidence.misplaced:
        reasons.append(_R.ASSIGNMENT_INCONSISTENT)
    if evidence.mismatch:
        reasons.append(_R.SAMPLE_RATIO_MISMATCH)
    return Decision(_V.INVALID, tuple(reasons)) if reasons else None


def decide(evidence: Evidence) -> Decision:
    """Return the verdict on an experiment.

    In this order: broken; harm shown; worse; better, if harm is ruled out and no label is missing for a
    reason; over without an answer; otherwise it goes on.
    """
    return invalid(evidence) or _harmed(evidence) or _undecided(evidence)


def _harmed(evidence: Evidence) -> Decision | None:
    if any(_is(each, GuardrailVerdict.INFERIOR) for each in evidence.guardrails):
        return Decision(_V.ROLLBACK, (_R.GUARDRAIL_BREACHED,))
    if evidence.two_sided and any(_is_below(look) for look in evidence.looks):
        return Decision(_V.ROLLBACK, (_R.PRIMARY_WORSE,))
    return None


def _undecided(evidence: Evidence) -> Decision:
    """Return the verdict where no harm was shown."""
    if not evidence.units:
        return Decision(_V.HOLD if evidence.when.final else _V.CONTINUE, (_R.NO_EXPOSURES,))
    blind = tuple(_missing(evidence))
    if has_crossed(evidence.looks):
        return _better(evidence, blind)
    if evidence.when.final:
        return Decision(_V.HOLD, (*blind, _R.INCONCLUSIVE if evidence.looks else _R.TOO_FEW_EVENTS))
    if evidence.looks and _is_below(evidence.looks[-1]):
        return Decision(_V.HOLD, (_R.FUTILE,))
    return Decision(_V.HOLD, blind) if blind else Decision(_V.CONTINUE, (_waiting(evidence),))


def has_crossed(looks: Iterable[Look]) -> bool:
    """Say whether the primary metric was shown to be better at any look."""
    return any(look.z > look.upper for look in looks)


def _is_below(look: Look) -> bool:
    return look.lower is not None and look.z < look.lower


def _better(evidence: Evidence, blind: tuple[ExperimentReason, ...]) -> Decision:
    if blind:
        return Decision(_V.HOLD, (_R.PRIMARY_BETTER, *blind))
    if all(_is(each, GuardrailVerdict.NON_INFERIOR) for each in evidence.guardrails):
        return Decision(_V.SHIP, (_R.PRIMARY_BETTER,))
    ended = _V.HOLD if evidence.when.final else _V.CONTINUE
    return Decision(ended, (_R.GUARDRAIL_INCONCLUSIVE,))


def _missing(evidence: Evidence) -> Iterable[ExperimentReason]:
    if evidence.missing_ratio > evidence.maximum_missing_ratio:
        yield _R.MISSING_DATA
    if evidence.missing_differs:
        yield _R.MISSING_DIFFERS


def _waiting(evidence: Evidence) -> ExperimentReason:
    if evidence.took:
        return _R.NOT_SIGNIFICANT
    if not evidence.wanted:
        return _R.LOOK_NOT_DUE
    return _R.TOO_FEW_EVENTS if evidence.when.new else _R.NO_NEW_INFORMATION


def _is(guardrail: JudgedGuardrail, verdict: GuardrailVerdict) -> bool:
    return guardrail.result.verdict is verdict
