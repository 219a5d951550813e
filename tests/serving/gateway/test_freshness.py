"""Every way a view can lack a usable value, under both policies, pure and as the log keeps it."""

from datetime import timedelta

import pytest

from include.contracts.predictions import FallbackReason, Status
from serving.gateway.freshness import enrich
from serving.gateway.problems import Problem
from tests.serving.gateway.conftest import NOW, Row, route, version_route

INPUTS = [
    {"name": "spend", "kind": "numeric", "view": "money"},
    {"name": "visits", "kind": "numeric", "view": "traffic"},
]
TTL = timedelta(days=2)
FRESH, OLD, FUTURE = NOW - timedelta(days=1), NOW - timedelta(days=3), NOW + timedelta(seconds=1)
VALUES = {"spend": 3.0, "visits": 4}
BY_VIEW = {"money": {"spend": 3.0}, "traffic": {"visits": 4}}

CASES = [
    # money's and traffic's event time, the refusal, the reason, the features under `default`
    (FRESH, FRESH, None, None, VALUES),
    (NOW, NOW - TTL, None, None, VALUES),
    (OLD, FRESH, "stale-features", FallbackReason.STALE_FEATURES, {"spend": None, "visits": 4}),
    (OLD, OLD, "stale-features", FallbackReason.STALE_FEATURES, dict.fromkeys(VALUES)),
    (None, FRESH, "missing-features", FallbackReason.MISSING_FEATURES, {"spend": None, "visits": 4}),
    (FUTURE, FRESH, "missing-features", FallbackReason.MISSING_FEATURES, {"spend": None, "visits": 4}),
    (None, OLD, "stale-features", FallbackReason.STALE_FEATURES, dict.fromkeys(VALUES)),
    (None, None, "unknown-entity", FallbackReason.MISSING_FEATURES, dict.fromkeys(VALUES)),
    (FUTURE, None, "unknown-entity", FallbackReason.MISSING_FEATURES, dict.fromkeys(VALUES)),
]


def two_views(policy, endpoint="127.0.0.1:1"):
    """What a route of a model with two views is made of."""
    return {
        "champion": version_route("1.0.0", endpoint, inputs=INPUTS),
        "feature_ttl_seconds": dict.fromkeys(["money", "traffic"], TTL.total_seconds()),
        "stale_policy": policy,
    }


@pytest.mark.parametrize(("money", "traffic", "slug", "reason", "features"), CASES)
def test_policies(money, traffic, slug, reason, features):
    """`reject` refuses what is not fresh, `default` gives missing values and says why."""
    stamps = {"money": money, "traffic": traffic}
    lenient, strict = (
        route("127.0.0.1:1", **two_views("default")),
        route("127.0.0.1:1", **two_views("reject")),
    )
    enriched = enrich(lenient, lenient.champion.signature.views, BY_VIEW, stamps, NOW)
    used = {name: stamp for name, stamp in stamps.items() if stamp and NOW - TTL <= stamp <= NOW}
    assert (features, reason) == (enriched.features, enriched.reason)
    assert dict.fromkeys(stamps) | used == enriched.timestamps
    assert min(used.values(), default=None) == enriched.as_of
    if slug is None:
        again = enrich(strict, strict.champion.signature.views, BY_VIEW, stamps, NOW)
        assert (enriched.features, enriched.timestamps) == (again.features, again.timestamps)
    else:
        with pytest.raises(Problem) as refusal:
            enrich(strict, strict.champion.signature.views, BY_VIEW, stamps, NOW)
        assert slug == refusal.value.kind.slug


def test_versions_that_read_one_name_from_two_views():
    """While a feature moves from one view to another, each version is given its own view's."""
    moved = [{"name": "spend", "kind": "numeric", "view": view} for view in ("money", "traffic")]
    both = route(
        "127.0.0.1:1",
        **two_views("reject")
        | {
            "champion": version_route("1.0.0", "127.0.0.1:1", inputs=moved[:1]),
            "challenger": version_route("1.1.0", "127.0.0.1:1", inputs=moved[1:]),
            "share": 0.5,
            "change_id": "r1",
        },
    )
    values, stamps = {"money": {"spend": 1.0}, "traffic": {"spend": 2.0}}, {"money": FRESH, "traffic": FRESH}
    given = [
        enrich(both, version.signature.views, values, stamps, NOW).features["spend"]
        for version in both.versions
    ]
    assert [1.0, 2.0] == given


@pytest.mark.parametrize("case", CASES[2:5])
def test_answer_and_log_say_so(start, triton, case):
    """Refused: the problem and the row's error name it. Defaulted: `fallback` and the row's reason do."""
    money, traffic, slug, reason, features = case
    stage = start(**two_views("reject", triton[1]))
    stage.features.rows[1] = Row(BY_VIEW, {"money": money, "traffic": traffic})
    refused = stage.predict({"entity": {"customer_id": 1}})
    stage.reroute("2-default", **two_views("default", triton[1]))
    answer = stage.predict({"entity": {"customer_id": 1}}).json()
    first, second = stage.rows()

    assert (422, f"/docs#{slug}") == (refused.status_code, refused.json()["type"])
    assert (Status.REFUSED, True) == (first.status, first.error.startswith(f"{slug}: "))
    assert reason == answer["fallback"] == second.fallback_reason
    assert (Status.FALLBACK, features) == (second.status, second.features)
    assert traffic is OLD or {"money": None, "traffic": traffic} == second.feature_timestamps
