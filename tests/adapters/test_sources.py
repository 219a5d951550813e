import pytest

from include.adapters.source_definitions import locate_source
from include.adapters.sources import open_sources, tables_of
from include.config.settings import Settings
from include.contracts.errors import SourceError
from tests.shop import Shop, at

LINES = [(1, 10, 1, 2.5, "2017-01-05T09:00:00"), (2, 11, 1, 1.0, "2017-01-06T09:00:00")]


def test_canonical_names_and_arrival(tmp_path):
    """A source is a view with canonical columns that ends before the moment looked from."""
    shop = Shop(tmp_path, LINES)
    with open_sources(shop.settings, at("2017-01-06T09:00"), ["purchases"]) as sources:
        rows = sources.connection.sql("SELECT customer_id, basket_id, amount FROM purchases").fetchall()
    assert [(1, 10, 2.5)] == rows


def test_missing_column_is_named(tmp_path):
    """A source without a column it declares stops with its name, the column, and the columns found."""
    shop = Shop(tmp_path, LINES)
    shop.write(LINES, without="sales_value")
    with pytest.raises(SourceError, match=r"'purchases' lacks the column 'sales_value'.*household_id"):
        open_sources(shop.settings, at("2017-02-01"), ["purchases"])


def test_null_where_none_may_be(tmp_path):
    """Nulls in a column that is not nullable, more than the checks allow, are refused with name and count."""
    shop = Shop(tmp_path, LINES)
    shop.write([*LINES, (3, 12, 1, None, "2017-01-07T09:00:00")])
    with pytest.raises(SourceError, match=r"1 of 3 rows are unfit \(amount is null in 1 rows\)"):
        open_sources(shop.settings, at("2017-02-01"), ["purchases"])


def test_unknown_source_and_missing_file(tmp_path):
    """A source without a definition and one without a file are both reported by name."""
    settings = Settings(home=tmp_path, sources={"products": str(tmp_path / "none.parquet")})
    with pytest.raises(SourceError, match="no source 'visits'"):
        open_sources(settings, at("2017-02-01"), ["visits"])
    with pytest.raises(SourceError, match="'products' cannot be read"):
        open_sources(settings, at("2017-02-01"), ["products"])


def test_a_silent_source_is_complete_only_up_to_its_last_row(tmp_path):
    """Within its longest silence a source covers up to now; past it, only up to its last row."""
    shop = Shop(tmp_path, LINES)
    with open_sources(shop.settings, at("2017-01-06T21:00"), ["purchases", "products"]) as sources:
        assert at("2017-01-06T21:00") == sources.covered_until()
    with open_sources(shop.settings, at("2017-01-06T21:01"), ["purchases", "products"]) as sources:
        assert at("2017-01-06T09:00") == sources.covered_until()
        assert {"purchases": (at("2017-01-05T09:00"), at("2017-01-06T09:00"))} == sources.coverage()


def test_a_model_brings_its_own_source(tmp_path):
    """A model folder's source, a CSV beside its definition, is read under its name."""
    folder = tmp_path / "pumps" / "sources"
    folder.mkdir(parents=True)
    (folder / "readings.csv").write_text("pump,at\nA,2020-01-01 00:00:00\nB,2020-01-03 00:00:00\n")
    (folder / "readings.yaml").write_text(
        "{name: readings, description: d, uri: readings.csv, event_at: event_at, columns: {"
        "pump: {column: pump, type: string}, event_at: {column: at, type: timestamp}}}"
    )
    with open_sources(
        Settings(home=tmp_path), at("2020-01-02"), ["readings"], [tmp_path / "pumps"]
    ) as sources:
        assert [("A",)] == sources.connection.sql("SELECT pump FROM readings").fetchall()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"name: visits\nname: visits\n", "'name' is written twice"),
        (b"name: visits\nuri: 2017-02-30\n", "is not YAML: day is out of range"),
        (b"name: \xe9\n", "is not YAML: 'utf-8' codec"),
        (b"name: visits\n", "\n  description: is missing"),
    ],
)
def test_a_broken_definition_is_named(tmp_path, content, told):
    """Whatever is wrong with a model's own source, the error is of that source."""
    path = tmp_path / "sources" / "visits.yaml"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(SourceError, match=f"^{path}(.|\n)*{told}"):
        locate_source(Settings(home=tmp_path), "visits", (tmp_path,))


def test_tables_of_a_query():
    """Relations are those read, without the query's own common table expressions."""
    sql = "WITH a AS (SELECT * FROM t) SELECT * FROM a JOIN u USING (x) WHERE y IN (SELECT z FROM v)"
    assert {"t", "u", "v"} == tables_of(sql)
    with pytest.raises(SourceError, match="cannot be read"):
        tables_of("SELEC 1")
