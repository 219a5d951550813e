import pyarrow
import pytest

from include.adapters.parquet import content_sha256, write_table

TABLE = pyarrow.table({"a": ["x", None, ""], "b": [1.5, None, 0.0]})


def test_equal_rows_leave_the_file_alone(tmp_path):
    """Writing what is there touches nothing; writing something else replaces it."""
    path = tmp_path / "t.parquet"
    assert write_table(path, TABLE)
    before = path.stat().st_mtime_ns
    assert not write_table(path, TABLE)
    assert before == path.stat().st_mtime_ns
    assert write_table(path, TABLE.slice(1))


def test_hash_is_of_content():
    """Chunks and offsets do not enter the hash."""
    parts = pyarrow.concat_tables([TABLE.slice(0, 1), TABLE.slice(1)])
    assert content_sha256(TABLE) == content_sha256(parts)
    assert content_sha256(TABLE.slice(1)) == content_sha256(TABLE.take([1, 2]))


@pytest.mark.parametrize(
    "other",
    [
        pyarrow.table({"a": ["x", "", None], "b": [1.5, None, 0.0]}),
        pyarrow.table({"a": ["x", None, ""], "b": [1.5, 0.0, None]}),
        pyarrow.table({"c": ["x", None, ""], "b": [1.5, None, 0.0]}),
        pyarrow.table({"a": ["", None, "x"], "b": [1.5, None, 0.0]}),
        TABLE.take([0, 2, 1]),
    ],
)
def test_hash_tells_tables_apart(other):
    """Values, nulls, names and order enter the hash."""
    assert content_sha256(TABLE) != content_sha256(other)
