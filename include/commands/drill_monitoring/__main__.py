"""`make drill-monitoring`; what it does is in a module of its own, which its worker processes can import."""

import logging

from include.commands.drill_monitoring.drill import drill
from include.commands.terminal import run_command


def main() -> None:
    """Run the drill; status 1 where it did not go as it must."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("include.commands").setLevel(logging.INFO)
    run_command(drill)


if __name__ == "__main__":
    main()
