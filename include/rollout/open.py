"""Opening a release: everything later steps need is copied into the ledger now."""

from include.adapters.ledger.ledger import Ledger
from include.contracts.errors import ConflictError, RegistryError
from include.contracts.model import ModelContract
from include.contracts.releases import Release
from include.contracts.reports import Assessment
from include.rollout.approval import may_approve
from include.rollout.bounds import OBJECTIVE, accepted
from include.rollout.plan import check_plan, resolved_plan


def open_release(
    ledger: Ledger,
    contract: ModelContract,
    version: str,
    *,
    release_id: str,
    triggered_by: str,
    assessment: Assessment,
) -> Release:
    """Open a release of a version; opened again under the same id, it is the same release.

    Args:
        ledger: where it is written.
        contract: its rollout plan, gates and approvers are copied.
        version: semantic version to be released.
        release_id: id of the release, such as one derived from the run that asks for it; salt of the ramp.
        triggered_by: user name, or `system`.
        assessment: the report that approvers are to be shown, and the champion it compares with.

    Raises:
        RegistryError: the version is unknown or serves already.
        ConflictError: the champion is no longer the one the report compares with.
        ContractError: the plan cannot be carried out, or nobody is left to approve.
        LeaseError: another release or experiment of the model is open.
    """
    row = ledger.known_version(contract.name, version)
    earlier = ledger.release(release_id)
    if earlier is not None and earlier.artefact_sha256 == row.artefact_sha256:
        return earlier
    champion = ledger.champion_version(contract.name)
    if champion == version:
        raise RegistryError(f"{contract.name} {version} is the champion already; there is nothing to release")
    if champion != assessment.champion_version:
        raise ConflictError(
            f"{contract.name} {version} was evaluated against champion {assessment.champion_version}, "
            f"which is now {champion}; run this again, it is evaluated anew"
        )
    check_plan(contract)
    approvers = may_approve(
        contract.approvers.users, row.requested_by, triggered_by, contract.approvers.quorum
    )
    return ledger.open_release(
        release_id=release_id,
        model=contract.name,
        version=version,
        champion_version=champion,
        artefact_sha256=row.artefact_sha256,
        evaluation_uri=assessment.evaluation_uri,
        contract_sha256=contract.sha256,
        plan=resolved_plan(contract.rollout, contract.task),
        thresholds=thresholds(contract),
        approvers=approvers,
        quorum=contract.approvers.quorum,
        requested_by=row.requested_by,
        triggered_by=triggered_by,
    )


def thresholds(contract: ModelContract) -> dict[str, float]:
    """Return the figures of gates and objectives by name, such as `roc_auc.minimum`."""
    gates = contract.gates
    bounds = {
        f"{item.metric.value}.{side}": bound
        for item in gates.thresholds
        for side, bound in (("minimum", item.minimum), ("maximum", item.maximum))
        if bound is not None
    }
    return {
        **bounds,
        **{f"{OBJECTIVE}{name}": bound for name, bound in accepted(contract.objectives).items()},
        f"baseline.{gates.baseline.metric.value}.margin": gates.baseline.margin,
        f"champion.{gates.champion.metric.value}.tolerance": gates.champion.tolerance,
    }
