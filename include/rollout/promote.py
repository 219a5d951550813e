"""Promotion: the end of a release that went well."""

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.routes import RouteUpdate
from include.contracts.ramps import Ramp, RampDecision
from include.contracts.releases import Release, ReleaseStage


def promote(
    ledger: Ledger,
    release: Release,
    actor: str,
    reason: str | None = None,
    *,
    ramp: Ramp | None = None,
    decision: RampDecision | None = None,
) -> Release:
    """End a release that has all traffic; run again, it changes nothing.

    Where its plan had a bake, which is over now, the champion before it need not stay warm any longer: it
    leaves the route, and reconciling unloads it. Without a bake it stays until the next release.

    Raises:
        LedgerError: the release does not have all traffic.
        ConflictError: somebody moved it, or the route, meanwhile.
    """
    if release.stage is ReleaseStage.PROMOTED:
        return release
    state = ledger.route_state(release.model)
    alone = None
    if release.plan.bake and state.route is not None and state.route.previous is not None:
        alone = RouteUpdate(state.route.model_copy(update={"previous": None}), state.revision)
    return ledger.advance_release(
        release.release_id,
        release.revision,
        ReleaseStage.PROMOTED,
        actor=actor,
        reason=reason,
        route=alone,
        ramp=ramp,
        decision=decision,
    )
