from datetime import timedelta

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.routes import RouteUpdate
from include.contracts.errors import ChainError, ConflictError, LeaseError, LedgerError
from include.contracts.experiment_results import Analysis, ExperimentReason, ExperimentVerdict
from include.contracts.experiments import ExperimentState
from tests.adapters.ledger.changes import open_release, register, route_to, tamper
from tests.adapters.ledger.trials import BEGAN, experiment, plan, split, started

ALONE = route_to("1.0.0")


def analysis(day: int, verdict: ExperimentVerdict = ExperimentVerdict.CONTINUE) -> Analysis:
    """Return an analysis some days after the start."""
    return Analysis(
        experiment_id="offers-1",
        as_of=BEGAN + timedelta(days=day),
        verdict=verdict,
        reasons=(ExperimentReason.LOOK_NOT_DUE,),
        detail="",
    )


def test_a_start_takes_the_lease_and_splits_the_traffic(ledger: Ledger) -> None:
    """One transaction: the row, the lease, the route."""
    running = started(ledger)
    assert running == ledger.open_experiment_of("churn") == ledger.experiment("offers-1")
    assert (running,) == ledger.experiments("churn", "offers")
    route = ledger.route("churn")
    assert route is not None
    assert ("offers-1", 0.5) == (route.change_id, route.share)
    assert ledger.verify() == 3


def test_started_twice_is_started_once(ledger: Ledger) -> None:
    """A task that runs again finds what it did."""
    first = started(ledger)
    assert first == ledger.start_experiment(experiment(), RouteUpdate(split(), 1))
    assert ledger.verify() == 3


def test_a_release_and_an_experiment_exclude_each_other(ledger: Ledger) -> None:
    """Whoever comes second is told who holds the lease."""
    started(ledger)
    register(ledger, "1.0.1")
    with pytest.raises(LeaseError, match=r"experiment 'offers-1' of 1\.0\.1 against 1\.0\.0, started by ada"):
        open_release(ledger, "1.0.1")
    ended = ledger.end_experiment(
        "offers-1", 1, ExperimentState.STOPPED, actor="ada", reason="done", route=RouteUpdate(ALONE, 2)
    )
    open_release(ledger, "1.0.1")
    other = experiment(plan=plan(salt="offers-2"))
    with pytest.raises(LeaseError, match=r"release 'r1' of 1\.0\.1, awaiting_approval, opened by system"):
        ledger.start_experiment(other, RouteUpdate(split(), 3))
    assert ended == ledger.experiment("offers-1")
    assert ledger.open_experiment_of("churn") is None


def test_a_salt_is_never_used_again(ledger: Ledger) -> None:
    """Its units were assigned by it, and some of them treated."""
    started(ledger)
    with pytest.raises(ConflictError, match="write another salt"):
        ledger.start_experiment(experiment(plan=plan(within="9w")), RouteUpdate(split(), 2))
    ledger.end_experiment(
        "offers-1", 1, ExperimentState.STOPPED, actor="ada", reason="done", route=RouteUpdate(ALONE, 2)
    )
    with pytest.raises(ConflictError, match="is stopped, started by ada"):
        ledger.start_experiment(experiment(), RouteUpdate(split(), 3))


def test_nothing_is_started_where_the_route_moved(ledger: Ledger) -> None:
    """Route, lease and row go together."""
    ledger.change_route(RouteUpdate(ALONE, 0), actor="ada", reason="first")
    with pytest.raises(ConflictError, match="revision 1, not 0"):
        ledger.start_experiment(experiment(), RouteUpdate(split(), 0))
    assert ledger.experiment("offers-1") is None
    assert ledger.verify() == 1


