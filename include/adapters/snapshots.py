"""The frozen training set as a table: read whole, checked against its hash, cut by time."""

from typing import cast

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from include.adapters.artefacts import ArtefactStore
from include.adapters.parquet import content_sha256
from include.contracts.erasures import Successor
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
    uri, sha256 = current_place(store, snapshot)
    path = store.path(uri)
    if not path.is_file():
        raise ArtefactError(f"training set {snapshot.uri} is not in the artefact store: freeze it again")
    try:
        table = pq.read_table(path)
    except pa.ArrowException as error:
        raise ArtefactError(f"training set {snapshot.uri} was altered, it is no Parquet: {error}") from error
    if (found := content_sha256(table)) != sha256:
        raise ArtefactError(f"training set {uri} was altered: its rows hash to {found}, not {sha256}")
    return table


def current_place(store: ArtefactStore, snapshot: Snapshot) -> tuple[str, str]:
    """Return URI and hash of what stands for a snapshot now: another one, where an entity was erased."""
    uri, sha256 = snapshot.uri, snapshot.sha256
    while (found := store.tagged(successor_uri(uri))) is not None:
        try:
            successor = Successor.model_validate_json(found[0])
        except ValidationError as error:
            raise ArtefactError(f"{successor_uri(uri)} names no successor: {error}") from error
        uri, sha256 = successor.uri, successor.sha256
    return uri, sha256


def successor_uri(uri: str) -> str:
    """Return where it is written which training set took another's place."""
    return f"{uri}.successor.json"


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
