"""`make rollback MODEL=… TO=… REASON=…`: back to an earlier version, with Airflow down if need be."""

import sys
from contextlib import closing

from include.adapters.ledger.ledger import Ledger
from include.adapters.triton_control import every_triton
from include.commands.terminal import run_command, user_name
from include.config.settings import settings
from include.contracts.errors import PlatformError
from include.rollout.rollback import PREVIOUS, roll_back


def main() -> None:
    """Roll back as the command line says."""
    run_command(lambda: print(rollback(*[*sys.argv[1:], "", "", ""][:3])))


def rollback(model: str, to: str, reason: str) -> str:
    """Switch the route and return what was done.

    Args:
        model: the model's name.
        to: a semantic version; empty means the previous champion.
        reason: goes to the ledger with the name of the user who ran the command.

    Raises:
        PlatformError: no model is named.
    """
    if not model:
        raise PlatformError("usage: make rollback MODEL=<model> [TO=<version>] [REASON='<why>']")
    with closing(Ledger(settings().ledger_uri)) as ledger:
        route = roll_back(
            settings(),
            ledger,
            every_triton(settings()),
            model,
            actor=user_name(),
            reason=reason or "by command",
            to=to or PREVIOUS,
        )
    return f"{model} is served by {route.champion.version}; gateways follow within a second, MLflow later"


if __name__ == "__main__":
    main()
