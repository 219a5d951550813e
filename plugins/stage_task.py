"""What the tasks of our DAGs share: errors meant for the reader, and the moment a run speaks about."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any

from airflow.sdk import Param, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from include.contracts.errors import NinetyError
from include.contracts.events import SYSTEM

AS_OF = Param(None, type=["null", "string"], format="date-time", description="If not the logical date")
"""Parameter of a run: the moment it speaks about, `as_of`."""


def readable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a task's callable fail at once, with the message and no retry, on an error of ours.

    Retries are for what may pass (a restarted server); a missing column or a failed gate does not.
    """

    @wraps(function)
    def run(*args: object, **kwargs: object) -> object:
        try:
            return function(*args, **kwargs)
        except NinetyError as error:
            raise AirflowFailException(f"{type(error).__name__}: {error}") from None

    return run


def stage_task(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a task of a function, with errors for the reader."""
    return task(readable(function))


def as_of() -> datetime:
    """Return the run's moment: `as_of` of its conf, else its logical date.

    Raises:
        AirflowFailException: the run has neither, or `as_of` is not an aware ISO 8601 moment.
    """
    context = get_current_context()
    given = context["params"].get("as_of")
    moment = datetime.fromisoformat(given) if given else context["dag_run"].logical_date
    if moment is None:
        raise AirflowFailException(
            'this run has no logical date: give {"as_of": "2017-11-01T00:00:00Z"} in its conf'
        )
    if moment.tzinfo is None:
        raise AirflowFailException(f"as_of {given!r} has no time zone; write it as 2017-11-01T00:00:00Z")
    return moment.astimezone(UTC)


def asked_at() -> datetime:
    """Return when this run was asked for, or fell due."""
    moment: datetime = get_current_context()["dag_run"].run_after
    return moment.astimezone(UTC)


def requested_by() -> str:
    """Return who asked for this run: its trigger-er; for a run of the system, the name in its conf, if any.

    A person cannot ask in another's name: that would let them approve their own request.
    """
    trigger = triggered_by()
    if trigger != SYSTEM:
        return trigger
    return get_current_context()["params"].get("requested_by") or SYSTEM


def triggered_by() -> str:
    """Return the user who triggered this run; scheduled runs are `system`."""
    return get_current_context()["dag_run"].triggering_user_name or SYSTEM
