from datetime import UTC, datetime, timedelta

import pytest

from include.contracts.alerts import Alert, AlertContent
from include.contracts.bulletins import Change, change_since, retry_after

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CONTENT = AlertContent(kind="feature_drift", subject="visits", model="churn", message="drifted")


def alert_with(**moments: int) -> Alert:
    """Return an alert to which things happened so many minutes after noon."""
    happened = {f"{name}_at": NOON + minutes * MINUTE for name, minutes in moments.items()}
    return Alert.model_validate({"alert_id": "alert-1", "content": CONTENT, "raised_at": NOON, **happened})


@pytest.mark.parametrize(
    ("moments", "told", "change"),
    [
        ({}, None, Change.RAISED),
        ({}, 0, None),
        ({"resolved": 5}, None, Change.PASSED),
        ({"resolved": 5}, 0, Change.RESOLVED),
        ({"resolved": 5}, 5, None),
        ({"acknowledged": 3}, 0, Change.ACKNOWLEDGED),
        ({"acknowledged": 3}, None, Change.RAISED),
        ({"acknowledged": 3, "escalated": 4}, 3, Change.ESCALATED),
        ({"escalated": 3, "acknowledged": 4}, 3, Change.ACKNOWLEDGED),
        ({"escalated": 3, "acknowledged": 4, "resolved": 9}, 3, Change.RESOLVED),
    ],
)
def test_what_is_new(moments, told, change):
    """The gravest of what happened since; several changes become one."""
    assert change is change_since(alert_with(**moments), None if told is None else NOON + told * MINUTE)


def test_retries_come_later_and_later():
    """A minute, two, four, up to an hour, however long it goes on."""
    waits = [retry_after(attempts) / MINUTE for attempts in (1, 2, 3, 6, 7, 10_000)]
    assert [1, 2, 4, 32, 60, 60] == waits
