"""What the benchmark serves from: the shops' purchases moved to end today, and every customer online."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from include.adapters.online_features import OnlineFeatures
from include.adapters.sources import open_sources
from include.config.settings import Settings
from include.contracts.model import ModelContract
from include.contracts.predictions import FeatureValue
from include.features.materialize import compute_features
from include.features.online import materialize_online

LAST_DAY = date(2018, 1, 1)
"""The day in which the purchases end."""
WEEKS = 9
"""How far back days are computed, so that those who bought lately but not last month are online, too."""


@dataclass(frozen=True)
class Customer:
    """An entity with a row in every view of the model."""

    key: int | str
    features: Mapping[str, FeatureValue]
    """By name, of all views together."""


def moved_purchases(settings: Settings, today: date) -> Path:
    """Write the purchases as if they had ended today, and return the Parquet file."""
    path = settings.home / "purchases.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    after = datetime.combine(LAST_DAY + timedelta(days=1), time(), UTC)
    with open_sources(settings, after, ["purchases"]) as sources:
        sources.connection.execute(
            "COPY (SELECT customer_id AS household_id, basket_id, product_id, quantity, "  # noqa: S608 - own figures
            "amount AS sales_value, retail_discount AS retail_disc, coupon_discount AS coupon_disc, "
            f"event_at + INTERVAL {(today - LAST_DAY).days} DAY AS transaction_timestamp FROM purchases) "
            f"TO '{path}' (FORMAT parquet)"
        )
    return path


def compute(settings: Settings, today: date) -> None:
    """Compute the features of the last weeks up to today."""
    compute_features(settings, today - timedelta(weeks=WEEKS), today, datetime.now(UTC))


def bring_online(settings: Settings, contract: ModelContract, today: date) -> tuple[Customer, ...]:
    """Materialise today; return the customers that have a row in every view of the model."""
    materialize_online(settings, today)
    keys: Sequence[int] = range(1, 2501)
    rows = OnlineFeatures(settings).read(contract.entity, keys, contract.signature.views)
    return tuple(
        Customer(key, {name: value for view in row.features.values() for name, value in view.items()})
        for key, row in zip(keys, rows, strict=True)
        if all(row.timestamps.values())
    )
