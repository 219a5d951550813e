"""Promotion: the end of a release that went well."""

from include.adapters.ledger.ledger import Ledger
from include.contracts.releases import Release, ReleaseStage


def promote(ledger: Ledger, release: Release, actor: str, reason: str | None = None) -> Release:
    """End a release that has all traffic; run again, it changes nothing.

    Raises:
        LedgerError: the release does not have all traffic.
        ConflictError: somebody moved it meanwhile.
    """
    if release.stage is ReleaseStage.PROMOTED:
        return release
    return ledger.advance_release(
        release.release_id, release.revision, ReleaseStage.PROMOTED, actor=actor, reason=reason
    )
