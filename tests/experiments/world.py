"""An experiment whose truth is known: real ledger, real logs, made-up customers."""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import yaml

from include.adapters.artefacts import ArtefactStore
from include.adapters.label_store import record_labels
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.outcome_index import OutcomeIndex
from include.adapters.outcome_log import INDEX_NAME, OutcomeLog
from include.adapters.parquet import write_table
from include.adapters.prediction_log import PredictionLog
from include.config.models import ModelFolder
from include.config.settings import REPOSITORY_ROOT, Settings
from include.contracts.assignment import bucket
from include.contracts.experiment_plan import ExperimentPlan
from include.contracts.experiment_results import Analysis
from include.contracts.experiments import Experiment
from include.contracts.identifiers import uuid7
from include.contracts.predictions import OutcomeRow, PredictionRow, Source, Status
from include.experiments.analyse import analyse, judged
from tests.adapters.ledger.trials import BEGAN, PLAN, experiment, started
from tests.config.test_experiments import METRICS

DAY = timedelta(days=1)
MATURES_IN = timedelta(days=14)
SEGMENT = 2**22
DEMOGRAPHICS = ("age", "income", "household_composition")


@dataclass
class World:
    """A model under experiment; nothing is exposed before `expose`."""

    home: Path
    plan: dict[str, Any] = field(default_factory=lambda: dict(PLAN))
    size: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make ledger and model folder."""
        self.settings = Settings(home=self.home / "home")
        upgrade(self.settings.ledger_uri)
        self.ledger = Ledger(self.settings.ledger_uri)
        self.folder = model_folder(self.home, self.plan)
        self.experiment: Experiment | None = None

    def start(self, **changes: Any) -> Experiment:
        """Start the experiment in the ledger."""
        plan = ExperimentPlan.model_validate(self.plan)
        size = experiment().size.model_copy(update=self.size)
        self.experiment = started(self.ledger, plan=plan, size=size, **changes)
        return self.experiment

    def expose(
        self,
        units: Iterable[int],
        day: float = 0.0,
        *,
        share: float = 0.5,
        requests: int = 2,
        failing: tuple[float, float] = (0.0, 0.0),
        slow: tuple[float, float] = (0.01, 0.01),
        seed: int = 1,
        **changes: Any,
    ) -> dict[int, bool]:
        """Let units ask, some hours apart; return which are treated."""
        dice = np.random.default_rng(seed)
        treated, rows = {}, []
        for unit in units:
            place = bucket(self.salt, str(unit))
            treated[unit] = place < share
            for number in range(requests):
                at = BEGAN + day * DAY + timedelta(seconds=float(dice.uniform(0, 3_600)), hours=number)
                arm = int(treated[unit])
                status = Status.FAILED if dice.random() < failing[arm] else Status.OK
                latency = float(dice.exponential(slow[arm]))
                rows.append(row(unit, at, place, share, self.salt, status, latency, **changes))
        self.log(rows)
        return treated

    def log(self, rows: list[PredictionRow]) -> None:
        """Log predictions as the gateway does."""
        log = PredictionLog(self.settings.predictions_folder, SEGMENT)
        log.append(rows)
        log.close()

    def tell(self, outcomes: list[OutcomeRow], *, again: bool = False) -> None:
        """Log outcomes as the gateway does; again: as another one does, which knows nothing of the first."""
        if again:
            (self.settings.outcomes_folder / INDEX_NAME).unlink()
            index = OutcomeIndex(self.settings.outcomes_folder / INDEX_NAME)
            index.is_whole = True
            index.close()
        log = OutcomeLog(self.settings.outcomes_folder, SEGMENT)
        log.append(outcomes)
        log.close()

    def label(self, values: dict[int, float], day: float) -> None:
        """Store labels of a moment, known after the contract's delay."""
        moment = BEGAN + day * DAY
        table = pyarrow.table(
            {
                "unit": [str(unit) for unit in values],
                "event_at": pyarrow.array([moment] * len(values), pyarrow.timestamp("us", "UTC")),
                "known_at": pyarrow.array(
                    [moment + MATURES_IN] * len(values), pyarrow.timestamp("us", "UTC")
                ),
                "value": list(values.values()),
            }
        )
        record_labels(self.settings, "churn", table, "dice", moment + MATURES_IN)

    def demographics(self, ages: dict[int, str]) -> None:
        """Publish a day of the view that slices come from, a week before the start."""
        moment = BEGAN - 7 * DAY
        table = pyarrow.table(
            {
                "customer_id": list(ages),
                "event_timestamp": pyarrow.array([moment] * len(ages), pyarrow.timestamp("us", "UTC")),
                **{name: list(ages.values()) for name in DEMOGRAPHICS},
            }
        )
        folder = self.settings.offline_folder / "customer_demographics"
        write_table(folder / f"{moment.date().isoformat()}.parquet", table)

    def page(self, analysis: Analysis) -> str:
        """Return an analysis's page."""
        return ArtefactStore(self.settings.artefacts_folder).read(str(analysis.report_uri)).decode()

    def come_back(
        self,
        treated: dict[int, bool],
        rates: tuple[float, float],
        day: float = 1.0,
        metric: str = "came_back",
        seed: int = 2,
    ) -> None:
        """Tell of units that came back, each with its arm's chance."""
        dice = np.random.default_rng(seed)
        self.tell(
            [
                outcome(f"{metric}-{unit}", BEGAN + day * DAY, metric=metric, unit=str(unit))
                for unit, is_treated in treated.items()
                if dice.random() < rates[int(is_treated)]
            ]
        )

    def analyse(self, day: float, *, extra_look: bool = False) -> Analysis:
        """Analyse some days after the start."""
        moment = BEGAN + day * DAY
        return analyse(
            self.settings,
            self.ledger,
            self.folder,
            self.salt,
            moment,
            actor="system",
            extra_look=extra_look,
        )

    def judge(self, day: float) -> Analysis:
        """Return what the first analysis would say, some days after the start; no page is drawn."""
        assert self.experiment is not None
        moment = BEGAN + day * DAY
        return judged(self.settings, self.folder.contract, self.experiment, [], moment)

    @property
    def salt(self) -> str:
        """Id of the experiment."""
        return str(self.plan["salt"])


