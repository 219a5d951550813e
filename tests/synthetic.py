"""A churn-like world made of dice: quick to train on, and its truth is known."""

# ruff: noqa: ARG002 - the tracker takes all that its protocol names

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import yaml

from include.adapters.artefacts import ArtefactStore
from include.adapters.label_store import record_labels
from include.adapters.parquet import content_sha256, parquet_bytes, write_table
from include.config.models import ModelFolder
from include.config.settings import REPOSITORY_ROOT, Settings
from include.contracts.packages import CodeState, Snapshot, Version
from include.contracts.views import TIMESTAMP
from include.features.training_set import freeze_training_set
from include.features.views import load_views, offline_folder
from include.training.train import Request

AS_OF = datetime(2017, 11, 1, tzinfo=UTC)
CODE = CodeState(commit="0" * 40, dirty=False, fingerprint="1" * 64, lock_sha256="2" * 64)
DEMOGRAPHICS = ("age", "income", "household_composition")
CATEGORIES = ("DAIRY", "GROCERY", "MEAT")


def customers(units: int = 250, weeks: int = 36, seed: int = 1) -> pd.DataFrame:
    """Return weekly rows whose chance to churn rises with recency and falls with frequency.

    One number in fifty is missing, and so is one category in fifty. A third of the units told nothing of
    themselves; the others are of age, income and household A or B.
    """
    dice = np.random.default_rng(seed)
    moments = [AS_OF - timedelta(days=14 + 7 * week) for week in range(weeks)]
    rows = units * weeks
    orders = dice.poisson(4, rows) + 1.0
    recency = np.floor(30 * dice.beta(1, orders))
    spend = np.round(orders * dice.lognormal(3, 0.8, rows), 2)
    category = dice.choice(CATEGORIES, rows)
    logit = -0.8 + 0.18 * recency - 0.5 * orders + 1.5 * (category == "MEAT")
    frame = pd.DataFrame(
        {
            "unit": [str(unit) for _ in moments for unit in range(units)],
            "event_at": np.repeat(pd.DatetimeIndex(moments), units),
            "label": (dice.random(rows) < 1 / (1 + np.exp(-logit))).astype(float),
            "total_spend_30d": np.where(dice.random(rows) < 0.02, np.nan, spend),
            "avg_order_value_30d": spend / orders,
            "transaction_count_30d": orders,
            "days_since_last_purchase": recency,
            "preferred_category": np.where(dice.random(rows) < 0.02, None, category),
        }
    )
    told = np.array([None, "A", "B"], object)[np.arange(rows) % units % 3]
    slices = {f"slice:customer_demographics.{name}": told for name in DEMOGRAPHICS}
    return frame.assign(known_at=frame["event_at"] + timedelta(days=14), **slices)


def frozen(store: ArtefactStore, frame: pd.DataFrame, as_of: datetime = AS_OF) -> Snapshot:
    """Put a frame into the store as a training set."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    digest = content_sha256(table)
    uri = f"snapshots/churn/{digest}.parquet"
    store.write(uri, parquet_bytes(table))
    return Snapshot(
        sha256=digest,
        uri=uri,
        rows=len(frame),
        start=frame["event_at"].min(),
        end=frame["event_at"].max() + timedelta(seconds=1),
        feature_service="churn_v1",
        feature_ttl_seconds={"customer_spending": 86_400.0},
        as_of=as_of,
    )


def frozen_by_stage(
    settings: Settings, folder: ModelFolder, frame: pd.DataFrame, champion: Version
) -> Snapshot:
    """Put a frame into label and feature store, and let the platform's own stage freeze it."""
    frame = frame.astype(dict.fromkeys(("event_at", "known_at"), "datetime64[us, UTC]"))
    labels = pa.Table.from_pandas(
        frame[["unit", "event_at", "known_at", "label"]].rename(columns={"label": "value"}),
        preserve_index=False,
    )
    record_labels(settings, "churn", labels, "dice", AS_OF)
    views = load_views(settings)
    for name in ("customer_spending", "customer_demographics"):
        fields = [field.name for field in views[name].definition.fields]
        rows = frame.rename(columns={f"slice:{name}.{field}": field for field in fields})
        rows = rows.reindex(columns=["unit", "event_at", *fields]).rename(columns={"event_at": TIMESTAMP})
        rows.insert(0, "customer_id", rows.pop("unit").astype("int64"))
        for day, part in rows.groupby(TIMESTAMP):
            table = pa.Table.from_pandas(part, preserve_index=False)
            write_table(offline_folder(settings, name) / f"{day.date()}.parquet", table)
    return freeze_training_set(settings, folder.contract, AS_OF, champion)


def request(snapshot: Snapshot) -> Request:
    """Return a scheduled training request."""
    return Request(snapshot, CODE, "system", datetime(2026, 1, 2, tzinfo=UTC))


def churn_folder(place: Path, **changes: Any) -> ModelFolder:
    """Copy churn's folder, its inputs the five made here; `changes` replace contract keys, deep ones too."""
    return shipped_folder(place, "churn", **changes)


def shipped_folder(place: Path, name: str, **changes: Any) -> ModelFolder:
    """Copy the folder of a model that is shipped, as `churn_folder` does churn's."""
    folder = place / name
    source = REPOSITORY_ROOT / "include" / "models" / name
    copytree(source, folder, ignore=ignore_patterns("__pycache__"))
    contract = yaml.safe_load((folder / "contract.yaml").read_text())
    seeds = [item for item in contract["features"]["inputs"] if item.get("view") == "customer_spending"]
    contract["features"]["inputs"] = seeds
    if changes.get("task", contract["task"]) != contract["task"]:
        contract.pop("monitoring", None)  # its metrics are of the task
    small = {"training": {"minimum_rows": 500, "hyperparameters": {"epochs": 6, "patience": 3}}}
    for change in (small, changes):
        _merge(contract, change)
    (folder / "contract.yaml").write_text(yaml.safe_dump(contract))
    return ModelFolder(folder)


def _merge(target: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = value


@dataclass
class Tracker:
    """Experiment tracking in memory: what a run was told, in order."""

    tags: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, object] = field(default_factory=dict)
    steps: list[int] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    ended: str = "running"
    run_id: str = "run1"

    def start_run(self, model: str, name: str, tags: Mapping[str, str]) -> str:
        self.tags = dict(tags)
        return self.run_id

    def log_parameters(self, run_id: str, parameters: Mapping[str, object]) -> None:
        self.parameters |= dict(parameters)

    def log_metrics(self, run_id: str, metrics: Mapping[str, float], step: int | None = None) -> None:
        if step is None:
            self.metrics |= dict(metrics)
        else:
            self.steps.append(step)

    def log_folder(self, run_id: str, folder: Path, path: str) -> None:
        self.files = {file.name for file in folder.iterdir()}

    def end_run(self, run_id: str, failed: bool = False) -> None:
        self.ended = "failed" if failed else "finished"
