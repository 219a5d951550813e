"""`make abandon MODEL=… REASON=…`: end a release that is open, so that another may be opened."""

import sys

from include.adapters.ledger.ledger import Ledger
from include.commands.terminal import run_command, user_name
from include.config.settings import settings
from include.contracts.errors import PlatformError


def main() -> None:
    """Abandon as the command line says."""
    run_command(lambda: print(abandon(*[*sys.argv[1:], "", ""][:2])))


def abandon(model: str, reason: str) -> str:
    """End the model's open release and return what was done.

    Args:
        model: the model's name.
        reason: goes to the ledger with the name of the user who ran the command.

    Raises:
        PlatformError: model or reason is missing.
        LedgerError: the model has no open release.
    """
    if not model or not reason:
        raise PlatformError("usage: make abandon MODEL=<model> REASON='<why>'")
    release = Ledger(settings().ledger_uri).abandon(model, actor=user_name(), reason=reason)
    return f"{release.release_id} is abandoned; {model} may be released again"


if __name__ == "__main__":
    main()
