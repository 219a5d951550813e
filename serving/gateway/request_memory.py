"""The window of answers by `request_id` of one gateway: made, and filled with what the log's tail tells."""

from datetime import timedelta
from logging import getLogger
from time import monotonic

from include.adapters.request_tail import request_tail
from include.config.settings import Settings
from serving.gateway.dataplane import Dataplane
from serving.gateway.parts import Part, is_final
from serving.gateway.request_claims import RequestClaims
from serving.gateway.request_window import RequestWindow
from serving.gateway.shared_state import SharedState

TAIL_SECONDS = 5.0
"""Longest a start reads the log for requests that may be repeated."""

_log = getLogger(__name__)


def request_window(settings: Settings, shared: SharedState | None = None) -> RequestWindow[Part]:
    """Return an empty window of answers by `request_id`."""
    claims = None if shared is None else RequestClaims(shared)
    return RequestWindow(settings.request_window, settings.request_window_seconds, is_final, claims)


def remember_requests(settings: Settings, dataplane: Dataplane) -> None:
    """Fill the window from the log's tail: a repeat gets what was logged before this process."""
    started = monotonic()
    since = dataplane.backends.clock() - timedelta(seconds=settings.request_window_seconds)
    folder, most = settings.predictions_folder, settings.request_window
    count = dataplane.restore(request_tail(folder, since, most=most, seconds=TAIL_SECONDS))
    fields = {"requests": count, "seconds": round(monotonic() - started, 3)}
    _log.info("requests remembered", extra={"fields": fields})
