"""Who served when."""

from datetime import UTC, datetime, timedelta

import pytest

from include.adapters.ledger.routes import RouteChange
from include.contracts.releases import Approval, Decision, Release, ReleaseStage
from include.contracts.routes import ModelRoute
from include.pages.traffic import SHADOW, reigns, shares
from tests.adapters.ledger.changes import PLAN, route_to

START = datetime(2026, 1, 1, tzinfo=UTC)


def change(hour: int, route: ModelRoute | None) -> RouteChange:
    """Return a change of traffic at an hour."""
    return RouteChange(hour, START + timedelta(hours=hour), f"actor-{hour}", None, f"{hour}-x", route)


def split(champion: str, challenger: str, share: float) -> ModelRoute:
    """Return a route with a challenger."""
    return route_to(champion).model_copy(
        update={"challenger": route_to(challenger).champion, "share": share, "change_id": "r2"}
    )


def release(version: str, quorum: int = 1, release_id: str | None = None) -> Release:
    """Return a release of a version, named for it unless it says otherwise."""
    return Release(
        release_id=release_id or version,
        model="churn",
        version=version,
        champion_version=None,
        artefact_sha256="a",
        contract_sha256="c",
        plan=PLAN,
        thresholds={},
        quorum=quorum,
        stage=ReleaseStage.PROMOTED,
        requested_by="eve",
        triggered_by="eve",
        revision=1,
        opened_at=START,
    )


def yes(
    version: str, hour: int, by: str, decision: Decision = Decision.APPROVED, release_id: str | None = None
) -> Approval:
    """Return an answer about a version."""
    return Approval(
        release_id=release_id or version,
        model="churn",
        version=version,
        artefact_sha256="a",
        decision=decision,
        decided_by=by,
        decided_at=START + timedelta(hours=hour),
        evidence_sha256="e",
    )


def test_a_ramp_changes_no_champion_until_its_end():
    """Splits in between belong to the reign before; a retirement ends one and starts none."""
    changes = [
        change(1, route_to("1.0.0")),
        change(2, split("1.0.0", "1.0.1", 0.05)),
        change(3, split("1.0.0", "1.0.1", 0.25)),
        change(4, route_to("1.0.1")),
        change(5, None),
        change(6, route_to("1.0.0")),
    ]
    found = [
        (each.version, each.start.hour, each.end and each.end.hour, each.by)
        for each in reigns(changes, [], [])
    ]
    assert [
        ("1.0.0", 6, None, "actor-6"),
        ("1.0.1", 4, 5, "actor-4"),
        ("1.0.0", 1, 4, "actor-1"),
    ] == found


def test_only_who_had_said_yes_by_then_approved_it():
    """Not who said no, not who said yes later, not who spoke about another version; each once."""
    answers = [
        yes("1.0.0", 0, "ada"),
        yes("1.0.0", 0, "ada"),
        yes("1.0.0", 0, "bob", Decision.REJECTED, release_id="refused"),
        yes("1.0.1", 0, "cyd"),
        yes("1.0.0", 2, "dan"),
    ]
    releases = [release("1.0.0"), release("1.0.0", release_id="refused"), release("1.0.1")]
    [reign] = reigns([change(1, route_to("1.0.0"))], releases, answers)
    assert ("ada",) == reign.approved_by


@pytest.mark.parametrize(
    ("answers", "approved_by"),
    [
        ((("ada", 0),), ()),
        ((("ada", 0), ("bob", 0)), ("ada", "bob")),
        ((("ada", 0), ("bob", 2)), ()),
        ((("ada", 0), ("bob", 0, Decision.REJECTED)), ()),
    ],
    ids=["one of two", "both", "the second one later", "a yes and a no"],
)
def test_half_of_a_quorum_approves_nothing(answers, approved_by):
    """Nobody is named for a yes that was not enough by then."""
    given = [yes("1.0.0", hour, by, *decision) for by, hour, *decision in answers]
    [reign] = reigns([change(1, route_to("1.0.0"))], [release("1.0.0", quorum=2)], given)
    assert approved_by == reign.approved_by


def test_shares_add_up_and_the_shadow_stands_beside_them():
    """What answers sums to one; what is mirrored is named by its own share."""
    route = split("1.0.0", "1.0.1", 0.25).model_copy(
        update={"shadow": route_to("1.1.0").champion, "shadow_share": 0.5}
    )
    found = {each.variant: (each.version, each.share) for each in shares(route)}
    assert {
        "champion": ("1.0.0", 0.75),
        "challenger": ("1.0.1", 0.25),
        SHADOW: ("1.1.0", 0.5),
    } == found
