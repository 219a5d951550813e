import pytest

from include.contracts.errors import RegistryError
from include.contracts.routes import StalePolicy
from include.scoring.plan import plan_batch
from tests.scoring.conftest import AS_OF


def test_without_a_champion_there_is_no_plan(stage):
    """A registered version serves nothing until it is released."""
    stage.registered()
    assert plan_batch(stage.settings, stage.ledger, stage.shop.churn.contract, AS_OF) is None


def test_the_champion_answers_by_its_route(stage):
    """Policy and default score are what the gateway has."""
    stage.released(stale_policy=StalePolicy.DEFAULT, default_score=(0.5,))
    plan = stage.plan()
    assert ("1.0.0", StalePolicy.DEFAULT, (0.5,)) == (plan.version, plan.stale_policy, plan.default_score)
    assert stage.ledger.snapshot_id() == plan.route_snapshot_id


def test_a_version_that_never_served_can_be_named(stage):
    """It is scored by its contract."""
    version = stage.approved(stage.registered())
    plan = stage.plan(version=version.version)
    assert (version.artefact_sha256, StalePolicy.REJECT) == (plan.artefact_sha256, plan.stale_policy)
    assert "none" == plan.route_snapshot_id


def test_a_version_nobody_approved_is_not_scored(stage):
    """What nobody has said yes to does not come into the log."""
    version = stage.registered()
    with pytest.raises(RegistryError, match=r"churn 1\.0\.0 was never approved; release it first"):
        stage.plan(version=version.version)


def test_an_unknown_version_is_named_with_those_there_are(stage):
    """A typing error is not a batch."""
    stage.registered()
    with pytest.raises(RegistryError, match=r"churn 3\.0\.0 is not registered; there are: 1\.0\.0"):
        stage.plan(version="3.0.0")
