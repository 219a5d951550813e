"""Runs the gateway: one process, stopped with SIGTERM, which lets requests in flight finish."""

import uvicorn

from include.adapters.online_features import OnlineFeatures
from include.config.settings import settings
from serving.gateway.logs import configure_logging
from serving.gateway.server import gateway, ledger_of

DRAIN_SECONDS = 10
BACKLOG = 4096


def main() -> None:
    """Serve until told to stop."""
    configure_logging()
    current = settings()
    uvicorn.run(
        gateway(current, OnlineFeatures(current), ledger_of(current)),
        host=current.host,
        port=current.gateway_port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        backlog=BACKLOG,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


if __name__ == "__main__":
    main()