def model_folder(place: Path, plan: dict[str, Any], **changes: Any) -> ModelFolder:
    """Copy churn's folder, with metrics and one experiment."""
    folder = place / "models" / "churn"
    source = REPOSITORY_ROOT / "include" / "models" / "churn"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__", "experiments"))
    path = folder / "contract.yaml"
    contract = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(
        yaml.safe_dump(contract | {"experiment_metrics": METRICS[:4]} | changes), encoding="utf-8"
    )
    write_plan(ModelFolder(folder), plan)
    return ModelFolder(folder)


def write_plan(folder: ModelFolder, plan: dict[str, Any]) -> None:
    """Write an experiment's file."""
    path = folder.path / "experiments" / f"{plan['name']}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(plan), encoding="utf-8")


def row(  # noqa: PLR0917 - what tests give
    unit: int,
    at: datetime,
    place: float | None,
    share: float | None,
    salt: str | None,
    status: Status = Status.OK,
    latency: float = 0.01,
    **changes: Any,
) -> PredictionRow:
    """Return a logged prediction of a unit."""
    treated = place is not None and share is not None and place < share
    features = {"total_spend_30d": float(unit % 100), "preferred_category": "DAIRY"}
    fields = {
        "prediction_id": uuid7(at),
        "request_id": None,
        "body_sha256": "0" * 64,
        "model": "churn",
        "entity": {"customer_id": unit},
        "unit": str(unit),
        "assigned_variant": "challenger" if treated else "champion",
        "served_version": "1.0.1" if treated else "1.0.0",
        "artefact_sha256": "sha",
        "route_snapshot_id": "1-x",
        "release_or_experiment_id": salt,
        "bucket": place,
        "share": share,
        "predicted_at": at,
        "recorded_at": at,
        "features": features,
        "feature_timestamps": {},
        "request_features": {},
        "outputs": ((unit * 7919 % 1000) / 1000,) if status is Status.OK else None,
        "status": status,
        "fallback_reason": None,
        "source": Source.LIVE,
        "latency_seconds": latency,
        "key_id": None,
    }
    return PredictionRow(**fields | changes)


def outcome(outcome_id: str, at: datetime, value: float = 1.0, **changes: Any) -> OutcomeRow:
    """Return an outcome, of `came_back` unless told otherwise."""
    fields = {
        "outcome_id": outcome_id,
        "model": "churn",
        "metric": "came_back",
        "value": value,
        "occurred_at": at,
        "recorded_at": at,
        "prediction_id": None,
        "unit": None,
    }
    return OutcomeRow(**fields | changes)


def world(home: Path, size: dict[str, Any] | None = None, **changes: Any) -> Iterator[World]:
    """Give a world whose experiment runs; some keys of its plan replaced."""
    made = World(home, PLAN | changes, size or {})
    made.start()
    yield made
    made.ledger.close()
