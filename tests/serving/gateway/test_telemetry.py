import re
from datetime import timedelta

import pytest

from include.config.settings import REPOSITORY_ROOT
from tests.serving.gateway.conftest import NOW, Row, serving, version_route, wait_for

PAGE = REPOSITORY_ROOT / "docs" / "telemetry.md"
ONE = {"entity": {"customer_id": 1}}


def test_every_metric_is_documented(stage):
    """docs/telemetry.md names each metric of the gateway, and none that does not exist."""
    stage.predict(ONE)
    families = set(re.findall(r"^# TYPE (gateway_\w+)", stage.client.get("/metrics").text, re.M))
    created = {name for name in families if name.endswith("_created")}
    named = {name.removesuffix("_total") for name in families - created}

    documented = set(re.findall(r"^\| `(gateway_\w+?)(?:_total)?` \|", PAGE.read_text("utf-8"), re.M))
    assert named == documented


def test_predictions_are_timed_by_variant_and_version(tmp_path, triton):
    """A challenger's answers are told from the champion's."""
    challenger = {"challenger": version_route("2.0.0", triton[1]), "share": 1.0, "change_id": "r-1"}
    with serving(tmp_path, triton, **challenger) as stage:
        stage.predict(ONE)
        text = stage.client.get("/metrics").text

    assert 'gateway_prediction_seconds_count{model="churn",variant="challenger",version="2.0.0"} 1.0' in text
    assert 'version="1.0.0"' not in text


@pytest.mark.parametrize(("hours", "bucket"), [(1, "3600.0"), (30, "129600.0")])
def test_the_oldest_views_age_is_observed(stage, hours, bucket):
    """As of the moment of the prediction, whatever the time is now."""
    features = {"customer_spending": {"total_spend_30d": 1.0, "orders_30d": 1, "preferred_category": "DELI"}}
    stage.features.rows[1] = Row(features, {"customer_spending": NOW - timedelta(hours=hours)})
    stage.predict(ONE)
    text = stage.client.get("/metrics").text

    assert f'gateway_feature_age_seconds_sum{{model="churn"}} {hours * 3600.0}' in text
    assert f'gateway_feature_age_seconds_bucket{{le="{bucket}",model="churn"}} 1.0' in text


def test_fallbacks_are_counted_by_reason(start):
    """A stale view under the policy `default` is an answer, and counted."""
    stage = start(stale_policy="default")
    stage.features.rows[1] = Row({}, {"customer_spending": None})
    stage.predict(ONE)

    counted = 'gateway_fallbacks_total{model="churn",reason="missing_features"} 1.0'
    wait_for(lambda: counted in stage.client.get("/metrics").text)


def test_the_process_tells_its_memory_and_its_time(stage):
    """Prometheus' own names for them."""
    text = stage.client.get("/metrics").text
    assert re.search(r"^process_resident_memory_bytes \d", text, re.M)
    assert re.search(r"^process_cpu_seconds_total \d", text, re.M)
