"""The decisions of a rollout, without Triton."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from include.adapters.artefacts import ArtefactStore
from include.adapters.golden import worst_deviation
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.ledger.routes import RouteUpdate
from include.adapters.packages import package_uri, publish_package
from include.adapters.triton_control import TritonControl
from include.config.models import ModelFolder
from include.config.settings import Settings
from include.contracts.errors import ArtefactError, ConflictError, ContractError, LedgerError, RegistryError
from include.contracts.events import EventKind
from include.contracts.model import ModelContract
from include.contracts.packages import CodeState, GoldenCase, GoldenSet, Manifest, Version
from include.contracts.ramps import RampStage
from include.contracts.releases import Decision, Release, ReleaseStage
from include.contracts.reports import Assessment
from include.contracts.routes import ModelRoute
from include.rollout.approval import follow_answers, is_approved, may_approve, record_decision
from include.rollout.bounds import bounds_of
from include.rollout.evidence import evidence
from include.rollout.load import load_release
from include.rollout.open import open_release, thresholds
from include.rollout.reconcile import TritonPlan, plan_triton
from include.rollout.rollback import roll_back
from include.stats.ramp_requests import needed_requests
from tests.adapters.ledger import changes
from tests.adapters.ledger.changes import route_to
from tests.registry.candidates import evaluation_report, model_folder, opened, training_record

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Kept(Ledger):
    """A ledger with the artefact store and the model folder beside it."""

    store: ArtefactStore
    folder: ModelFolder


@pytest.mark.parametrize(
    ("approvers", "requested_by", "triggered_by", "expected"),
    [
        (("olga", "uma"), "ada", "ada", ("olga", "uma")),
        (("olga", "uma"), "olga", "ada", ("uma",)),
        (("olga", "uma"), "ada", "uma", ("olga",)),
        (("olga", "uma", "ida"), "olga, uma", "system", ("ida",)),
        (("olg", "uma"), "olga", "system", ("olg", "uma")),
        (("olga", "uma"), "system", "system", ("olga", "uma")),
        (("system", "uma"), "system", "ada", ("system", "uma")),
    ],
)
def test_four_eyes(
    approvers: tuple[str, ...], requested_by: str, triggered_by: str, expected: tuple[str, ...]
) -> None:
    """All who asked and who triggered may not approve; `system` excludes nobody."""
    assert expected == may_approve(approvers, requested_by, triggered_by)


@pytest.mark.parametrize(
    ("approvers", "quorum"), [(("olga",), 1), (("olga", "uma"), 2), ((), 1), (("olga",), 0)]
)
def test_nobody_left_is_an_error(approvers: tuple[str, ...], quorum: int) -> None:
    """Where too few are left, the release is refused rather than approved by nobody."""
    with pytest.raises(ContractError, match="olga requested and ada triggered"):
        may_approve(approvers, "olga", "ada", quorum)


@pytest.fixture
def contract(tmp_path: Path) -> ModelContract:
    """Give churn's contract with three approvers."""
    contract = model_folder(tmp_path / "models").contract
    approvers = contract.approvers.model_copy(update={"users": ("ada", "olga", "uma")})
    return contract.model_copy(update={"approvers": approvers})


@pytest.fixture
def version(ledger: Kept) -> Version:
    """Give a registered version that ada asked for."""
    return _register(ledger, "1.0.0")


