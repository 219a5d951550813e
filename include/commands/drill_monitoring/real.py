"""The real days after the training: who was there, with the inputs and the outcome they had."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from include.adapters.artefact_home import artefact_store
from include.adapters.snapshots import read_snapshot_table
from include.commands.drill_monitoring.champion import TRAINED_AS_OF, Champion
from include.commands.drill_monitoring.weeks import REQUESTS
from include.commands.train import compute_outdated
from include.config.views import named_views
from include.contracts.moments import parse_duration
from include.data.labels import compute_labels
from include.features.training_set import freeze_training_set
from include.features.views import load_views

UNTIL = TRAINED_AS_OF + timedelta(days=122)
"""Where the data end."""


@dataclass(frozen=True)
class Real:
    """Days as they were, by their midnights."""

    rows: Mapping[datetime, pd.DataFrame]

    @property
    def last(self) -> datetime:
        """The last midnight there are labels of."""
        return max(self.rows)

    def day(self, moment: datetime, seed: int) -> pd.DataFrame:
        """Return the rows of a day: all who were there, or as many of them as a drawn day has."""
        rows = self.rows[moment]
        return rows.sample(min(len(rows), REQUESTS), random_state=seed).reset_index(drop=True)


def real_days(champion: Champion) -> Real:
    """Return the days after the training whose labels are known by the data's end."""
    settings, folder = champion.settings, champion.folder
    contract = folder.contract
    views = load_views(settings)
    for name in named_views(contract, folder.path):
        compute_outdated(settings, views[name], TRAINED_AS_OF, UNTIL - contract.label.delay, UNTIL)
    compute_labels(settings, folder, TRAINED_AS_OF, UNTIL, UNTIL)
    daily = {"history": UNTIL - TRAINED_AS_OF, "snapshot_every": parse_duration("1d")}
    training = contract.training.model_copy(update=daily)
    snapshot = freeze_training_set(settings, contract.model_copy(update={"training": training}), UNTIL)
    frame = read_snapshot_table(artefact_store(settings), snapshot).to_pandas()
    by_day = frame.groupby(frame["event_at"].astype(str))
    return Real({datetime.fromisoformat(str(moment)): rows for moment, rows in by_day})
