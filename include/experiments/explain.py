"""A verdict in a sentence, for whoever has to act on it."""

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
    experiment: Experiment, decision: Decision, counts: Counts | None = None, look: Look | None = None
) -> str:
    """Return why, by which figures, and what is to be done."""
    why = "; ".join(_REASONS[reason] for reason in decision.reasons)
    parts = [f"{why[0].upper()}{why[1:]}."]
    if look is not None:
        parts.append(
            f"Look {look.number} at {look.fraction:.0%} of the information: z {look.z:.2f} against "
            f"{look.upper:.2f}, difference {look.estimate:+.4g} [{look.low:.4g}, {look.high:.4g}]."
        )
    if counts is not None:
        parts.append(f"{counts.units:,} units, {counts.matured:,} of them matured.")
    todo = _TO_DO[decision.verdict]
    versions = {"treatment": experiment.treatment_version, "control": experiment.control_version}
    return " ".join([*parts, todo.format(**versions)])
