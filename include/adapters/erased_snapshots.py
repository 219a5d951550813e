"""Training sets without an entity: the file under its new hash, and beside the old place who follows."""

import io

import pyarrow.parquet

from include.adapters.artefacts import ArtefactStore
from include.adapters.erased_rows import without
from include.adapters.parquet import content_sha256, parquet_bytes
from include.adapters.snapshots import UNIT, successor_uri
from include.contracts.erasures import Successor


def erase_from_snapshots(
    store: ArtefactStore, model: str, unit: str, erasure_id: str
) -> tuple[int, dict[str, Successor]]:
    """Write each training set of a model that holds a unit anew without it; the old ones stay for now.

    Returns:
        How many rows were left out, and by the URI of the old one what stands in its place.
    """
    erased, replaced = 0, {}
    for uri in store.uris(f"snapshots/{model}/*.parquet"):
        table = pyarrow.parquet.read_table(io.BytesIO(store.read(uri)))
        kept = without(table, UNIT, unit)
        if len(kept) == len(table):
            continue
        digest = content_sha256(kept)
        new = f"snapshots/{model}/{digest}.parquet"
        store.write(new, parquet_bytes(kept))
        replaced[uri] = Successor(sha256=digest, uri=new, rows=len(kept), erasure_id=erasure_id)
        erased += len(table) - len(kept)
    return erased, replaced


def drop_replaced(store: ArtefactStore, replaced: dict[str, Successor]) -> None:
    """Point from the old places to the new ones, then delete what lay there."""
    for uri, successor in replaced.items():
        store.write(successor_uri(uri), successor.model_dump_json(indent=1).encode())
        store.delete(uri)