def _register(ledger: Kept, number: str) -> Version:
    record = training_record(ledger.folder, f"run-{number}")
    digest = publish_package(ledger.store, Manifest(**dict(record), files={}), {})
    return ledger.register_version(
        model="churn",
        version=number,
        artefact_sha256=digest,
        package_uri=package_uri("churn", digest),
        run_id=f"run-{number}",
        requested_by="ada",
        actor="ada",
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Give settings with a home for each test: each needs a ledger of its own."""
    return Settings(home=tmp_path / "home")


@pytest.fixture
def ledger(settings: Settings, tmp_path: Path) -> Iterator[Kept]:
    """Give a fresh ledger."""
    upgrade(settings.ledger_uri)
    opened = Kept(settings.ledger_uri)
    opened.store = ArtefactStore(settings.artefacts_folder)
    opened.folder = model_folder(tmp_path / "made")
    yield opened
    opened.close()


@pytest.fixture
def release(ledger: Kept, contract: ModelContract, version: Version) -> Release:
    """Give a release that waits for its answer."""
    return opened(ledger, contract, version.version, release_id="r1")


def answer(
    ledger: Kept, decision: Decision = Decision.APPROVED, decided_by: str | None = "olga", reason: str = ""
) -> Release:
    """Answer the release."""
    return record_decision(
        ledger,
        ledger.store,
        "r1",
        decision,
        decided_by=decided_by,
        decided_at=NOW,
        evidence_sha256="shown",
        reason=reason or None,
    )


def test_release_copies_what_later_steps_need(
    release: Release, contract: ModelContract, version: Version
) -> None:
    """Plan, gates, approvers and contract hash lie in the ledger from the start."""
    assert (contract.rollout, contract.sha256) == (release.plan, release.contract_sha256)
    assert ("olga", "uma") == release.approvers
    assert thresholds(contract) == release.thresholds
    assert release.thresholds["roc_auc.minimum"] == 0.77
    assert version.artefact_sha256 == release.artefact_sha256


def test_unknown_version_is_refused(ledger: Kept, contract: ModelContract, version: Version) -> None:
    """The error lists what there is."""
    with pytest.raises(RegistryError, match=r"no version 2\.0\.0; registered: 1\.0\.0"):
        opened(ledger, contract, "2.0.0", release_id="r1")


def _staged(contract: ModelContract, requests: int) -> ModelContract:
    stages = tuple(
        RampStage.model_validate({"share": share, "hold": "1h", "minimum_requests": requests})
        for share in (0.05, 1.0)
    )
    return contract.model_copy(update={"rollout": contract.rollout.model_copy(update={"stages": stages})})


def test_a_plan_that_cannot_show_what_it_promises_is_refused(
    ledger: Kept, contract: ModelContract, version: Version
) -> None:
    """A stage of fewer requests than its guardrails take opens no release."""
    with pytest.raises(ContractError, match=r"stages\.0\.minimum_requests: 100 are fewer than the 1\d,\d{3}"):
        opened(ledger, _staged(contract, 100), "1.0.0", release_id="r1")
    assert ledger.open_release_of("churn") is None


def test_a_release_copies_the_requests_its_guardrails_take(
    ledger: Kept, contract: ModelContract, version: Version
) -> None:
    """Where the plan names none they are derived, at full traffic, too; what it names stays."""
    derived = opened(ledger, _staged(contract, 0), "1.0.0", release_id="r1").plan
    needed = needed_requests(derived.guardrails, 0.05, derived.alpha_per_place)
    assert [needed, needed] == [stage.minimum_requests for stage in derived.stages]
    ledger.abandon("churn", actor="ada", reason="make room")
    named = opened(ledger, _staged(contract, 50_000), "1.0.0", release_id="r2").plan
    assert [50_000, 50_000] == [stage.minimum_requests for stage in named.stages]


def test_a_plan_that_judges_nothing_asks_for_no_requests(
    ledger: Kept, contract: ModelContract, version: Version
) -> None:
    """All traffic at once, no hold and no bake: as the contract says it."""
    release = opened(ledger, contract, "1.0.0", release_id="r1")
    assert contract.rollout == release.plan
    assert {"error_ratio": pytest.approx(0.001)}.items() <= bounds_of(release).items()


def test_yes_approves(ledger: Kept, release: Release) -> None:
    """One approver's yes moves the release on; the same task run again changes nothing."""
    approved = answer(ledger)
    assert ReleaseStage.APPROVED is approved.stage
    assert approved == answer(ledger)
    assert ["olga"] == [given.decided_by for given in ledger.approvals("r1")]


def test_no_ends_the_release(ledger: Kept, release: Release) -> None:
    """A no ends it with its reason."""
    assert ReleaseStage.REJECTED is answer(ledger, Decision.REJECTED, reason="too risky").stage
    assert ledger.open_release_of("churn") is None
    assert ledger.events()[-1].payload["reason"] == "too risky"


def test_time_out_is_a_no(ledger: Kept, release: Release) -> None:
    """Nobody's answer can only be no."""
    with pytest.raises(LedgerError, match="the answer is no"):
        answer(ledger, Decision.APPROVED, decided_by=None)
    assert ReleaseStage.REJECTED is answer(ledger, Decision.REJECTED, decided_by=None).stage


@pytest.mark.parametrize("decided_by", ["ada", "eve", "system"])
def test_only_approvers_answer(ledger: Kept, release: Release, decided_by: str) -> None:
    """Neither who asked for the model nor a stranger nor the system may answer."""
    with pytest.raises(LedgerError, match="may not answer"):
        answer(ledger, decided_by=decided_by)
    assert ledger.approvals("r1") == ()


def test_quorum_waits_for_the_second(ledger: Kept, contract: ModelContract, version: Version) -> None:
    """With a quorum of two, one yes leaves it waiting and the second approves."""
    approvers = contract.approvers.model_copy(update={"quorum": 2})
    opened(ledger, contract.model_copy(update={"approvers": approvers}), "1.0.0", release_id="r1")
    assert ReleaseStage.AWAITING_APPROVAL is answer(ledger).stage
    assert ReleaseStage.AWAITING_APPROVAL is answer(ledger).stage
    assert ReleaseStage.APPROVED is answer(ledger, decided_by="uma").stage


def test_only_an_approved_release_goes_on(ledger: Kept, release: Release) -> None:
    """From approved to promoted it may; while it waits, or once abandoned or rolled back, it is an error."""
    with pytest.raises(LedgerError, match="r1 is awaiting_approval: without an approval"):
        is_approved(ledger, "r1")
    revision = answer(ledger).revision
    assert is_approved(ledger, "r1")
    revision = ledger.advance_release("r1", revision, ReleaseStage.LOADED, actor="system").revision
    assert is_approved(ledger, "r1")
    ledger.advance_release("r1", revision, ReleaseStage.ROLLED_BACK, actor="system")
    with pytest.raises(LedgerError, match="r1 is rolled_back"):
        is_approved(ledger, "r1")
    with pytest.raises(LedgerError, match="no release 'r2'"):
        is_approved(ledger, "r2")


def test_abandoned_release_does_not_go_on(ledger: Kept, release: Release) -> None:
    """An approval does not outlive the release's end."""
    answer(ledger)
    ledger.abandon("churn", actor="olga", reason="wrong week")
    with pytest.raises(LedgerError, match=r"r1 is abandoned \(wrong week\)"):
        is_approved(ledger, "r1")


def test_rejected_release_stops(ledger: Kept, release: Release) -> None:
    """A no is an answer, not an error."""
    answer(ledger, Decision.REJECTED)
    assert not is_approved(ledger, "r1")


def _load(settings: Settings, ledger: Kept, contract: ModelContract, release: Release) -> Release:
    return load_release(settings, ledger, [TritonControl("127.0.0.1:9")], release)


def test_only_an_approved_release_is_loaded(
    settings: Settings, ledger: Kept, contract: ModelContract, release: Release
) -> None:
    """Asked to load what waits or has ended, nothing is touched and nothing ends."""
    with pytest.raises(LedgerError, match="r1 is awaiting_approval and may not be loaded"):
        _load(settings, ledger, contract, release)
    assert release == ledger.open_release_of("churn")
    promoted = release.model_copy(update={"stage": ReleaseStage.PROMOTED})
    assert promoted == _load(settings, ledger, contract, promoted)


def test_failed_load_ends_its_own_release_only(
    settings: Settings, ledger: Kept, contract: ModelContract, release: Release
) -> None:
    """A step that is run again after its release ended leaves the next one open."""
    approved = answer(ledger)
    with pytest.raises(ArtefactError, match="is not a readable GoldenSet"):
        _load(settings, ledger, contract, approved)
    assert ledger.open_release_of("churn") is None
    following = changes.open_release(ledger, release_id="r2")
    with pytest.raises(ConflictError, match="'r1' is not the open release of churn; 'r2' is"):
        _load(settings, ledger, contract, approved)
    assert following == ledger.open_release_of("churn")


def test_answer_written_before_a_crash_counts(ledger: Kept, release: Release) -> None:
    """A yes that reached the ledger, but not the release, moves it when the step is run again."""
    assert release == follow_answers(ledger, release)
    changes.approve(ledger, release)
    assert ReleaseStage.APPROVED is follow_answers(ledger, release).stage


def test_package_altered_after_it_was_shown_ends_the_release(
    ledger: Kept, release: Release, version: Version
) -> None:
    """Every byte is read again at the click; a yes to what is no longer there is none."""
    path = ledger.store.path(version.package_uri) / "manifest.json"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ArtefactError, match=r"manifest\.json was altered"):
        answer(ledger)
    assert ledger.approvals("r1") == ()
    assert ledger.open_release_of("churn") is None


