"""What each variant answered in a window, version by version."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
from pyarrow import compute

from include.adapters.logged_columns import read_columns
from include.config.settings import Settings
from include.contracts.predictions import Status
from include.contracts.signatures import Signature
from include.stats.effective_rows import effective_rows


@dataclass(frozen=True)
class Answered:
    """Scores of one variant."""

    variant: str
    version: str
    outputs: npt.NDArray[np.float64]
    """[n, outputs], all finite."""
    independent_ratio: float


def answered_in(
    settings: Settings, model: str, signature: Signature, start: datetime, end: datetime
) -> list[Answered]:
    """Return what each variant answered live in [start, end), by variant and version.

    Fallbacks are left out: they are the answers of another version, or of none.

    Raises:
        DataError: the log is damaged.
    """
    places = [f"output.{place}" for place in range(signature.outputs)]
    columns = ("unit", "assigned_variant", "served_version", "status", *places)
    logged = read_columns(settings, model, start, end, columns)
    whole = compute.equal(logged["status"], Status.OK.value)
    for name in ("assigned_variant", "served_version"):
        whole = compute.and_(whole, compute.is_valid(logged[name]))
    for place in places:
        whole = compute.and_(whole, compute.fill_null(compute.is_finite(logged[place]), fill_value=False))
    by_version = logged.filter(whole).to_pandas().groupby(["assigned_variant", "served_version"])
    return [
        Answered(
            variant=str(variant),
            version=str(version),
            outputs=rows[places].to_numpy(np.float64),
            independent_ratio=effective_rows(rows["unit"].value_counts()) / len(rows),
        )
        for (variant, version), rows in by_version
    ]
