"""What every command does with errors and interruptions."""

import sys
from collections.abc import Callable

from include.contracts.errors import NinetyError


def run_command(command: Callable[[], None]) -> None:
    """Run a command; an error of ours is printed as its message and ends with status 1."""
    try:
        command()
    except NinetyError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
