"""`make abandon MODEL=… REASON=…`: end the release or experiment that is open, so that another may be."""

import sys
from contextlib import closing

from include.adapters.ledger.ledger import Ledger
from include.commands.terminal import run_command, user_name
from include.config.settings import settings
from include.contracts.errors import PlatformError
from include.experiments.stop import stop


def main() -> None:
    """Abandon as the command line says."""
    run_command(lambda: print(abandon(*[*sys.argv[1:], "", ""][:2])))


def abandon(model: str, reason: str) -> str:
    """End the model's open release or experiment and return what was done.

    Args:
        model: the model's name.
        reason: goes to the ledger with the name of the user who ran the command.

    Raises:
        PlatformError: model or reason is missing.
        LedgerError: the model has neither.
    """
    if not model or not reason:
        raise PlatformError("usage: make abandon MODEL=<model> REASON='<why>'")
    with closing(Ledger(settings().ledger_uri)) as ledger:
        experiment = ledger.open_experiment_of(model)
        if experiment is not None:
            stop(ledger, experiment, actor=user_name(), reason=reason)
            return f"{experiment.experiment_id} is stopped; {model} may be released again"
        release = ledger.abandon(model, actor=user_name(), reason=reason)
    return f"{release.release_id} is abandoned; {model} may be released again"


if __name__ == "__main__":
    main()