def test_changed_champion_voids_the_yes(ledger: Kept, release: Release) -> None:
    """Where another champion serves by the time of the click, the release ends, to be evaluated anew."""
    ledger.change_route(RouteUpdate(route_to("0.9.0"), 0), actor="olga", reason="meanwhile")
    assert ReleaseStage.OUTDATED is answer(ledger).stage
    assert ledger.approvals("r1") == ()
    assert ledger.open_release_of("churn") is None
    assert not is_approved(ledger, "r1")
    ended = ledger.events("churn", EventKind.RELEASE_ENDED)[-1]
    assert "compared with champion None, which is now 0.9.0" in ended.payload["reason"]


def test_no_to_a_comparison_with_an_old_champion_counts(ledger: Kept, release: Release) -> None:
    """A no needs no comparison."""
    ledger.change_route(RouteUpdate(route_to("0.9.0"), 0), actor="olga", reason="meanwhile")
    assert ReleaseStage.REJECTED is answer(ledger, Decision.REJECTED).stage


def test_release_opens_on_a_comparison_with_the_champion(
    ledger: Kept, contract: ModelContract, version: Version
) -> None:
    """A report that compares with another champion than the present one opens no release."""
    ledger.change_route(RouteUpdate(route_to("0.9.0"), 0), actor="olga", reason="meanwhile")
    with pytest.raises(ConflictError, match=r"evaluated against champion None, which is now 0\.9\.0"):
        open_release(
            ledger,
            contract,
            "1.0.0",
            release_id="r1",
            triggered_by="system",
            assessment=Assessment(champion_version=None, evaluation_uri=None),
        )


