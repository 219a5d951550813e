"""What was answered, beside what the shadow said, out of a real log."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.ledger.routes import RouteUpdate
from include.adapters.prediction_log import PredictionLog
from include.commands.shadow import shadow
from include.commands.shadow_report import shadow_report
from include.config.settings import Settings
from include.contracts.errors import LedgerError, PlatformError, RegistryError
from include.contracts.predictions import PredictionRow, Source
from tests.adapters.ledger.changes import register, route_to
from tests.adapters.test_prediction_log import MOMENT, row


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """Give settings with a ledger whose model churn serves 1.0.0."""
    settings = Settings(home=tmp_path)
    upgrade(settings.ledger_uri)
    ledger = Ledger(settings.ledger_uri)
    register(ledger)
    ledger.change_route(RouteUpdate(route_to("1.0.0"), 0), actor="system", reason="a test's")
    yield settings
    ledger.close()


def log(settings: Settings, rows: list[PredictionRow]) -> None:
    """Write rows."""
    writer = PredictionLog(settings.predictions_folder, settings.segment_bytes)
    writer.append(rows)
    writer.close()


def mirrored(answered: PredictionRow, score: float | None) -> PredictionRow:
    """The row of an answer's shadow; no score is a failure."""
    return row(
        answered.predicted_at,
        source=Source.SHADOW,
        shadow_of=answered.prediction_id,
        served_version=None if score is None else "2.0.0",
        outputs=None if score is None else (score,),
        latency_seconds=0.002,
    )


def test_pairs_are_compared_request_by_request(settings):
    """Differences, decisions and latencies; what was not mirrored does not count, failures are told."""
    answers = [row(outputs=(score,)) for score in (0.2, 0.4, 0.6, 0.8, 0.9)]
    log(settings, answers)
    log(settings, [mirrored(answers[place], score) for place, score in enumerate((0.3, 0.6, 0.6, None))])
    report = shadow_report(settings, "churn", "", "", "")

    assert "churn: 4 mirrored requests\n  the shadow gave no score for 1\n2.0.0 beside 1.0.0\n" in report
    lines = {line[2:26].strip(): line[26:].strip() for line in report.splitlines()[3:]}
    assert ("3", "+0.100000", "+0.100000", "0.200000") == (
        lines["pairs"],
        lines["mean difference"],
        lines["difference p50"],
        lines["largest difference"],
    )
    assert "1 (33.33%)" == lines["decided otherwise"]
    assert "p50 2.00 ms" in lines["shadow, its batch alone"]


def test_the_window_and_the_threshold_are_the_callers(settings):
    """Half-open in event time."""
    for days in (0, 1):
        answer = row(MOMENT + timedelta(days=days), outputs=(0.2,))
        log(settings, [answer, mirrored(answer, 0.3)])
    report = shadow_report(settings, "churn", MOMENT.isoformat(), "2017-11-02", "0.25")

    assert "churn: 1 mirrored" in report
    assert "1 (100.00%)" in report


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", "", "", ""), "usage: make shadow-report"),
        (("churn", "", "", ""), "no request of churn was mirrored then"),
        (("churn", "yesterday", "", ""), "is no day or moment"),
    ],
)
def test_what_cannot_be_compared_is_said(settings, arguments, message):
    """The message says what to type."""
    with pytest.raises(PlatformError, match=message):
        shadow_report(settings, *arguments)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (("", "", ""), PlatformError, "usage: make shadow"),
        (("churn", "2.0.0", "some"), PlatformError, "SHARE=some is no number"),
        (("churn", "", "0.1"), PlatformError, "usage: make shadow"),
        (("churn", "2.0.0", "1.5"), LedgerError, "above 0 and up to 1"),
        (("churn", "2.0.0", "nan"), LedgerError, "above 0 and up to 1"),
        (("churn", "2.0.0", "0.1"), RegistryError, r"no version 2\.0\.0; registered: 1\.0\.0"),
        (("churn", "1.0.0", "0.1"), RegistryError, r"1\.0\.0 answers already"),
        (("spend", "1.0.0", "0.1"), LedgerError, "spend serves nothing"),
        (("spend", "", "0"), LedgerError, "spend serves nothing"),
    ],
)
def test_a_shadow_that_cannot_be_is_refused_before_triton_is_asked(settings, arguments, kind, message):
    """No Triton runs here."""
    with pytest.raises(kind, match=message):
        shadow(settings, *arguments)
