import pytest
from pydantic import ValidationError

from include.contracts.routes import ModelRoute, RouteSnapshot
from tests.adapters.ledger.changes import route_to

CHAMPION, CANDIDATE, PREVIOUS = (route_to(version).champion for version in ("1.0.0", "2.0.0", "0.9.0"))


def with_shadow(**changes: object) -> ModelRoute:
    """A route with changes, validated."""
    return ModelRoute.model_validate(route_to("1.0.0").model_dump() | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shadow": CANDIDATE}, "a shadow_share above 0 goes with a shadow"),
        ({"shadow_share": 0.1}, "a shadow_share above 0 goes with a shadow"),
        ({"shadow": CANDIDATE, "shadow_share": 1.5}, "shadow_share"),
        ({"shadow": CHAMPION, "shadow_share": 0.1}, r"1\.0\.0 answers already"),
        (
            {
                "shadow": CANDIDATE,
                "shadow_share": 0.1,
                "challenger": CANDIDATE,
                "share": 0.1,
                "change_id": "r",
            },
            r"2\.0\.0 answers already",
        ),
    ],
)
def test_a_shadow_that_makes_no_sense_is_refused(changes, message):
    """A share needs a version and a version a share, and what answers is no shadow."""
    with pytest.raises(ValidationError, match=message):
        with_shadow(**changes)


def test_a_shadow_is_loaded_and_never_answers():
    """The platform keeps it in Triton; it is none of the versions that may answer."""
    shadowed = with_shadow(shadow=CANDIDATE, shadow_share=0.1, previous=PREVIOUS)
    snapshot = RouteSnapshot(snapshot_id="1-x", routes={"churn": shadowed})

    assert ["1.0.0", "0.9.0"] == [item.version for item in shadowed.versions]
    assert ("churn__0_9_0", "churn__1_0_0", "churn__2_0_0") == snapshot.triton_models


def test_the_previous_champion_may_shadow():
    """It is loaded once."""
    shadowed = with_shadow(shadow=PREVIOUS, shadow_share=1.0, previous=PREVIOUS)
    assert ["1.0.0", "0.9.0"] == [item.version for item in shadowed.loaded]


def test_a_mirrored_unit_stays_mirrored_as_the_share_grows():
    """Each shadow has places of its own."""
    units = [str(unit) for unit in range(1_000)]
    few, many = (with_shadow(shadow=CANDIDATE, shadow_share=share) for share in (0.1, 0.3))
    other = with_shadow(shadow=PREVIOUS, shadow_share=0.1)
    mirrored = [{unit for unit in units if each.mirrors(unit)} for each in (few, many, other)]

    assert mirrored[0] < mirrored[1]
    assert [pytest.approx(100, abs=35), pytest.approx(300, abs=55)] == [len(each) for each in mirrored[:2]]
    assert pytest.approx(10, abs=10) == len(mirrored[0] & mirrored[2])
