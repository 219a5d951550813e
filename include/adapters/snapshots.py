"""The frozen training set as a table: read whole, checked against its hash, cut by time."""

from typing import cast

import pandas as pd
import pyarrow.parquet as pq

from include.adapters.artefacts import ArtefactStore
from include.adapters.files import sha256_of
from include.contracts.errors import ArtefactError
from include.contracts.packages import Snapshot
from include.contracts.windows import Window

UNIT = "unit"
EVENT_AT = "event_at"
KNOWN_AT = "known_at"
LABEL = "label"


def read_snapshot(store: ArtefactStore, snapshot: Snapshot) -> pd.DataFrame:
    """Return a snapshot's rows: unit, event_at, known_at, label and one column a feature.

    Raises:
        ArtefactError: the file is missing, is not the one that was frozen, or lacks rows.
    """
    path = store.path(snapshot.uri)
    if not path.is_file():
        raise ArtefactError(f"training set {snapshot.uri} is not in the artefact store: freeze it again")
    if (found := sha256_of(path)) != snapshot.sha256:
        raise ArtefactError(
            f"training set {snapshot.uri} was altered: its SHA-256 is {found}, not {snapshot.sha256}"
        )
    frame = cast("pd.DataFrame", pq.read_table(path).to_pandas())
    if len(frame) != snapshot.rows:
        raise ArtefactError(f"training set {snapshot.uri} has {len(frame)} rows, not {snapshot.rows}")
    return frame


def rows_within(frame: pd.DataFrame, window: Window) -> pd.DataFrame:
    """Return the rows a window contains, ordered by event time and unit.

    The same rule as `Window.contains`, on whole columns; the order makes what follows from the rows
    independent of how they were stored.
    """
    starts = (frame[EVENT_AT] >= window.start) & (frame[EVENT_AT] < window.end)
    chosen = frame[starts & (frame[KNOWN_AT] <= window.end)]
    return chosen.sort_values([EVENT_AT, UNIT], kind="stable").reset_index(drop=True)
