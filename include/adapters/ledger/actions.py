"""What people asked for on the operators' pages."""

from include.adapters.ledger.journal import Journal
from include.contracts.actions import AskedAction
from include.contracts.events import EventKind


class ActionLedger(Journal):
    """Writes wishes down; what came of them is told by the events of what was changed."""

    def record_action(self, asked: AskedAction, actor: str) -> int:
        """Write down who asked for what, and why; returns the event's sequence number."""
        with self._writing() as transaction:
            return transaction.append(
                EventKind.ACTION_ASKED,
                model=asked.model,
                subject=f"{asked.dag_id}:{asked.run_id}",
                actor=actor,
                payload=asked.model_dump(mode="json"),
            )
