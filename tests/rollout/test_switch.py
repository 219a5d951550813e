import pytest

from include.contracts.routes import ModelRoute
from include.rollout.switch import shadow_beside, ttl_beside
from tests.adapters.ledger.changes import route_to

SHADOWED = ModelRoute.model_validate(
    route_to("1.0.0").model_dump()
    | {
        "shadow": route_to("2.0.0").champion,
        "shadow_share": 0.5,
        "feature_ttl_seconds": {"shop": 60.0, "new": 9.0},
    }
)


@pytest.mark.parametrize(
    ("before", "champion", "share"),
    [
        (SHADOWED, "1.1.0", 0.5),
        (SHADOWED, "2.0.0", 0.0),
        (route_to("1.0.0"), "1.1.0", 0.0),
        (None, "1.0.0", 0.0),
    ],
)
def test_a_shadow_outlives_a_release_but_not_its_own(before, champion, share):
    """Once it is champion it is no shadow any more."""
    kept = shadow_beside(before, champion)
    assert (share, share > 0) == (kept["shadow_share"], kept["shadow"] is not None)


def test_views_of_a_shadow_alone_keep_their_ttl():
    """A new champion's own views have its TTL; without a shadow nothing of the route before stays."""
    assert {"shop": 30.0, "new": 9.0} == ttl_beside(SHADOWED, {"shop": 30.0})
    assert {"shop": 30.0} == ttl_beside(route_to("1.0.0"), {"shop": 30.0})
