"""What every command does with errors and interruptions."""

import getpass
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from include.contracts.errors import NinetyError, PlatformError


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


def moment_of(text: str, otherwise: datetime) -> datetime:
    """Return the moment a person wrote: a day is its midnight, and without a zone it is UTC.

    Args:
        text: ISO 8601, or nothing.
        otherwise: what nothing stands for.

    Raises:
        PlatformError: the text is no moment.
    """
    if not text:
        return otherwise
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise PlatformError(
            f"{text!r} is no day or moment; write 2017-11-01 or 2017-11-01T00:00:00Z"
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def run_command(command: Callable[[], None]) -> None:
    """Run a command; an error of ours is printed as its message and ends with status 1."""
    try:
        command()
    except NinetyError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
