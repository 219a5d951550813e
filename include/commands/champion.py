"""The version in production, for commands that also run where the platform never did."""

from contextlib import closing

from include.adapters.ledger.ledger import Ledger
from include.config.settings import Settings
from include.contracts.errors import LedgerError
from include.contracts.packages import Version


def known_champion(settings: Settings, model: str) -> Version | None:
    """Return a model's version in production; None, too, where this machine has no ledger.

    Raises:
        LedgerError: the ledger that `NINETY_LEDGER_URL` names cannot be read.
    """
    try:
        with closing(Ledger(settings.ledger_uri)) as ledger:
            return ledger.champion(model)
    except LedgerError:
        if settings.ledger_url:
            raise
        return None