def _roll_back(settings: Settings, ledger: Kept, contract: ModelContract, to: str) -> ModelRoute:
    return roll_back(
        settings,
        ledger,
        [TritonControl("127.0.0.1:9")],
        "churn",
        actor="eve",
        reason="in a hurry",
        to=to,
    )


@pytest.mark.parametrize("rejected", [False, True])
def test_rollback_is_no_way_round_the_approval(
    settings: Settings, ledger: Kept, contract: ModelContract, version: Version, rejected: bool
) -> None:
    """Neither a version that is merely registered nor a rejected one can be rolled back to."""
    _register(ledger, "1.0.1")
    ledger.change_route(RouteUpdate(route_to("1.0.0"), 0), actor="olga", reason="start")
    if rejected:
        opened(ledger, contract, "1.0.1", release_id="r1")
        answer(ledger, Decision.REJECTED)
    with pytest.raises(RegistryError, match=r"churn 1\.0\.1 has never been champion.*so far: 1\.0\.0$"):
        _roll_back(settings, ledger, contract, "1.0.1")


def test_rollback_is_bound_to_the_artefact(
    settings: Settings, ledger: Kept, contract: ModelContract, version: Version
) -> None:
    """A number under which something else has served does not count; what has served does."""
    other = route_to("1.0.0").champion.model_copy(update={"artefact_sha256": "other"})
    first = route_to("1.0.0").model_copy(update={"champion": other})
    ledger.change_route(RouteUpdate(first, 0), actor="olga", reason="start")
    with pytest.raises(RegistryError, match="has never been champion"):
        _roll_back(settings, ledger, contract, "1.0.0")
    own = other.model_copy(update={"artefact_sha256": version.artefact_sha256})
    second = first.model_copy(update={"champion": own})
    ledger.change_route(RouteUpdate(second, 1), actor="olga", reason="next")
    with pytest.raises(ArtefactError):
        _roll_back(settings, ledger, contract, "1.0.0")


VERSIONS = tuple(
    Version(
        model="churn",
        version=number,
        artefact_sha256=f"sha-churn-{number}",
        package_uri="p",
        run_id=number,
        requested_by="ada",
        registered_at=NOW,
    )
    for number in ("1.0.0", "1.0.1", "1.0.2")
)


