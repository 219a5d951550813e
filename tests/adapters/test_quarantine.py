import os
from datetime import UTC, datetime, timedelta

import pyarrow
import pytest

from include.adapters.quarantine import keep, remove_old
from include.config.settings import Settings

NOW = datetime(2026, 1, 31, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path):
    """Settings that keep batches for ten days."""
    return Settings(home=tmp_path, quarantine_days=10)


def kept(settings, source, batch, days):
    """Keep a batch, so many days before now; return both files."""
    path = keep(settings, source, batch, pyarrow.table({"reason": ["odd"]}), {"passed": True})
    moment = (NOW - timedelta(days=days)).timestamp()
    os.utime(path, (moment, moment))
    return {path, path.with_suffix(".json")}


def test_old_batches_go_and_the_newest_stays(settings):
    """Rows and result go together after ten days; of each source the newest stays, however old."""
    kept(settings, "purchases", "a", 30)
    kept(settings, "purchases", "b", 11)
    left = kept(settings, "purchases", "c", 9) | kept(settings, "products", "d", 400)
    assert 2 == remove_old(settings, NOW)
    assert left == set(settings.quarantine_folder.glob("*/*.*"))
    assert 0 == remove_old(settings, NOW)


def test_nothing_was_ever_set_aside(settings):
    """A platform without a quarantine has nothing to remove."""
    assert 0 == remove_old(settings, NOW)
