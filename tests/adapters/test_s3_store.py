import io

import pytest

from include.adapters.artefacts import ArtefactStore
from include.adapters.compacted_home import CompactedStore
from include.adapters.prediction_parquet import read, to_table, write
from include.adapters.s3_store import READ_BYTES, S3Store
from include.contracts.errors import ArtefactError
from tests.adapters.test_prediction_log import row
from tests.buckets import new_bucket


@pytest.fixture(params=["folder", "bucket", "prefix"])
def store(request, tmp_path) -> CompactedStore:
    """Each kind of store, empty."""
    if request.param == "folder":
        return ArtefactStore(tmp_path)
    request.getfixturevalue("s3")
    return S3Store(f"s3://{new_bucket()}{'/some/where' if request.param == 'prefix' else ''}")


def test_what_is_written_is_read(store):
    """Whole, in parts, replaced, listed and deleted; deleting twice does nothing."""
    store.write("model=a/day=1/x.parquet", b"one")
    store.write("model=a/day=1/x.parquet", b"three")
    store.write("model=b/day=1/y.parquet", b"two")
    store.write("model=b/day=2/z.parquet", b"")
    store.write("days/1.json", b"{}")

    assert ["model=a/day=1/x.parquet", "model=b/day=1/y.parquet"] == store.uris("model=*/day=1/*.parquet")
    assert ["days/1.json"] == store.uris("days/*.json")
    assert [] == store.uris("days/*/*.json")
    with store.open("model=a/day=1/x.parquet") as file:
        assert (2, b"re", b"e", b"") == (file.seek(-3, io.SEEK_END), file.read(2), file.read(), file.read())
    with store.open("model=b/day=2/z.parquet") as file:
        assert b"" == file.read()
    for _ in range(2):
        store.delete("days/1.json")
    assert [] == store.uris("days/*.json")
    with pytest.raises(ArtefactError, match=r"days/1\.json"):
        store.open("days/1.json")


def test_only_who_saw_it_replaces(store):
    """A tag of before, a tag of what is gone, none for what is there: all are refused, nothing changes."""
    assert store.tagged("record") is None
    store.replace("record", b"1", None)
    content, first = store.tagged("record")
    store.replace("record", b"2", first)
    for tag in (first, None):
        with pytest.raises(ArtefactError, match="changed meanwhile"):
            store.replace("record", b"3", tag)
    assert (b"1", b"2") == (content, store.tagged("record")[0])
    store.delete("record")
    with pytest.raises(ArtefactError, match="changed meanwhile"):
        store.replace("record", b"3", first)
    assert store.tagged("record") is None


@pytest.mark.slow
@pytest.mark.usefixtures("s3")
def test_a_listing_has_no_end():
    """More than one answer of the server holds."""
    store = S3Store(f"s3://{new_bucket()}")
    for number in range(1_001):
        store.write(f"days/{number}.json", b"")
    assert 1_001 == len(store.uris("days/*.json"))


@pytest.mark.usefixtures("s3")
def test_a_part_is_fetched_alone(monkeypatch):
    """Of a large file little more is asked for than is read."""
    store = S3Store(f"s3://{new_bucket()}")
    store.write("large", bytes(range(256)) * (40 * READ_BYTES // 256))
    asked = []
    part = S3Store.part
    monkeypatch.setattr(S3Store, "part", lambda *given: asked.append(given[3]) or part(*given))

    with store.open("large") as file:
        file.seek(7 * 256 + 5)
        assert bytes(range(5, 105)) == file.read(100)
    assert [READ_BYTES] == asked


@pytest.mark.usefixtures("s3")
def test_a_file_that_goes_while_it_is_read_is_an_error_by_name():
    """Through Arrow, which reads it, too."""
    store = S3Store(f"s3://{new_bucket()}")
    store.write("x", write(to_table([row()])))
    with store.open("x") as file:
        store.delete("x")
        with pytest.raises(ArtefactError, match="NoSuchKey"):
            list(read(file))


@pytest.mark.usefixtures("s3")
def test_a_bucket_out_of_reach_is_an_error_by_name():
    """A bucket that is not there is never mistaken for an empty one."""
    missing = S3Store("s3://no-such-bucket/prefix")
    for ask in (
        lambda: missing.uris("days/*.json"),
        lambda: missing.write("x", b""),
        lambda: missing.open("x"),
    ):
        with pytest.raises(ArtefactError, match=r"s3://no-such-bucket/prefix"):
            ask()
    with pytest.raises(ArtefactError, match="NoSuchBucket"):
        missing.tagged("x")
