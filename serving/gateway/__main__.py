"""Runs the gateway: one process, stopped with SIGTERM, which lets requests in flight finish."""

import gc
import resource
import sys

from include.adapters.online_features import OnlineFeatures
from include.config.settings import settings
from serving.gateway.drain import DrainingServer, bound_socket
from serving.gateway.http_server import configuration
from serving.gateway.logs import configure_logging
from serving.gateway.server import gateway, ledger_of

_YOUNG_OBJECTS = 20_000
"""Allocations between two collections of the youngest objects; most of a batch's are gone by then."""

_SWITCH_SECONDS = 0.0005
"""Longest a thread that has synced the log waits for Python's lock; answers wait for it."""


def main() -> None:
    """Serve until told to stop."""
    configure_logging()
    allow_connections()
    current = settings()
    app = gateway(current, OnlineFeatures(current), ledger_of(current))
    sys.setswitchinterval(_SWITCH_SECONDS)
    # What is there now stays: it need not be walked through while requests wait.
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 50, 50)
    listener = bound_socket(current.host, current.gateway_port, shared=current.gateway_shared_port)
    configured = configuration(app, current.host, current.gateway_port)
    DrainingServer(configured, app.drain, current.drain_seconds).run([listener])


def allow_connections() -> None:
    """Let the process have as many files open as it may: each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    main()
