"""What every command does with errors and interruptions."""

import getpass
import os
import signal
import sys
from collections.abc import Callable

from include.contracts.errors import NinetyError


def end_on_signals() -> None:
    """Treat a request to end, or a closed terminal, like Ctrl-C: what was started is stopped."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def user_name() -> str:
    """Return who types: the user's name, or the number of a user without one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def run_command(command: Callable[[], None]) -> None:
    """Run a command; an error of ours is printed as its message and ends with status 1."""
    try:
        command()
    except NinetyError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
