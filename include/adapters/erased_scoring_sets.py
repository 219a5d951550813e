"""Scoring sets that hold an entity: dropped whole, since a batch freezes its own and reads no other's."""

import pyarrow.parquet

from include.adapters.artefacts import ArtefactStore
from include.adapters.erased_rows import without


def drop_scoring_sets(store: ArtefactStore, model: str, entity: str, text: str) -> int:
    """Delete each scoring set of a model that holds an entity; return how many rows of it there were."""
    dropped = 0
    for uri in store.uris(f"scoring_sets/{model}/*/*.parquet"):
        with store.open(uri) as file:
            keys = pyarrow.parquet.read_table(file, columns=[entity])
        held = len(keys) - len(without(keys, entity, text))
        if held:
            store.withdraw(uri.rpartition("/")[0])
            dropped += held
    return dropped
