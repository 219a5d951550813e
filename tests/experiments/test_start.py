"""From a file to split traffic and back, with real packages, ledger and logs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from include.adapters.artefact_home import artefact_store
from include.adapters.tracking import Tracking
from include.contracts.alerts import Severity
from include.contracts.errors import ConflictError, ExperimentError, LeaseError, LedgerError
from include.contracts.experiment_results import Analysis, ExperimentReason, ExperimentVerdict
from include.contracts.experiments import ExperimentState
from include.contracts.releases import Decision
from include.experiments.act import act
from include.experiments.evidence import evidence_of
from include.experiments.propose import propose
from include.experiments.read import standing
from include.experiments.size import days_until
from include.experiments.start import running
from include.experiments.stop import advance, stop
from include.registry.register import register
from include.rollout.reconcile import plan_triton
from tests.adapters.ledger.trials import PLAN
from tests.experiments.shop import AS_OF, DAY, Shop, make_shop, open_shop
from tests.registry.candidates import write_candidate


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make what each test gets a copy of; MLflow does not run."""
    root = tmp_path_factory.mktemp("shop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        make_shop(root)
    return root


@pytest.fixture
def shop(template: Path, tmp_path: Path) -> Iterator[Shop]:
    """Give a model that serves, with a second version registered."""
    yield from open_shop(template, tmp_path)


def test_a_start_needs_the_yes_of_an_approver(shop: Shop) -> None:
    """Bound to plan and artefact; a deadline is no yes, a no outweighs a yes, strangers may not answer."""
    file, proposal = shop.propose()
    with pytest.raises(ExperimentError, match="0 of the 1 approvals"):
        shop.start(file, proposal)
    shop.answer(proposal, None, Decision.REJECTED)
    with pytest.raises(LedgerError, match="the answer is no"):
        shop.answer(proposal, None)
    with pytest.raises(ExperimentError, match="eve may not answer; its approvers are olga, uma"):
        shop.answer(proposal, "eve")
    shop.answer(proposal, "olga")
    other_file, other = shop.propose(within="9w")
    with pytest.raises(ExperimentError, match="0 of the 1 approvals"):
        shop.start(other_file, other)
    shop.answer(proposal, "uma", Decision.REJECTED)
    with pytest.raises(ExperimentError, match="0 of the 1 approvals"):
        shop.start(file, proposal)
    assert shop.ledger.verify() > 0


def test_a_start_splits_the_traffic_by_its_salt(shop: Shop) -> None:
    """The challenger stays loaded as long as the route names it; started again, it is the same."""
    begun = shop.started()
    route = shop.ledger.route("churn")
    assert (shop.candidate.version, 0.5, "offers-1") == (
        route.challenger.version,
        route.share,
        route.change_id,
    )
    assert (shop.champion.version, ("olga",), AS_OF) == (
        route.champion.version,
        begun.approved_by,
        begun.began_at,
    )
    assert begun == running(shop.ledger, shop.file())
    versions = shop.ledger.versions("churn")
    plan = plan_triton(versions, route, None, {"churn__1_0_0", f"churn__{begun.treatment_version}"})
    assert () == plan.unload
    with pytest.raises(ExperimentError, match=r"salt: 'offers-1' was used by an experiment that ada started"):
        shop.propose()
    with pytest.raises(ExperimentError, match="its traffic is split already, by offers-1"):
        shop.propose(salt="offers-2")


def test_several_treatments_share_the_traffic(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Approved together; each has places of its own, which rise with the ramp."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    store, tracking = artefact_store(shop.settings), Tracking(shop.settings, uri="http://127.0.0.1:9")
    uri = write_candidate(store, shop.folder, "three", factor=3.0)
    third = register(shop.settings, shop.ledger, tracking, shop.folder, uri, actor="ada")
    arms = [
        {"name": "control", "version": "champion", "share": 0.4},
        {"name": "mild", "version": shop.candidate.version, "share": 0.4},
        {"name": "bold", "version": "candidate", "share": 0.2},
    ]
    with pytest.raises(ExperimentError, match=r"variants\.1\.version: 1\.0\.2 is tried twice"):
        shop.propose(variants=[arms[0], arms[1] | {"version": third.version}, arms[2]])
    file, proposal = shop.propose(variants=arms, ramp=[0.1])
    assert "1.0.1 gets 10%, then 40% of the units" in evidence_of(file, proposal)
    assert "all treatments together (Holm)" in evidence_of(file, proposal)
    size = proposal.size
    # The small arm takes most: two to one beside its control, at half of alpha.
    assert (size.control, size.control // 2) == (size.treatment, pytest.approx(size.further[0], abs=1))
    shop.answer(proposal, "olga")
    begun = shop.start(file, proposal)
    assert ("1.0.1", "1.0.2") == begun.treatment_versions
    route = shop.ledger.route("churn")
    assert [("champion", 0.8), ("challenger", 0.1), ("challenger_2", 0.1)] == [
        (arm.variant, pytest.approx(arm.share)) for arm in route.arms
    ]
    assert 0.4 == route.further[0].start
    advance(shop.ledger, begun, actor="ada")
    assert [0.4, 0.4, 0.2] == [pytest.approx(arm.share) for arm in shop.ledger.route("churn").arms]
    loaded = {"churn__1_0_0", "churn__1_0_1", "churn__1_0_2"}
    assert () == plan_triton(shop.ledger.versions("churn"), route, None, loaded).unload
    done = stop(shop.ledger, begun, actor="ada", reason="enough")
    assert ExperimentState.STOPPED is done.state
    assert (None, ()) == ((after := shop.ledger.route("churn")).challenger, after.further)


def test_a_stop_gives_everything_back(shop: Shop) -> None:
    """All traffic to the control, the lease free, with a reason; stopped again, it stays as it is."""
    begun = shop.started()
    with pytest.raises(LedgerError, match="written reason"):
        stop(shop.ledger, begun, actor="ada", reason="")
    ended = stop(shop.ledger, begun, actor="ada", reason="enough")
    route = shop.ledger.route("churn")
    assert (None, 0.0, None) == (route.challenger, route.share, route.change_id)
    assert ended == stop(shop.ledger, begun, actor="ada", reason="again")
    assert shop.started(salt="offers-2").state is ExperimentState.RUNNING
    assert shop.ledger.verify() > 0


def test_a_ramp_goes_up_step_by_step(shop: Shop) -> None:
    """Its shares were approved with the plan."""
    begun = shop.started(ramp=[0.05, 0.2])
    assert 0.05 == begun.share == shop.ledger.route("churn").share
    second = advance(shop.ledger, begun, actor="ada")
    last = advance(shop.ledger, second, actor="ada")
    assert (0.2, 0.5, 0.5) == (second.share, last.share, shop.ledger.route("churn").share)
    with pytest.raises(ExperimentError, match=r"at its final share, 0\.5"):
        advance(shop.ledger, last, actor="ada")
    with pytest.raises(ConflictError, match="at revision 3, not 1"):
        advance(shop.ledger, begun, actor="ada")


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        (("9.9.9", "candidate"), r"variants\.0\.version: 1\.0\.0 serves, not 9\.9\.9"),
        (("champion", "9.9.9"), r"variants\.1\.version: churn has no version 9\.9\.9 beside its champion"),
        (("champion", "1.0.0"), r"variants\.1\.version: churn has no version 1\.0\.0 beside its champion"),
    ],
)
def test_only_versions_there_are_can_be_compared(shop: Shop, variants, message) -> None:
    """The control is what serves, the treatment another registered version."""
    names = zip(("control", "treatment"), variants, strict=True)
    written = [{"name": name, "version": version, "share": 0.5} for name, version in names]
    with pytest.raises(ExperimentError, match=message):
        shop.propose(variants=written)


def test_a_release_under_way_keeps_an_experiment_out(shop: Shop) -> None:
    """The lease is one for both."""
    file, proposal = shop.propose()
    shop.answer(proposal, "olga")
    shop.ledger.open_release(
        release_id="r1",
        model="churn",
        version=shop.candidate.version,
        champion_version="1.0.0",
        artefact_sha256=shop.candidate.artefact_sha256,
        contract_sha256="c",
        plan=shop.folder.contract.rollout,
        thresholds={},
        approvers=("olga",),
        quorum=1,
        requested_by="ada",
        triggered_by="ada",
    )
    with pytest.raises(LeaseError, match="release 'r1'"):
        shop.start(file, proposal)
    assert shop.ledger.route("churn").challenger is None


def test_a_plan_says_how_long_it_takes_and_refuses_what_takes_too_long(shop: Shop) -> None:
    """100 new units a day: 3,200 units take 32 days, and a fortnight for the outcomes."""
    shop.traffic(100)
    size = shop.propose()[1].size
    assert 3_186 == pytest.approx(size.control + size.treatment, abs=10)
    assert 100 == size.units_per_day
    assert ((size.control + size.treatment) / 100 + 14) * 86_400 == pytest.approx(size.expected_seconds)
    assert size.inflation_factor > 1.0
    file = shop.file(within="2w")
    with pytest.raises(ExperimentError, match=r"at 100 new units a day that takes 45\.\d days.* gives 28\.0"):
        propose(shop.settings, shop.ledger, file, AS_OF)
    forced = propose(shop.settings, shop.ledger, file, AS_OF, underpowered=True)
    assert "takes 45" in str(forced.problem)
    assert "**Underpowered.**" in evidence_of(file, forced)


def test_without_traffic_no_plan_ends(shop: Shop) -> None:
    """It says so; the same is read before the start."""
    with pytest.raises(ExperimentError, match="at 0 new units a day that is never reached"):
        propose(shop.settings, shop.ledger, shop.file(), AS_OF)
    told = standing(shop.settings, shop.ledger, shop.file(), AS_OF)
    assert ("1.0.0", None) == (told["control"], told["size"]["expected_seconds"])
    assert "never reached" in told["problem"]


def test_what_the_plan_leaves_open_is_measured(shop: Shop) -> None:
    """A baseline of a quarter, by those whose fortnight is over; without traffic it must be given."""
    primary = PLAN["primary"] | {"baseline": None}
    with pytest.raises(ExperimentError, match=r"primary\.baseline is not given, and the log cannot tell it"):
        shop.propose(primary=primary)
    shop.traffic(40, came_back=4)
    assert 0.25 == shop.propose(primary=primary)[1].size.baseline
    mean = {**primary, "kind": "mean"}
    assert 0.433 == pytest.approx(shop.propose(primary=mean)[1].size.standard_deviation, abs=0.002)


def test_days_follow_the_arrivals_seen() -> None:
    """Within the window as they came; after it as in its last quarter; from no traffic never."""
    assert 1.5 == days_until(150, [100, 100, 40, 40])
    assert 6.0 == days_until(360, [100, 100, 40, 40])
    assert days_until(1, [10, 0, 0, 0]) == 0.1
    assert days_until(11, [10, 0, 0, 0]) is None
    assert days_until(1, []) is None


def test_a_rollback_verdict_takes_the_traffic_away_and_others_tell(shop: Shop) -> None:
    """One alert an experiment, which gets worse or is resolved; done again it is done once."""
    begun = shop.started()

    def analysed(day: int, verdict: ExperimentVerdict, reason: ExperimentReason) -> Analysis:
        return Analysis(
            experiment_id="offers-1",
            as_of=AS_OF + day * DAY,
            verdict=verdict,
            reasons=(reason,),
            detail="because",
        )

    hold = analysed(1, ExperimentVerdict.HOLD, ExperimentReason.MISSING_DATA)
    assert begun == act(shop.ledger, begun, hold, actor="system")
    [alert] = shop.ledger.open_alerts("churn")
    assert (Severity.WARNING, "HOLD: because") == (alert.content.severity, alert.content.message)
    act(shop.ledger, begun, analysed(2, ExperimentVerdict.CONTINUE, ExperimentReason.LOOK_NOT_DUE), actor="s")
    assert () == shop.ledger.open_alerts("churn")
    worse = analysed(3, ExperimentVerdict.ROLLBACK, ExperimentReason.PRIMARY_WORSE)
    ended = act(shop.ledger, begun, worse, actor="system")
    assert (ExperimentState.ROLLED_BACK, "because") == (ended.state, ended.reason)
    assert shop.ledger.route("churn").challenger is None
    assert ended == act(shop.ledger, begun, worse, actor="system")
    assert 1 == len(shop.ledger.open_alerts("churn"))
    assert shop.ledger.verify() > 0
