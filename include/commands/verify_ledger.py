"""`make verify-ledger`: proof that no event was altered, removed or reordered."""

from include.adapters.ledger.ledger import Ledger
from include.commands.terminal import run_command
from include.config.settings import settings


def main() -> None:
    """Verify the chain and print how long it is."""
    run_command(lambda: print(f"the ledger is whole: {Ledger(settings().ledger_uri).verify()} events"))


if __name__ == "__main__":
    main()
