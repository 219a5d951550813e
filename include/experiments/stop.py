"""Ending an experiment, and raising its share: both only ever move between what was approved and less."""

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.routes import RouteUpdate
from include.contracts.errors import ExperimentError
from include.contracts.experiments import Experiment, ExperimentState


def stop(
    ledger: Ledger,
    experiment: Experiment,
    *,
    actor: str,
    reason: str,
    state: ExperimentState = ExperimentState.STOPPED,
) -> Experiment:
    """End an experiment: its lease is given back and all its traffic goes to the control.

    Lowering risk needs no approval, only a reason. One that has ended is returned as it is.

    Raises:
        LedgerError: no reason is given.
        ConflictError: it, or the route, was changed meanwhile.
    """
    current = ledger.experiment(experiment.experiment_id) or experiment
    if current.state.is_terminal:
        return current
    found = ledger.route_state(current.model)
    update = None
    if found.route is not None and found.route.change_id == current.experiment_id:
        update = RouteUpdate(found.route.unsplit(), found.revision)
    return ledger.end_experiment(
        current.experiment_id, current.revision, state, actor=actor, reason=reason, route=update
    )


def advance(ledger: Ledger, experiment: Experiment, *, actor: str) -> Experiment:
    """Raise the treatments' shares to the next ones of the plan's ramp.

    Raises:
        ExperimentError: it has its final share, has ended, or its traffic was taken away.
        ConflictError: it, or the route, was changed meanwhile.
    """
    later = [share for share in experiment.plan.shares if share > experiment.share]
    if experiment.state.is_terminal or not later:
        why = (
            experiment.state.value
            if experiment.state.is_terminal
            else f"at its final share, {experiment.share:g}"
        )
        raise ExperimentError(f"{experiment.experiment_id} is {why}")
    found = ledger.route_state(experiment.model)
    if found.route is None or found.route.change_id != experiment.experiment_id:
        raise ExperimentError(f"{experiment.experiment_id}: its traffic was taken away; stop it")
    _, *slots = experiment.plan.slots(later[0])
    further = tuple(
        each.model_copy(update={"share": slot.share})
        for each, slot in zip(found.route.further, slots, strict=True)
    )
    route = found.route.model_copy(update={"share": later[0], "further": further})
    return ledger.advance_experiment(
        experiment.experiment_id,
        experiment.revision,
        later[0],
        actor=actor,
        route=RouteUpdate(route, found.revision),
    )
