"""`make verify-ledger`: proof that no event was altered, removed or reordered."""

from contextlib import closing

from include.adapters.ledger.ledger import Ledger
from include.commands.terminal import run_command
from include.config.settings import settings


def main() -> None:
    """Verify the chain and print how long it is."""
    run_command(verify)


def verify() -> None:
    """Prove the chain and the state.

    Raises:
        ChainError: one of them was altered.
    """
    with closing(Ledger(settings().ledger_uri)) as ledger:
        print(f"the ledger is whole: {ledger.verify()} events")


if __name__ == "__main__":
    main()