@pytest.mark.parametrize(
    ("route", "stage", "loaded", "changes"),
    [
        (None, None, set(), ([], [])),
        (None, None, {"churn__1_0_0", "spend__1_0_0", "churn__9_0_0"}, ([], ["churn__1_0_0"])),
        ("1.0.0", None, set(), (["1.0.0"], [])),
        ("1.0.0", None, {"churn__1_0_0", "churn__1_0_1"}, ([], ["churn__1_0_1"])),
        ("1.0.0", ReleaseStage.APPROVED, {"churn__1_0_0"}, ([], [])),
        ("1.0.0", ReleaseStage.APPROVED, {"churn__1_0_0", "churn__1_0_1"}, ([], [])),
        ("1.0.0", ReleaseStage.LOADED, {"churn__1_0_0"}, (["1.0.1"], [])),
        ("1.0.0", ReleaseStage.BAKING, {"churn__1_0_0", "churn__1_0_1"}, ([], [])),
    ],
)
def test_triton_plan(
    release: Release,
    route: str | None,
    stage: ReleaseStage | None,
    loaded: set[str],
    changes: tuple[list[str], list[str]],
) -> None:
    """Loaded is what routes and releases under way need; an open release's and others' are left alone."""
    under_way = stage and release.model_copy(update={"stage": stage, "version": "1.0.1"})
    plan = plan_triton(VERSIONS, None if route is None else route_to(route), under_way, loaded)
    load, unload = changes
    expected = TritonPlan(tuple(item for item in VERSIONS if item.version in load), tuple(unload))
    assert expected == plan


def test_previous_version_stays_loaded() -> None:
    """Champion, challenger and previous of a route are all wanted."""
    route = ModelRoute.model_validate(
        {
            **dict(route_to("1.0.0")),
            "challenger": route_to("1.0.1").champion,
            "share": 0.5,
            "change_id": "r",
            "previous": route_to("1.0.2").champion,
        }
    )
    assert TritonPlan(VERSIONS, ()) == plan_triton(VERSIONS, route, None, set())


GOLDEN = GoldenSet(
    cases=tuple(GoldenCase(features={"x": value}, outputs=(value, 0.5)) for value in (0.1, 0.2, 0.3))
)


def scores(case: int, output: int, value: float):
    """Return the golden scores with one replaced."""
    array = np.array([case.outputs for case in GOLDEN.cases], np.float32)
    array[case, output] = value
    return array


def test_worst_case_is_named() -> None:
    """The comparison finds the case and output furthest off."""
    worst = worst_deviation(GOLDEN, scores(1, 1, 0.75))
    assert (1, (0.2, 0.5)) == (worst.case, worst.expected)
    assert worst.difference == pytest.approx(0.25)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_score_that_is_no_number_is_infinitely_off(value: float) -> None:
    """NaN never passes as close enough."""
    assert worst_deviation(GOLDEN, scores(2, 0, value)).difference == np.inf


def test_scores_of_another_shape_are_refused() -> None:
    """A missing row or column is an error, not a broadcast."""
    with pytest.raises(ArtefactError, match=r"shape \(3, 1\), not \(3, 2\)"):
        worst_deviation(GOLDEN, scores(0, 0, 0.1)[:, :1])


def test_evidence_tells_what_to_know(tmp_path: Path, version: Version) -> None:
    """Figures of candidate and baseline, gates, data window, commit and dirtiness are all there."""
    code = CodeState(commit="c" * 40, dirty=True, fingerprint="f", lock_sha256="e")
    record = training_record(model_folder(tmp_path / "m"), "run-1", code=code)
    text = evidence(version, Manifest(**dict(record), files={}), evaluation_report())
    for expected in (
        "# churn 1.0.0",
        "| roc_auc | 0.8000 | 0.6800 | – |",  # noqa: RUF001
        "| threshold roc_auc | pass | roc_auc is 0.8000",
        "10,000 rows of [2017-09-01, 2017-10-01)",
        "data [2017-01-01, 2017-10-01), 60,000 rows",
        "`cccccccccccc` with **uncommitted changes**",
        "requested by ada",
    ):
        assert expected in text
