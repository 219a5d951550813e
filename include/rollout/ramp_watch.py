"""Watching a place of a ramp: does anything have to be done about it? Reads only; doing it is a step's."""

from include.adapters.ledger.ledger import Ledger
from include.config.models import model_folder
from include.config.settings import Settings
from include.contracts.errors import ContractError
from include.contracts.monitoring import Monitoring
from include.contracts.ramps import RampVerdict
from include.rollout.approval import existing_release
from include.rollout.bounds import bounds_of
from include.rollout.decide import decide
from include.rollout.ramp_evidence import RampEvidence

CHANGED = "changed"
"""The release moved: somebody paused it, resumed it, or ended it."""


class RampWatch:
    """Looks at a release as it was seen at a revision.

    Args:
        settings: where everything lies.
        release_id: which.
        revision: how it was seen last.
    """

    def __init__(self, settings: Settings, release_id: str, revision: int) -> None:
        self._ledger = Ledger(settings.ledger_uri)
        self._release_id = release_id
        self._revision = revision
        model = existing_release(self._ledger, release_id).model
        self._evidence = RampEvidence(settings, self._ledger, _monitoring(settings, model))

    def look(self) -> str | None:
        """Return why a step is due, `changed` or a verdict; None while there is nothing but to wait.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        release = existing_release(self._ledger, self._release_id)
        if release.revision != self._revision or release.ramp is None:
            return CHANGED
        now = self._ledger.now()
        found = self._evidence.of(release, now)
        verdict = decide(release.plan, release.ramp, found, bounds_of(release), now).verdict
        return None if verdict is RampVerdict.WAIT else verdict.value

    def close(self) -> None:
        """Close all connections."""
        self._ledger.close()


def _monitoring(settings: Settings, model: str) -> Monitoring:
    """Return what must be awake; a contract that broke meanwhile names nothing, and the step will say so."""
    try:
        return model_folder(settings.model_folders, model).contract.monitoring
    except ContractError:
        return Monitoring()
