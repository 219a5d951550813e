"""What is prepared before anything is measured: features online, two versions, a ledger, a key."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.commands.bench_gateway.fresh_data import Customer, bring_online, compute, moved_purchases
from include.commands.bench_gateway.versions import register_untrained
from include.commands.processes import refuse_second_start
from include.commands.services import free_port
from include.config.models import ModelFolder, model_folder
from include.config.settings import Settings
from include.config.transforms import load_transform, run_transform
from include.contracts.events import SYSTEM
from include.contracts.keys import Verb
from include.contracts.packages import Manifest, Version
from include.contracts.predictions import FeatureValue

MODEL = "churn"
CHAMPION, CHALLENGER = "1.0.0", "1.1.0"
RATE = 1_000_000
"""Requests a second the key may send: its bucket is kept, and never empty."""


@dataclass(frozen=True)
class Stack:
    """What was prepared; nothing of it runs."""

    settings: Settings
    day: date
    """The day whose features are online."""
    customers: tuple[Customer, ...]
    versions: Mapping[str, tuple[Manifest, Version]]
    key: str

    @cached_property
    def folder(self) -> ModelFolder:
        """The model's folder."""
        return model_folder(self.settings.model_folders, MODEL)

    def rows(self, customers: Sequence[Customer], moment: datetime) -> list[dict[str, FeatureValue]]:
        """Return what the model is given for customers at a moment: transforms are computed."""
        return model_rows(self.folder, customers, moment)


def prepare(settings: Settings) -> Stack:
    """Build everything anew under the settings' home: features, versions, ledger, key; nothing runs yet."""
    refuse_second_start(settings)
    shutil.rmtree(settings.home, ignore_errors=True)
    today = datetime.now(UTC).date()
    local = settings.model_copy(update={"sources": {"purchases": str(moved_purchases(settings, today))}})
    compute(local, today)
    folder = model_folder(local.model_folders, MODEL)
    customers = bring_online(local, folder.contract, today)
    upgrade(local.ledger_uri)
    ledger = Ledger(local.ledger_uri)
    rows = model_rows(folder, customers, datetime.now(UTC))
    versions = {
        version: register_untrained(local, ledger, folder, rows, version=version, seed=seed)
        for seed, version in enumerate((CHAMPION, CHALLENGER), start=1)
    }
    verbs = (Verb.PREDICT, Verb.INFER, Verb.READ)
    _, key = ledger.issue_key("benchmark", [MODEL], verbs, SYSTEM, rate_per_second=RATE)
    ledger.close()
    return Stack(local, today, customers, versions, key)


def own_settings(settings: Settings) -> Settings:
    """Return settings with a home and free ports of the benchmark's own."""
    ports = {name: free_port() for name in ("gateway_port", "triton_grpc_port", "triton_metrics_port")}
    changes = {"home": settings.home / "bench-gateway", "ledger_url": "", "replay": False}
    return settings.model_copy(update=changes | ports)


def model_rows(
    folder: ModelFolder, customers: Sequence[Customer], moment: datetime
) -> list[dict[str, FeatureValue]]:
    """Return the features of customers with those computed at a moment."""
    rows = [dict(customer.features) for customer in customers]
    for item in folder.contract.signature.transformed:
        transform = load_transform(str(item.transform), folder.path)
        values = run_transform(transform, item, rows, [moment.timestamp()] * len(rows))
        for row, value in zip(rows, values, strict=True):
            row[item.name] = value
    return rows
