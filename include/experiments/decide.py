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
class Compared:
    """What was found of one treatment against control."""

    name: str
    """Of the treatment, in the plan."""
    looks: Sequence[Look] = ()
    """Every look there was, one taken now among them."""
    guardrails: Sequence[JudgedGuardrail] = ()

    @property
    def is_better(self) -> bool:
        """Whether the primary metric was shown to be better at any look.

        Among several treatments the last look has what Holm's steps say of all looks.
        """
        return has_crossed(self.looks) or (self._is_shown and self._strongest.z > 0.0)

    @property
    def is_worse(self) -> bool:
        """Whether it was shown to be worse at any look, where that is tested."""
        return any(_is_below(look) for look in self.looks) or (self._is_shown and self._strongest.z < 0.0)

    @property
    def is_kept(self) -> bool:
        """Whether every guardrail rules its margin out."""
        return all(_is(each, GuardrailVerdict.NON_INFERIOR) for each in self.guardrails)

    @property
    def _is_shown(self) -> bool:
        last = self.looks[-1] if self.looks else None
        if last is None or last.adjusted_p_value is None or last.level is None:
            return False
        return self._strongest.p_value <= last.level

    @property
    def _strongest(self) -> Look:
        return min(self.looks, key=lambda look: look.p_value)


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
    comparisons: Sequence[Compared]
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
    about: tuple[str, ...] = ()
    """Treatments it is about, the best of those to ship first; none: about all of them."""


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
    breached = tuple(
        each.name
        for each in evidence.comparisons
        if any(_is(guardrail, GuardrailVerdict.INFERIOR) for guardrail in each.guardrails)
    )
    if breached:
        return Decision(_V.ROLLBACK, (_R.GUARDRAIL_BREACHED,), breached)
    worse = tuple(each.name for each in evidence.comparisons if each.is_worse) if evidence.two_sided else ()
    return Decision(_V.ROLLBACK, (_R.PRIMARY_WORSE,), worse) if worse else None


def _undecided(evidence: Evidence) -> Decision:
    """Return the verdict where no harm was shown."""
    if not evidence.units:
        return Decision(_V.HOLD if evidence.when.final else _V.CONTINUE, (_R.NO_EXPOSURES,))
    blind = tuple(_missing(evidence))
    if any(each.is_better for each in evidence.comparisons):
        return _better(evidence, blind)
    looked = [each.looks for each in evidence.comparisons if each.looks]
    if evidence.when.final:
        return Decision(_V.HOLD, (*blind, _R.INCONCLUSIVE if looked else _R.TOO_FEW_EVENTS))
    if looked and all(each.looks and _is_below(each.looks[-1]) for each in evidence.comparisons):
        return Decision(_V.HOLD, (_R.FUTILE,))
    return Decision(_V.HOLD, blind) if blind else Decision(_V.CONTINUE, (_waiting(evidence),))


def has_crossed(looks: Iterable[Look]) -> bool:
    """Say whether the primary metric was shown to be better at any look."""
    return any(look.z > look.upper for look in looks)


def _is_below(look: Look) -> bool:
    return look.lower is not None and look.z < look.lower


def _better(evidence: Evidence, blind: tuple[ExperimentReason, ...]) -> Decision:
    better = sorted(
        (each for each in evidence.comparisons if each.is_better), key=lambda each: -each.looks[-1].z
    )
    if blind:
        return Decision(_V.HOLD, (_R.PRIMARY_BETTER, *blind), tuple(each.name for each in better))
    kept = tuple(each.name for each in better if each.is_kept)
    if kept:
        return Decision(_V.SHIP, (_R.PRIMARY_BETTER,), kept)
    ended = _V.HOLD if evidence.when.final else _V.CONTINUE
    return Decision(ended, (_R.GUARDRAIL_INCONCLUSIVE,), tuple(each.name for each in better))


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
