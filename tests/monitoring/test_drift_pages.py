"""Pages of drift, and Evidently's part in them; in one file, since Evidently takes long to import."""

import re

import numpy as np
import pandas as pd
import pytest

from include.adapters.drift_report import DriftTests, drift_page, drift_values
from include.contracts.measurements import Monitor
from include.monitoring.drift_pages import write_feature_page
from include.stats.category_shift import stability_index
from include.stats.kolmogorov_smirnov import two_sample_ks
from tests.monitoring.test_feature_drift import look
from tests.monitoring.world import AS_OF

TESTS = DriftTests(numeric=["n"], categorical=["c"], p_value=0.05, index=0.2)


@pytest.fixture(scope="module")
def samples() -> list[pd.DataFrame]:
    """A reference and a window that has moved."""
    dice = np.random.default_rng(1)
    return [
        pd.DataFrame({"n": dice.normal(0, 1, 3_000), "c": dice.choice(["a", "b", "c"], 3_000)}),
        pd.DataFrame({"n": dice.normal(0.05, 1, 2_000), "c": dice.choice(["a", "b", "d"], 2_000)}),
    ]


def test_evidently_finds_the_same(samples):
    """KS and PSI are Evidently's to 1e-9, as long as no share lies below 1e-4."""
    reference, current = samples
    theirs = drift_values(reference, current, TESTS)
    ks = two_sample_ks(np.sort(reference["n"]), np.sort(current["n"]))
    counts = [each["c"].value_counts().reindex(list("abcd"), fill_value=0) for each in samples]
    # Of samples this small Evidently's p-value is scipy's exact one; ours is the asymptotic one.
    assert ks.p_value == pytest.approx(theirs["n"], rel=0.05)
    assert stability_index(*counts) == pytest.approx(theirs["c"], abs=1e-9)


def test_the_page_is_whole_and_says_what_it_shows(samples):
    """One file that asks nothing of the network, with our line above Evidently's."""
    page = drift_page(*samples, TESTS, "churn: <2 drifted> & more").decode()
    assert "churn: &lt;2 drifted&gt; &amp; more" in page
    assert "<script src=" not in page
    assert not re.search(r'<(link|img|iframe)[^>]+(href|src)="http', page)
    assert 500_000 < len(page) < 8_000_000


def test_a_page_is_drawn_of_a_sample_and_says_so(served, monkeypatch):
    """It lies in the artefact store under the run's moment, and the run knows where."""
    monkeypatch.setattr("include.monitoring.drift_pages.ROWS", 300)
    served.log(served.asked().assign(**{"avg_order_value_30d": None}))
    run, _ = look(served)
    contract = served.contract(feature_drift={"schedule": "every 6 hours"})
    uri = write_feature_page(served.settings, contract, AS_OF)
    assert "monitoring/churn/feature_drift/20171110T000000Z.html" == uri
    page = (served.settings.artefacts_folder / uri).read_text()
    assert "300 of 12,000 rows, drawn at random. Current: 300 of 400 rows, drawn at random" in page
    assert run.summary in page
    with served.store() as store:
        assert uri == store.last_run("churn", Monitor.FEATURE_DRIFT).report_uri


def test_nothing_is_drawn_of_nothing(served):
    """No rows, or no run at that moment: no page."""
    contract = served.contract(feature_drift={"schedule": "every 6 hours"})
    assert write_feature_page(served.settings, contract, AS_OF) is None
    look(served)
    assert write_feature_page(served.settings, contract, AS_OF) is None
