"""A made-up shop: purchase lines and products on disk, and settings that read them."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import yaml

from include.config.models import ModelFolder
from include.config.settings import REPOSITORY_ROOT, Settings
from include.contracts.routes import EntityKey

CUSTOMER = EntityKey(name="customer_id", type="int64")
SPENDING = (
    "total_spend_30d",
    "avg_order_value_30d",
    "transaction_count_30d",
    "days_since_last_purchase",
    "preferred_category",
)

PRODUCTS = [(1, "GROCERY"), (2, "MEAT")]
"""(product_id, department); product 3 is sold without a row here."""
TELLING = [1, 2]
"""Customers with demographics."""
DEMOGRAPHICS = {
    "age": "25-34",
    "income": "35-49K",
    "home_ownership": "Renter",
    "marital_status": "Married",
    "household_size": "3",
    "household_comp": "2 Adults Kids",
    "kids_count": "1",
}
"""What each of them told."""


def at(text: str) -> datetime:
    """Return a moment in UTC from ISO text."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def on(text: str) -> date:
    """Return a date from ISO text."""
    return date.fromisoformat(text)


class Shop:
    """Sources under a folder; `purchases` are (customer, basket, product, money, ISO time)."""

    def __init__(self, folder: Path, purchases: list[tuple[int, int, int, float, str]]) -> None:
        self.folder = folder
        self.write(purchases)
        products = pyarrow.table(
            {
                "product_id": [product for product, _ in PRODUCTS],
                "department": [department for _, department in PRODUCTS],
                "brand": ["National"] * len(PRODUCTS),
                "product_category": pyarrow.array([None] * len(PRODUCTS), pyarrow.string()),
            }
        )
        pyarrow.parquet.write_table(products, folder / "products.parquet")
        self.tell(TELLING)
        model = folder / "models" / "churn"
        shutil.copytree(REPOSITORY_ROOT / "include" / "models" / "churn", model)
        for needed in ("network.py", "runbook.md"):
            (model / needed).touch()

    def tell(self, households: list[int]) -> None:
        """Write the demographics of households, one row for each time they are named."""
        told = {name: [value] * len(households) for name, value in DEMOGRAPHICS.items()}
        table = pyarrow.table({"household_id": households} | told)
        pyarrow.parquet.write_table(table, self.folder / "demographics.parquet")

    def narrowed(self, *names: str) -> "Shop":
        """Leave the model only some inputs, where they are enough to show a thing: those of one view."""
        wanted = names or SPENDING
        with self._contract() as contract:
            inputs = contract["features"]["inputs"]
            contract["features"]["inputs"] = [item for item in inputs if item["name"] in wanted]
            if names:
                contract["gates"]["baseline"]["feature"] = names[0]
            contract["slices"] = contract["gates"]["slices"] = []
        return self

    def read(self, name: str, view: str) -> None:
        """Let the model read one more numeric feature of a view."""
        with self._contract() as contract:
            contract["features"]["inputs"].append({"name": name, "kind": "numeric", "view": view})

    @contextmanager
    def _contract(self) -> Iterator[dict[str, Any]]:
        path = self.churn.path / "contract.yaml"
        contract = yaml.safe_load(path.read_text(encoding="utf-8"))
        yield contract
        path.write_text(yaml.safe_dump(contract), encoding="utf-8")

    def deliver(
        self,
        purchases: list[tuple[int, int, int, float, str]],
        late: Sequence[tuple[tuple[int, int, int, float, str], str]] = (),
    ) -> None:
        """Replace the purchases by such that arrive at their moment, and late ones as (row, arrival)."""
        every = [(row, row[4]) for row in purchases] + list(late)
        self.write([row for row, _ in every])
        path = self.folder / "purchases.parquet"
        moments = [at(moment).replace(tzinfo=None) for _, moment in every]
        arrivals = pyarrow.array(moments, pyarrow.timestamp("us"))
        table = pyarrow.parquet.read_table(path).append_column("ingested_at", arrivals)
        pyarrow.parquet.write_table(table, path)

    def write(self, purchases: list[tuple[int, int, int, float, str]], *, without: str = "") -> None:
        """Replace the purchases; `without` leaves a raw column out."""
        columns = list(zip(*purchases, strict=True))
        table = pyarrow.table(
            {
                "household_id": pyarrow.array(columns[0], pyarrow.int64()),
                "basket_id": pyarrow.array(columns[1], pyarrow.int64()),
                "product_id": pyarrow.array(columns[2], pyarrow.int64()),
                "quantity": pyarrow.array([1] * len(purchases), pyarrow.int64()),
                "sales_value": pyarrow.array(columns[3], pyarrow.float64()),
                "retail_disc": pyarrow.array([0.5] * len(purchases), pyarrow.float64()),
                "coupon_disc": pyarrow.array([0.0] * len(purchases), pyarrow.float64()),
                "transaction_timestamp": pyarrow.array(
                    [datetime.fromisoformat(text) for text in columns[4]], pyarrow.timestamp("us")
                ),
            }
        )
        pyarrow.parquet.write_table(
            table.drop_columns([without] if without else []), self.folder / "purchases.parquet"
        )

    @property
    def settings(self) -> Settings:
        """Settings whose home, sources and models lie in the folder."""
        return Settings(
            home=self.folder / "home",
            model_folders=(self.folder / "models",),
            sources={
                "purchases": str(self.folder / "purchases.parquet"),
                "products": str(self.folder / "products.parquet"),
                "demographics": str(self.folder / "demographics.parquet"),
            },
        )

    @property
    def churn(self) -> ModelFolder:
        """The churn model's folder."""
        return ModelFolder(self.folder / "models" / "churn")


class Kept:
    """A shop as it is now, to go back to: the same paths, which Feast's registry and records hold."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._copy = shop.folder.with_name(f"{shop.folder.name}-kept")
        shutil.copytree(shop.folder, self._copy)

    def restored(self) -> Shop:
        """Return the shop, all that was done to it since undone."""
        shutil.rmtree(self._shop.folder)
        shutil.copytree(self._copy, self._shop.folder)
        return self._shop


def half_a_year(customers: int = 6) -> list[tuple[int, int, int, float, str]]:
    """Return purchases from January to June 2017; customer n buys every n days."""
    return [
        (
            customer,
            1000 * customer + day,
            1 + (customer + day) % 3,
            float(customer) + day / 100,
            f"2017-{month:02}-{of_month:02}T10:00:00",
        )
        for customer in range(1, customers + 1)
        for day, (month, of_month) in enumerate((m, d) for m in range(1, 7) for d in range(1, 29))
        if day % customer == 0
    ]
