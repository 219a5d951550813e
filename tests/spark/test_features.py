"""Each view's SQL on the cluster against DuckDB, row for row, over the seed's own data."""

from datetime import date

import pyarrow
import pytest

from include.adapters.duckdb_engine import DuckDBEngine
from include.adapters.engines import open_engine
from include.adapters.sources import open_sources
from include.config.settings import Settings
from include.contracts.errors import ContractError
from include.features.materialize import compute_rows, midnight
from include.features.views import View, load_views

pytestmark = pytest.mark.spark
FIRST, LAST = date(2017, 6, 29), date(2017, 7, 2)
VIEWS = load_views(Settings())


def computed(settings: Settings, name: str) -> pyarrow.Table:
    """Return a view's rows of a few days over the end of a month."""
    view = VIEWS[name]
    names = view.definition.sources
    with open_sources(settings, midnight(LAST), names, engine=open_engine(settings)) as sources:
        return compute_rows(sources, view, FIRST, LAST)


@pytest.mark.parametrize("name", VIEWS)
def test_a_views_rows_are_the_same(on_spark, tmp_path, name):
    """Order, types, nulls and every bit of every number."""
    settings = Settings(home=tmp_path)
    expected, found = computed(settings, name), computed(on_spark(settings), name)
    assert expected.schema == found.schema
    assert expected.num_rows > 1000
    assert expected.equals(found)


def test_a_view_that_spark_cannot_say_is_refused_by_file_and_line(on_spark, tmp_path):
    """Before anything is computed; on one machine the same view is fine."""
    view = VIEWS["customer_demographics"]
    odd = View(view.definition, view.sql.replace("    age,", "    strftime(day, '%d') AS age,"))
    settings = Settings(home=tmp_path)
    for engine in (open_engine(settings), open_engine(on_spark(settings))):
        with open_sources(settings, midnight(LAST), odd.definition.sources, engine=engine) as sources:
            if isinstance(engine, DuckDBEngine):
                assert compute_rows(sources, odd, FIRST, FIRST)["age"].unique().to_pylist() == ["29"]
                continue
            with pytest.raises(ContractError, match=r"customer_demographics\.sql.*line 5: .*STRFTIME"):
                compute_rows(sources, odd, FIRST, FIRST)
