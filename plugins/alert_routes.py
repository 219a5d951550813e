"""The ways alerts go out by: Airflow's own connections to Slack and PagerDuty, where they are configured."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from include.adapters.pagerduty_event import is_paged, pagerduty_event
from include.adapters.slack_message import slack_message
from include.contracts.alerts import Alert
from include.contracts.bulletins import Bulletin, Sites, Target
from include.contracts.errors import AlertRouteError

SLACK = "alerts_slack"
"""Connection of type `slack` (a bot's token, any channel) or `slackwebhook` (the hook's own channel)."""
PAGERDUTY = "alerts_pagerduty"
"""Connection of type `pagerduty_events`: the integration's key as password, a host for another region."""
TIMEOUT_SECONDS = 10
_HIDDEN = "***"


class SlackRoute:
    """Messages in the contract's channel, or the connection's `channel`; follow-ups in the thread."""

    name = "slack"

    def __init__(self, connection: Connection, sites: Sites) -> None:
        self._connection = connection
        self._sites = sites

    def wants(self, alert: Alert, target: Target) -> bool:  # noqa: ARG002 - part of the protocol
        """Say yes: a channel hears of everything."""
        return True

    def send(self, bulletin: Bulletin) -> str | None:
        """Post a message; returns channel and timestamp, by which Slack knows it."""
        from airflow.providers.slack.hooks.slack import SlackHook

        channel = bulletin.target.slack_channel or self._connection.extra_dejson.get("channel")
        if not channel:
            raise AlertRouteError(
                f"neither the contract nor the connection {SLACK!r} names a channel: set its extra "
                '{"channel": "#alerts"}'
            )
        message = {"channel": channel, **slack_message(bulletin, self._sites), **_thread(bulletin)}
        with _refusals(self._connection):
            hook = SlackHook(slack_conn_id=SLACK, timeout=TIMEOUT_SECONDS)
            answer = hook.call("chat.postMessage", json=message)
        return f"{answer['channel']} {answer['ts']}"


class SlackWebhookRoute(SlackRoute):
    """Messages in the one channel of an incoming webhook, each by itself."""

    def send(self, bulletin: Bulletin) -> None:
        """Post a message."""
        from airflow.providers.slack.hooks.slack_webhook import SlackWebhookHook

        with _refusals(self._connection):
            hook = SlackWebhookHook(slack_webhook_conn_id=SLACK, timeout=TIMEOUT_SECONDS)
            hook.send_dict(slack_message(bulletin, self._sites))


class PagerdutyRoute:
    """One incident for each kind of trouble of a model."""

    name = "pagerduty"

    def __init__(self, connection: Connection, sites: Sites) -> None:
        self._connection = connection
        self._sites = sites

    def wants(self, alert: Alert, target: Target) -> bool:
        """Say whether somebody is to be called."""
        return is_paged(alert, target)

    def send(self, bulletin: Bulletin) -> str | None:
        """Open, acknowledge or resolve the group's incident; returns its key."""
        from airflow.providers.pagerduty.hooks.pagerduty_events import (
            PagerdutyEventsHook,
            prepare_event_data,
        )
        from pagerduty import EventsApiV2Client

        event = pagerduty_event(bulletin, self._sites)
        if event is None:
            return None
        with _refusals(self._connection):
            key = PagerdutyEventsHook(pagerduty_events_conn_id=PAGERDUTY).integration_key
            # The hook itself knows no other host, and its client would retry for minutes: 429 without end
            # unless it is listed, and then as often as the bound on all retries allows.
            with EventsApiV2Client(key, base_url=self._connection.host or None) as client:
                client.retry, client.max_http_attempts, client.max_network_attempts = {429: 1}, -1, 0
                client.timeout = TIMEOUT_SECONDS
                return client.send_event(**prepare_event_data(**event))


AlertRoute = SlackRoute | PagerdutyRoute


def configured_routes(sites: Sites) -> Sequence[AlertRoute]:
    """Return the routes whose connections exist."""
    found: list[AlertRoute] = []
    if slack := _connection(SLACK):
        made = SlackWebhookRoute if slack.conn_type == "slackwebhook" else SlackRoute
        found.append(made(slack, sites))
    if pagerduty := _connection(PAGERDUTY):
        found.append(PagerdutyRoute(pagerduty, sites))
    return found


def _connection(name: str) -> Connection | None:
    try:
        return BaseHook.get_connection(name)
    except AirflowNotFoundException:
        return None


def _thread(bulletin: Bulletin) -> dict[str, Any]:
    """Return what makes a message a reply: where nothing got worse, the group's first message is answered."""
    receipts = [item.delivery.receipt for item in bulletin.news if item.delivery.receipt]
    if bulletin.is_worse or not receipts:
        return {}
    return {"thread_ts": receipts[0].split()[-1], "reply_broadcast": not bulletin.still_open}


@contextmanager
def _refusals(connection: Connection) -> Iterator[None]:
    """Say that a message was not taken, and why, without the connection's secret."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - three vendors' clients raise what they like
        text = f"{type(error).__name__}: {error}"
        if connection.password:
            text = text.replace(connection.password, _HIDDEN)
        raise AlertRouteError(" ".join(text.split())) from None
