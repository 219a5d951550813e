"""A gateway in a process of its own, to be killed: everything real but its features, which are in memory.

`python -m tests.faults.gateway_process`, told what it needs by its settings' variables.
"""

from dataclasses import replace
from datetime import UTC, datetime

import uvicorn

from include.config.settings import settings
from serving.gateway.http_server import configuration
from serving.gateway.server import gateway, ledger_of
from tests.serving.gateway.conftest import FRESH, MemoryFeatures

CUSTOMERS = range(1, 9)


def features() -> MemoryFeatures:
    """Return features of today, of a few customers."""
    row = replace(FRESH, timestamps={"customer_spending": datetime.now(UTC)})
    return MemoryFeatures(dict.fromkeys(CUSTOMERS, row))


if __name__ == "__main__":
    current = settings()
    app = gateway(current, features(), ledger_of(current))
    uvicorn.Server(configuration(app, current.host, current.gateway_port)).run()
