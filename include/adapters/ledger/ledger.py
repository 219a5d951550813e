"""The ledger: its state is the truth, and a hash-chained event tells of every change of it.

| subject | module |
|---|---|
| versions | versions.py |
| releases | releases.py |
| experiments | experiments.py, experiment_rows.py |
| leases of both | leases.py |
| approvals | approvals.py |
| routes and their snapshots | routes.py |
| retired models and versions | retirement.py |
| API keys | keys.py |
| retrain requests | retraining.py |
| alerts, and who was told of them | alerts.py, deliveries.py |
| erasures | erasures.py |
| what people asked for on pages | actions.py |
| what happened, for people | history.py |
| transactions, the proof | journal.py, chain.py, state.py |
| tables, migrations | tables.py, migrate.py |
"""

from datetime import datetime

from sqlalchemy import select

from include.adapters.ledger.actions import ActionLedger
from include.adapters.ledger.alerts import AlertLedger
from include.adapters.ledger.approvals import ApprovalLedger
from include.adapters.ledger.chain import StoredEvent
from include.adapters.ledger.deliveries import DeliveryLedger
from include.adapters.ledger.erasures import ErasureLedger
from include.adapters.ledger.experiments import ExperimentLedger
from include.adapters.ledger.history import HistoryLedger
from include.adapters.ledger.keys import KeyLedger
from include.adapters.ledger.releases import ReleaseLedger
from include.adapters.ledger.retirement import RetirementLedger
from include.adapters.ledger.retraining import RetrainLedger
from include.adapters.ledger.routes import RouteLedger
from include.adapters.ledger.tables import events
from include.adapters.ledger.versions import VersionLedger
from include.contracts.events import EventKind, LedgerEvent
from include.contracts.packages import Version


class Ledger(
    VersionLedger,
    ReleaseLedger,
    ApprovalLedger,
    RouteLedger,
    RetirementLedger,
    KeyLedger,
    RetrainLedger,
    AlertLedger,
    ErasureLedger,
    DeliveryLedger,
    ExperimentLedger,
    ActionLedger,
    HistoryLedger,
):
    """Writer and reader of the whole ledger.

    Each mutating method appends its event in the transaction of its change. `migrate.upgrade` makes the
    tables; nothing here does.

    Args:
        url: SQLAlchemy URL, of SQLite or PostgreSQL.
        clock: wall time, aware UTC.
    """

    def champion(self, model: str) -> Version | None:
        """Return the version that serves as champion; None before the first release."""
        route = self.route(model)
        return None if route is None else self.version(model, route.champion.version)

    def champion_version(self, model: str) -> str | None:
        """Return the semantic version that serves as champion; None before the first release."""
        route = self.route(model)
        return None if route is None else route.champion.version

    def served_since(self, model: str) -> datetime | None:
        """Return when a model was first given a route, wall time; None where it never was."""
        changes = self.events(model, EventKind.ROUTE_CHANGED, limit=1)
        return changes[0].recorded_at if changes else None

    def events(
        self, model: str | None = None, kind: EventKind | None = None, after: int = 0, limit: int = 1_000
    ) -> tuple[LedgerEvent, ...]:
        """Return events after a sequence number, oldest first, at most `limit` of them."""
        query = select(events).where(events.c.sequence > after).order_by(events.c.sequence).limit(limit)
        if model is not None:
            query = query.where(events.c.model == model)
        if kind is not None:
            query = query.where(events.c.kind == kind.value)
        with self._reading() as connection:
            return tuple(StoredEvent(**row).parsed() for row in connection.execute(query).mappings())
