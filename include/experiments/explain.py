"""A verdict in a sentence, for whoever has to act on it."""

from collections.abc import Mapping
from types import MappingProxyType

from include.contracts.experiment_results import Counts, ExperimentReason, ExperimentVerdict, Look
from include.contracts.experiments import Experiment
from include.experiments.decide import Decision

_R = ExperimentReason
_REASONS = {
    _R.PLAN_CHANGED: "the file differs from what was hashed into the ledger at the start",
    _R.PLAN_MISSING: "the file is gone or cannot be read, so nobody can say what was promised",
    _R.SAMPLE_RATIO_MISMATCH: "units did not fall to the arms in the planned shares: something loses or adds "
    "them by arm, and every metric is biased",
    _R.ASSIGNMENT_INCONSISTENT: "rows contradict the assignment of their unit",
    _R.GUARDRAIL_BREACHED: "harm beyond a margin is shown",
    _R.PRIMARY_WORSE: "the primary metric crossed its bound in the wrong direction",
    _R.PRIMARY_BETTER: "the primary metric crossed its bound",
    _R.GUARDRAIL_INCONCLUSIVE: "the primary metric crossed its bound, but harm within the margins is not "
    "ruled out by every guardrail",
    _R.FUTILE: "the planned effect is unlikely to be found any more",
    _R.INCONCLUSIVE: "the last look was taken, and no bound was crossed",
    _R.MISSING_DATA: "too many matured units lack a label",
    _R.MISSING_DIFFERS: "labels are missing more often in one arm",
    _R.NO_EXPOSURES: "nobody was exposed",
    _R.LOOK_NOT_DUE: "the next planned look has not been reached",
    _R.NO_NEW_INFORMATION: "hardly a unit has matured since the last look, so it would be the same look",
    _R.TOO_FEW_EVENTS: "there are too few events for a statistic",
    _R.NOT_SIGNIFICANT: "a look was taken, and no bound was crossed",
}
_TO_DO = {
    ExperimentVerdict.SHIP: "Stop it and release {treatment}.",
    ExperimentVerdict.ROLLBACK: "All traffic goes back to {control}.",
    ExperimentVerdict.CONTINUE: "It goes on.",
    ExperimentVerdict.HOLD: "A person decides.",
    ExperimentVerdict.INVALID: "Nothing it says may be used; stop it and find out why.",
}


def explained(
    experiment: Experiment,
    decision: Decision,
    counts: Counts | None = None,
    looks: Mapping[str, Look] = MappingProxyType({}),
) -> str:
    """Return why, by which figures, and what is to be done.

    Args:
        experiment: which.
        decision: about it.
        counts: what was read.
        looks: that were taken, by the treatment's name in the plan.
    """
    why = "; ".join(_REASONS[reason] for reason in decision.reasons)
    several = len(experiment.treatments) > 1
    about = f" ({', '.join(decision.about)})" if several and decision.about else ""
    parts = [f"{why[0].upper()}{why[1:]}{about}."]
    for name, look in looks.items():
        parts.append(
            f"{f'{name}, look' if several else 'Look'} {look.number} at {look.fraction:.0%} of the "
            f"information: z {look.z:.2f} against {look.upper:.2f}, difference {look.estimate:+.4g} "
            f"[{look.low:.4g}, {look.high:.4g}]."
        )
    if counts is not None:
        parts.append(f"{counts.units:,} units, {counts.matured:,} of them matured.")
    todo = _TO_DO[decision.verdict]
    versions = {"treatment": _shipped(experiment, decision), "control": experiment.control_version}
    return " ".join([*parts, todo.format(**versions)])


def _shipped(experiment: Experiment, decision: Decision) -> str:
    """Return the version that a decision to ship is about first."""
    names = [each.name for each in experiment.plan.treatments]
    place = names.index(decision.about[0]) if decision.about else 0
    return experiment.treatment_versions[place]
