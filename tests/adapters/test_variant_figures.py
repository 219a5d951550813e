"""Tests of what requests of each variant came to, on a real log."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.adapters import variant_figures
from include.adapters.prediction_log import PredictionLog
from include.adapters.variant_figures import Arm, VariantReader
from include.config.settings import Settings
from include.contracts.predictions import FallbackReason, PredictionRow, Source, Status
from include.monitoring.compaction import compact_predictions
from tests.adapters.test_prediction_log import row

BEGAN_AT = datetime(2026, 1, 1, tzinfo=UTC)
CANARY = Arm(Source.LIVE, "release-1", 0.05, "challenger")


def asked(variant: str = "challenger", **changes: object) -> PredictionRow:
    """A row of a request during the first stage of a ramp, about a day of 2017."""
    values = {"recorded_at": BEGAN_AT, "release_or_experiment_id": "release-1", "share": 0.05}
    return row(**{**values, "assigned_variant": variant, **changes})


def write(settings: Settings, rows: list[PredictionRow]) -> None:
    """Append rows with a writer of their own, which seals its segment."""
    log = PredictionLog(settings.predictions_folder, 2**20)
    log.append(rows)
    log.close()


@pytest.fixture
def replaying(tmp_path: Path) -> Settings:
    """Settings of a platform that replays history."""
    return Settings(home=tmp_path, replay=True)


def test_requests_are_told_apart_by_what_their_rows_say(replaying: Settings) -> None:
    """Change, share, variant and source; rows of other models, and of before, do not count."""
    write(
        replaying,
        [
            asked(unit="1", latency_seconds=0.25),
            asked(unit="2"),
            asked("champion"),
            asked(share=0.1),
            asked(release_or_experiment_id="another"),
            asked(source=Source.DRILL),
            asked(model="spend"),
            asked(recorded_at=BEGAN_AT - timedelta(seconds=1)),
            asked("champion", share=None),
        ],
    )
    found = VariantReader(replaying, "churn", BEGAN_AT).read()
    assert {
        CANARY: 2,
        Arm(Source.LIVE, "release-1", 0.05, "champion"): 1,
        Arm(Source.LIVE, "release-1", 0.1, "challenger"): 1,
        Arm(Source.LIVE, "another", 0.05, "challenger"): 1,
        Arm(Source.DRILL, "release-1", 0.05, "challenger"): 1,
        Arm(Source.LIVE, "release-1", None, "champion"): 1,
    } == {arm: sample.requests for arm, sample in found.items()}
    assert [0.001, 0.25] == sorted(found[CANARY].latencies.tolist())


@pytest.mark.parametrize(
    ("changes", "error", "fallback"),
    [
        ({}, 0, 0),
        ({"status": Status.FALLBACK, "fallback_reason": FallbackReason.MODEL_ERROR}, 1, 1),
        ({"status": Status.FALLBACK, "fallback_reason": FallbackReason.BREAKER_OPEN}, 1, 1),
        ({"status": Status.FALLBACK, "fallback_reason": FallbackReason.STALE_FEATURES}, 0, 1),
        ({"status": Status.FAILED, "outputs": None}, 1, 0),
        ({"status": Status.REFUSED, "outputs": None}, 1, 0),
    ],
)
def test_an_error_is_what_the_assigned_version_did_not_answer(
    replaying: Settings, changes: dict[str, object], error: int, fallback: int
) -> None:
    """Whoever answered in its place; a fallback for want of fresh features is none of its doing."""
    write(replaying, [asked(**changes)])
    sample = VariantReader(replaying, "churn", BEGAN_AT).read()[CANARY]
    assert error == sample.tally("error_ratio").failures
    assert fallback == sample.tally("fallback_ratio").failures
    assert (changes.get("fallback_reason") is FallbackReason.BREAKER_OPEN) == bool(sample.breaker_open)


def test_compaction_changes_no_figure(replaying: Settings) -> None:
    """Read raw, compacted, and by a reader that has seen both."""
    write(
        replaying,
        [
            asked(unit=str(n % 3), status=Status.FAILED if n % 2 else Status.OK, latency_seconds=n / 100)
            for n in range(10)
        ],
    )
    reader = VariantReader(replaying, "churn", BEGAN_AT)
    raw = reader.read()[CANARY]
    compact_predictions(replaying, BEGAN_AT + timedelta(days=1))
    for again in (reader.read()[CANARY], VariantReader(replaying, "churn", BEGAN_AT).read()[CANARY]):
        assert raw.tally("error_ratio") == again.tally("error_ratio")
        assert sorted(raw.latencies.tolist()) == sorted(again.latencies.tolist())
        assert set(raw.units.tolist()) == set(again.units.tolist())


def test_what_cannot_change_is_read_once(replaying: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second look reads the new segment only, and counts both."""
    read: list[Path] = []
    payloads = variant_figures.read_payloads
    monkeypatch.setattr(variant_figures, "read_payloads", lambda path: read.append(path) or payloads(path))
    reader = VariantReader(replaying, "churn", BEGAN_AT)
    write(replaying, [asked()])
    assert 1 == reader.read()[CANARY].requests
    write(replaying, [asked(), asked()])
    assert (3, 2, 2) == (reader.read()[CANARY].requests, len(read), len(set(read)))


def test_live_traffic_is_looked_for_where_it_is(tmp_path: Path) -> None:
    """Without a replay, days of event time long before the ramp are not looked at."""
    live = Settings(home=tmp_path)
    write(live, [asked(), asked(predicted_at=BEGAN_AT)])
    assert 1 == VariantReader(live, "churn", BEGAN_AT).read()[CANARY].requests
    assert {} == VariantReader(live, "spend", BEGAN_AT).read()
