"""How a model's monitors are: what the ledger and the store of measurements know of them."""

from datetime import datetime

from include.adapters.ledger.ledger import Ledger
from include.adapters.measurements import MeasurementStore
from include.contracts.model import ModelContract
from include.contracts.monitor_health import MonitorHealth, judge_health, watched_monitors


def monitor_health(
    ledger: Ledger, store: MeasurementStore, contract: ModelContract, now: datetime, *, replay: bool = False
) -> tuple[MonitorHealth, ...]:
    """Return the health of every monitor of a model that is served; of one that is not, nothing.

    Args:
        ledger: says since when the model is served.
        store: what the monitors recorded.
        contract: says which monitors there are, and when they look.
        now: wall time.
        replay: history is replayed: no DAG has a schedule.
    """
    since = ledger.served_since(contract.name)
    if since is None or ledger.route(contract.name) is None:
        return ()
    return tuple(
        judge_health(watched, store.last_run(contract.name, watched.monitor), since, now)
        for watched in watched_monitors(contract.monitoring, replay=replay)
    )
