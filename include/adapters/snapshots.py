"""The frozen training set as a table: read whole, checked against its hash, cut by time."""

from typing import cast

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from include.adapters.artefacts import ArtefactStore
from include.adapters.parquet import content_sha256
from include.contracts.errors import ArtefactError
from include.contracts.packages import Snapshot
from include.contracts.windows import Window

UNIT = "unit"
EVENT_AT = "event_at"
KNOWN_AT = "known_at"
LABEL = "label"


def read_snapshot(store: ArtefactStore, snapshot: Snapshot) -> pd.DataFrame:
    """Return a snapshot's rows as a frame.

    Raises:
        ArtefactError: as `read_snapshot_table`.
    """
    return cast("pd.DataFrame", read_snapshot_table(store, snapshot).to_pandas())


def read_snapshot_table(store: ArtefactStore, snapshot: Snapshot) -> pa.Table:
    """Return a snapshot's rows: unit, event_at, known_at, label, one column a feature and one a slice.

    What only the champion read when it was frozen has columns, too.

    Raises:
        ArtefactError: the file is missing, or its rows are not those that were frozen.
    """
    path = store.path(snapshot.uri)
    if not path.is_file():
        raise ArtefactError(f"training set {snapshot.uri} is not in the artefact store: freeze it again")
    try:
        table = pq.read_table(path)
    except pa.ArrowException as error:
        raise ArtefactError(f"training set {snapshot.uri} was altered, it is no Parquet: {error}") from error
    if (found := content_sha256(table)) != snapshot.sha256:
        raise ArtefactError(
            f"training set {snapshot.uri} was altered: its rows hash to {found}, not {snapshot.sha256}"
        )
    return table


def rows_within(frame: pd.DataFrame, window: Window) -> pd.DataFrame:
    """Return the rows a window contains, ordered by event time and unit.

    The same rule as `Window.contains`, on whole columns; the order makes what follows from the rows
    independent of how they were stored.
    """
    starts = (frame[EVENT_AT] >= window.start) & (frame[EVENT_AT] < window.end)
    chosen = frame[starts & (frame[KNOWN_AT] <= window.end)]
    return chosen.sort_values([EVENT_AT, UNIT], kind="stable").reset_index(drop=True)


def rows_sha256(rows: pd.DataFrame) -> str:
    """Return the hash of which rows these are, in order: unit, event time and label."""
    return content_sha256(pa.Table.from_pandas(rows[[UNIT, EVENT_AT, LABEL]], preserve_index=False))
