"""A platform in which days pass: requests in the log, labels in the store, monitors at their schedules."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pandas as pd
import pyarrow
from croniter import croniter

from include.adapters.label_store import record_labels
from include.adapters.ledger.ledger import Ledger
from include.adapters.prediction_log import PredictionLog
from include.commands.drill_monitoring.champion import Champion
from include.commands.drill_monitoring.weeks import LABEL, UNIT
from include.config.settings import Settings
from include.contracts.alerts import Alert, AlertContent
from include.contracts.identifiers import derived_uuid7
from include.contracts.model import ModelContract
from include.contracts.predictions import PredictionRow, Source, Status
from include.contracts.routes import EntityType
from include.contracts.schedules import cron_of
from include.monitoring.compaction import compact_predictions

DAY = timedelta(days=1)
_OPENING = timedelta(hours=8)
_OPEN = timedelta(hours=14)
_SEALED = timedelta(minutes=11)
_SHARED = ("artefacts", "features")
"""Folders of the champion that worlds read; each has its own of all others."""

Look = Callable[[Settings, ModelContract, datetime], None]
"""One look of a monitor, from a moment."""


@dataclass(frozen=True)
class Raised:
    """An alert, and the moment a monitor looked from when it raised it."""

    at: datetime
    content: AlertContent


@dataclass
class World:
    """A home in which days pass."""

    champion: Champion
    settings: Settings
    looks: dict[str, tuple[str, Look]]
    """By name: a monitor's schedule, and how it looks."""
    raised: list[Raised] = field(default_factory=list)

    @classmethod
    def new(cls, champion: Champion, folder: Path) -> "World":
        """Return a world in which nothing happened but that the champion was released."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(champion.settings.home / "ledger", folder / "ledger")
        return cls(champion, _sharing(champion, folder), {})

    def copy(self, folder: Path, looks: dict[str, tuple[str, Look]]) -> "World":
        """Return a world that goes on from here, with monitors of its own."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.settings.home, folder, ignore=shutil.ignore_patterns(*_SHARED))
        return World(self.champion, _sharing(self.champion, folder), looks)

    def live(self, start: datetime, rows: pd.DataFrame) -> None:
        """Let a day pass: its requests, its labels as they will be known, and every look that falls due."""
        self._ask(start, rows)
        self._label(start, rows)
        for moment, look in self._due(start):
            known = {alert.alert_id for alert in self._open()}
            look(self.settings, self.champion.folder.contract, moment)
            new = [alert for alert in self._open() if alert.alert_id not in known]
            self.raised += [Raised(moment, alert.content) for alert in new]

    def _open(self) -> tuple[Alert, ...]:
        with closing(Ledger(self.settings.ledger_uri)) as ledger:
            return ledger.open_alerts(self.champion.folder.name)

    def _due(self, start: datetime) -> Iterator[tuple[datetime, Look]]:
        """Yield the looks whose moment lies in (start, start + a day], in their order."""
        due = []
        for schedule, look in self.looks.values():
            moments = croniter(cron_of(schedule), start)
            while (moment := moments.get_next(datetime)) <= start + DAY:
                due.append((moment, look))
        yield from sorted(due, key=lambda pair: pair[0])

    def _ask(self, start: datetime, rows: pd.DataFrame) -> None:
        log = PredictionLog(self.settings.predictions_folder, self.settings.segment_bytes)
        scores = self.champion.scores(rows)
        log.append([self._row(start, rows, place, outputs) for place, outputs in enumerate(scores)])
        log.close()
        compact_predictions(self.settings, datetime.now(UTC) + _SEALED)

    def _row(
        self, start: datetime, rows: pd.DataFrame, place: int, outputs: tuple[float, ...]
    ) -> PredictionRow:
        signature, entity = self.champion.manifest.signature, self.champion.folder.contract.entity
        unit = str(rows[UNIT].iloc[place])
        moment = start + _OPENING + _OPEN * place / len(rows)
        values = {item.name: rows[item.name].iloc[place] for item in signature.inputs}
        return PredictionRow(
            prediction_id=derived_uuid7(moment, unit),
            request_id=None,
            body_sha256=sha256(unit.encode()).hexdigest(),
            model=self.champion.folder.name,
            entity={entity.name: int(unit) if entity.type is EntityType.INT64 else unit},
            unit=unit,
            assigned_variant="champion",
            served_version=self.champion.version.version,
            artefact_sha256=self.champion.version.artefact_sha256,
            route_snapshot_id="drill",
            release_or_experiment_id="drill",
            bucket=None,
            share=None,
            predicted_at=moment,
            recorded_at=moment,
            features={name: _plain(value) for name, value in values.items()},
            feature_timestamps=dict.fromkeys(signature.views, start),
            request_features={},
            outputs=outputs,
            status=Status.OK,
            fallback_reason=None,
            source=Source.LIVE,
            latency_seconds=0.005,
            key_id=None,
        )

    def _label(self, start: datetime, rows: pd.DataFrame) -> None:
        known = start + self.champion.folder.contract.label.delay
        moments = pyarrow.timestamp("us", "UTC")
        labels = pyarrow.table(
            {
                "unit": pyarrow.array(rows[UNIT].astype(str), pyarrow.string()),
                "event_at": pyarrow.array([start] * len(rows), moments),
                "known_at": pyarrow.array([known] * len(rows), moments),
                "value": pyarrow.array(rows[LABEL], pyarrow.float64()),
            }
        )
        record_labels(self.settings, self.champion.folder.name, labels, "drill", known)


def _sharing(champion: Champion, folder: Path) -> Settings:
    for name in _SHARED:
        (folder / name).symlink_to(champion.settings.home / name)
    return champion.settings.model_copy(update={"home": folder})


def _plain(value: object) -> float | str | None:
    if isinstance(value, str):
        return value
    return None if pd.isna(value) else float(value)  # type: ignore[call-overload,arg-type]
