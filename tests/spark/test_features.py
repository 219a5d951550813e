"""Each view's SQL on the cluster against DuckDB, row for row, over the seed's own data."""

from datetime import date

import pyarrow
import pytest

from include.adapters.engines import open_engine
from include.adapters.sources import open_sources
from include.config.settings import Settings
from include.features.materialize import compute_rows, midnight
from include.features.views import load_views

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
