"""A model in production, made up day by day: predictions in a real log, labels in a real store."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow
from scipy.special import expit

from include.adapters.label_store import record_labels
from include.adapters.ledger.migrate import upgrade
from include.adapters.measurements import MeasurementStore
from include.adapters.prediction_log import PredictionLog
from include.config.models import model_folder
from include.config.settings import REPOSITORY_ROOT, Settings
from include.contracts.measurements import Measurement, MonitorRun
from include.contracts.model import ModelContract
from include.contracts.signatures import Task
from include.monitoring.compaction import compact_predictions
from include.monitoring.label_days import join_days
from include.monitoring.performance_run import measure_performance
from tests.adapters.test_prediction_log import row

DAY = timedelta(days=1)
FIRST = datetime(2017, 3, 1, tzinfo=UTC)
CHURN, SPEND = (
    model_folder((REPOSITORY_ROOT / "include" / "models",), name).contract for name in ("churn", "spend")
)
DELAY = CHURN.label.delay


@dataclass(frozen=True)
class Weather:
    """What a day is like."""

    units: int = 300
    version: str = "1.0.0"
    flipped: float = 0.0
    """Share of the units, the first ones, whose labels are the opposite of what they should be."""
    shift: float = 0.0
    """By how much an input moved; where it is large, the model knows less."""
    labelled: bool = True


FAIR = Weather()


@dataclass
class World:
    """A home, and what happened in it so far."""

    settings: Settings
    contract: ModelContract = CHURN
    seed: int = 7
    store: MeasurementStore = field(init=False)

    def __post_init__(self) -> None:
        """Make the ledger's database."""
        upgrade(self.settings.ledger_uri)
        self.store = MeasurementStore(self.settings.ledger_uri)

    def live(self, days: Iterable[int], weather: Weather = FAIR) -> None:
        """Let days pass: predictions at noon, labels about the day they were made."""
        log = PredictionLog(self.settings.predictions_folder, 2**24)
        for day in days:
            self._day(log, FIRST + day * DAY, weather)
        log.close()
        compact_predictions(self.settings, datetime.now(UTC) + timedelta(hours=1))

    def look(self, day: int) -> tuple[MonitorRun, list[Measurement]]:
        """Run the monitor at the moment a day's labels are in; return what it stored."""
        as_of = FIRST + day * DAY + self.contract.label.delay
        join_days(self.settings, self.contract, as_of)
        run = measure_performance(self.settings, self.contract, as_of)
        return run, list(self.store.measured(run))

    def _day(self, log: PredictionLog, start: datetime, weather: Weather) -> None:
        dice = np.random.default_rng([self.seed, start.toordinal()])
        inputs = dice.normal(size=(weather.units, 3))
        inputs[:, 0] += weather.shift
        signal = 1.6 * inputs[:, 1] + inputs[:, 2]
        scores = expit(signal - 0.5)
        # Beyond one, the first input drowns the others: there the model is too sure.
        labels = (
            dice.random(weather.units) < expit(np.where(inputs[:, 0] > 1, 0.2, 1.0) * signal - 0.5)
        ) * 1.0
        units = [str(number) for number in range(weather.units)]
        flipped = np.arange(weather.units) < weather.flipped * weather.units
        labels = np.where(flipped, 1 - labels, labels)
        if self.contract.task is Task.REGRESSION:
            scores = 20 + 5 * signal
            labels = scores + dice.normal(size=weather.units) * np.where(flipped, 9.0, 3.0)
        names = self.contract.signature.numeric[:3]
        log.append(
            [
                row(
                    start + timedelta(hours=12),
                    model=self.contract.name,
                    unit=unit,
                    served_version=weather.version,
                    outputs=(score,),
                    features=dict(zip(names, values, strict=True)) | {"preferred_category": "GROCERY"},
                )
                for unit, score, values in zip(units, scores.tolist(), inputs.tolist(), strict=True)
            ]
        )
        if weather.labelled:
            self.label(start, dict(zip(units, labels.tolist(), strict=True)))

    def label(self, start: datetime, values: dict[str, float], as_of: datetime | None = None) -> None:
        """Record labels of a midnight."""
        moments = pyarrow.timestamp("us", "UTC")
        known_at = start + self.contract.label.delay
        table = pyarrow.table(
            {
                "unit": list(values),
                "event_at": pyarrow.array([start] * len(values), moments),
                "known_at": pyarrow.array([known_at] * len(values), moments),
                "value": list(values.values()),
            }
        )
        record_labels(
            self.settings, self.contract.name, table, "label.sql", as_of or start + self.contract.label.delay
        )


def moment_of(day: int) -> datetime:
    """Return the moment the labels of a day are in."""
    return FIRST + day * DAY + DELAY


def world(folder: Path) -> World:
    """Return a world in a folder."""
    return World(Settings(home=folder))


def of(
    measured: list[Measurement], metric: str, *, subject: str | None = None, days: int = 1, **groups: str
) -> list[Measurement]:
    """Return measurements of a metric over windows of some length, of everybody unless a group is named."""
    wanted = {"version": None, "variant": None, "slice": None} | groups
    return [
        each
        for each in measured
        if each.metric == metric
        and subject in (None, each.subject)
        and each.window_end - each.window_start == days * DAY
        and all(getattr(each, name) == value for name, value in wanted.items())
    ]
