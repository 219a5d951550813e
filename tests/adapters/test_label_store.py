import pyarrow

from include.adapters.label_store import SCHEMA, read_labels, record_labels
from include.config.settings import Settings
from tests.shop import at


def labels(*rows):
    """Return (unit, event_at, known_at, value) rows as a table."""
    moment = pyarrow.timestamp("us", "UTC")
    types = (pyarrow.string(), moment, moment, pyarrow.float64())
    names = ("unit", "event_at", "known_at", "value")
    columns = zip(*rows, strict=True) if rows else ((),) * 4
    return pyarrow.table({n: pyarrow.array(c, t) for n, c, t in zip(names, columns, types, strict=True)})


DAY, KNOWN = at("2017-03-01"), at("2017-03-15")


def test_reading_looks_from_a_moment(tmp_path):
    """A label is read from the moment it is known, not before."""
    settings = Settings(home=tmp_path)
    assert 2 == record_labels(
        settings, "m", labels(("a", DAY, KNOWN, 1.0), ("b", DAY, KNOWN, 0.0)), "s", KNOWN
    )
    assert 0 == read_labels(settings, "m", at("2017-03-14")).num_rows
    found = read_labels(settings, "m", KNOWN)
    assert SCHEMA == found.schema
    assert [("a", 1.0, 1), ("b", 0.0, 1)] == list(
        zip(*(found[name].to_pylist() for name in ("unit", "value", "version")), strict=True)
    )


def test_equal_labels_change_nothing(tmp_path):
    """Recording the same labels again adds no row and leaves the file's bytes and time alone."""
    settings = Settings(home=tmp_path)
    record_labels(settings, "m", labels(("a", DAY, KNOWN, 1.0)), "s", KNOWN)
    path = settings.labels_folder / "m" / "2017-03-01.parquet"
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    assert 0 == record_labels(settings, "m", labels(("a", DAY, KNOWN, 1.0)), "s", at("2017-04-01"))
    assert before == (path.read_bytes(), path.stat().st_mtime_ns)


def test_a_correction_is_a_new_version(tmp_path):
    """A changed value is a second row known from then on; until then the old value stands."""
    settings = Settings(home=tmp_path)
    record_labels(settings, "m", labels(("a", DAY, KNOWN, 1.0)), "s", KNOWN)
    later = at("2017-04-01")
    changed = labels(("a", DAY, KNOWN, 0.0), ("late", DAY, KNOWN, 1.0))
    assert 2 == record_labels(settings, "m", changed, "s", later)
    assert [("a", 1.0, 1)] == seen(settings, at("2017-03-31"))
    assert [("a", 0.0, 2), ("late", 1.0, 1)] == seen(settings, later)


def test_replaying_the_past_does_not_overrule_a_correction(tmp_path):
    """What was found out later stands when an earlier moment is computed again."""
    settings = Settings(home=tmp_path)
    record_labels(settings, "m", labels(("a", DAY, KNOWN, 1.0)), "s", KNOWN)
    record_labels(settings, "m", labels(("a", DAY, KNOWN, 0.0)), "s", at("2017-04-01"))
    assert 0 == record_labels(settings, "m", labels(("a", DAY, KNOWN, 1.0)), "s", KNOWN)
    assert [("a", 0.0, 2)] == seen(settings, at("2017-05-01"))


def test_an_empty_store_reads_as_no_rows(tmp_path):
    """A model without labels has none, in the right columns."""
    assert SCHEMA.empty_table() == read_labels(Settings(home=tmp_path), "m", KNOWN)


def seen(settings, known_by):
    """Return (unit, value, version) as known by a moment."""
    found = read_labels(settings, "m", known_by)
    return list(zip(*(found[name].to_pylist() for name in ("unit", "value", "version")), strict=True))