def test_shares_only_rise(ledger: Ledger) -> None:
    """A unit that saw the treatment stays with it."""
    started(ledger, plan=plan(ramp=[0.1]))
    raised = ledger.advance_experiment("offers-1", 1, 0.5, actor="ada", route=RouteUpdate(split(), 2))
    assert (0.5, 2) == (raised.share, raised.revision)
    with pytest.raises(LedgerError, match="only ever rises"):
        ledger.advance_experiment("offers-1", 2, 0.1, actor="ada", route=RouteUpdate(split(0.1), 3))
    with pytest.raises(ConflictError, match="at revision 2, not 1"):
        ledger.advance_experiment("offers-1", 1, 0.6, actor="ada", route=RouteUpdate(split(), 3))
    assert ledger.verify() == 5


def test_an_end_needs_a_reason_and_is_the_end(ledger: Ledger) -> None:
    """It is kept, and nothing follows it."""
    started(ledger)
    end = {"actor": "ada", "route": RouteUpdate(ALONE, 2)}
    with pytest.raises(LedgerError, match="written reason"):
        ledger.end_experiment("offers-1", 1, ExperimentState.STOPPED, reason=" ", **end)
    ended = ledger.end_experiment("offers-1", 1, ExperimentState.ROLLED_BACK, reason="worse", **end)
    assert ("worse", ExperimentState.ROLLED_BACK) == (ended.reason, ended.state)
    with pytest.raises(LedgerError, match="it has ended"):
        ledger.end_experiment("offers-1", 2, ExperimentState.STOPPED, reason="x", actor="ada", route=None)
    assert ledger.verify() == 5


def test_a_rollback_of_the_model_ends_its_experiment(ledger: Ledger) -> None:
    """What takes its traffic away ends it in the same transaction; a shadow beside it does not."""
    started(ledger)
    shadowed = split().model_copy(update={"shadow": route_to("1.0.2").champion, "shadow_share": 0.5})
    ledger.change_route(RouteUpdate(shadowed, 2), actor="olga", reason="shadow")
    assert ledger.open_experiment_of("churn") is not None
    ledger.change_route(RouteUpdate(ALONE, 3), actor="olga", reason="it burns")
    ended = ledger.experiment("offers-1")
    assert ended is not None
    assert (ExperimentState.ROLLED_BACK, "it burns") == (ended.state, ended.reason)
    register(ledger, "1.0.1")
    open_release(ledger, "1.0.1")
    assert ledger.verify() > 0


def test_of_two_analyses_as_of_a_moment_the_first_stays(ledger: Ledger) -> None:
    """A look that was recorded is spent; running the task again does not look again."""
    started(ledger)
    first = ledger.record_analysis("churn", analysis(7), "system", earlier=0)
    again = analysis(7, ExperimentVerdict.HOLD)
    assert first == ledger.record_analysis("churn", again, "system", earlier=0)
    with pytest.raises(ConflictError, match="was analysed as of 2017-10-08T00:00:00"):
        ledger.record_analysis("churn", analysis(14), "system", earlier=0)
    ledger.record_analysis("churn", analysis(14), "system", earlier=1)
    assert (analysis(7), analysis(14)) == ledger.analyses("churn", "offers-1")
    assert first == ledger.analysis_as_of("churn", "offers-1", BEGAN + timedelta(days=7))
    other = analysis(7).model_copy(update={"experiment_id": "x"})
    with pytest.raises(LedgerError, match="no experiment 'x'"):
        ledger.record_analysis("churn", other, "system", earlier=0)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            "UPDATE experiments SET plan = replace(plan, '0.8', '0.9')",
            "experiments: the row of offers-1 was",
        ),
        ("UPDATE experiments SET state = 'stopped'", "experiments: the row of offers-1 was altered"),
        ("DELETE FROM experiments", "experiments: the row of offers-1 is gone"),
        ("UPDATE leases SET kind = 'release'", "leases: the row of offers-1 was altered"),
    ],
)
def test_edited_experiments_are_found(ledger: Ledger, url: str, edit: str, message: str) -> None:
    """`make verify-ledger` names a row that says otherwise than the chain."""
    started(ledger)
    tamper(url, edit)
    with pytest.raises(ChainError, match=message):
        ledger.verify()
