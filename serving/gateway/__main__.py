"""Runs the gateway: one process, stopped with SIGTERM, which lets requests in flight finish."""

from functools import partial

import uvicorn

from include.config.settings import Settings, settings
from serving.gateway.logs import configure_logging
from serving.gateway.ports import FeatureReader
from serving.gateway.server import gateway, ledger_of

DRAIN_SECONDS = 10
BACKLOG = 4096


def main() -> None:
    """Serve until told to stop."""
    configure_logging()
    current = settings()
    uvicorn.run(
        gateway(current, partial(online_features, current), ledger_of(current)),
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


def online_features(current: Settings) -> FeatureReader:
    """Return the online store; importing its client takes seconds, so that nothing waits for it."""
    from include.adapters.online_features import OnlineFeatures  # noqa: PLC0415

    return OnlineFeatures(current)


if __name__ == "__main__":
    main()
