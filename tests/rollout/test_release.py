"""Releases on a real Triton."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from include.adapters.triton_control import TritonControl
from include.contracts.errors import (
    ArtefactError,
    ConflictError,
    LedgerError,
    MemoryBudgetError,
    RegistryError,
    ServingError,
)
from include.contracts.events import EventKind
from include.contracts.releases import ReleaseStage
from include.contracts.routes import ModelRoute
from include.contracts.versions import triton_name
from include.rollout.load import load_release, load_version
from include.rollout.promote import promote
from include.rollout.ramp import enter
from include.rollout.reconcile import reconcile_triton
from include.rollout.rollback import roll_back
from include.rollout.shadow import start_shadow, stop_shadow
from tests.registry.candidates import ROWS, opened
from tests.rollout.platform import Platform


def test_release_gets_all_traffic(platform: Platform) -> None:
    """Approved, loaded, switched and promoted; the champion before it stays warm."""
    first, second = platform.register("a"), platform.register("b", seed=8)
    promote(platform.ledger, platform.switched(first), "system")
    release = promote(platform.ledger, platform.switched(second), "system")
    assert (ReleaseStage.PROMOTED, 1.0) == (release.stage, release.share)
    route = platform.ledger.route(platform.model)
    assert route is not None
    assert route.previous is not None
    assert ("1.1.0", "1.0.0") == (route.champion.version, route.previous.version)
    assert release.release_id == route.change_id
    assert {"customer_spending": 172_800.0} == route.feature_ttl_seconds
    assert {platform.name(first), platform.name(second)} <= platform.triton.loaded()
    platform.ledger.verify()


def test_steps_may_run_twice(platform: Platform) -> None:
    """Every step repeated after it succeeded changes nothing."""
    version = platform.register("a")
    release = promote(platform.ledger, platform.switched(version), "system")
    events = platform.ledger.verify()
    contract = platform.folder.contract
    again = opened(platform.ledger, contract, "1.0.0", release_id=release.release_id)
    assert release == again
    assert release == promote(platform.ledger, again, "system")
    assert events == platform.ledger.verify()


def test_champion_is_not_released_again(platform: Platform) -> None:
    """There is nothing to release where the version serves already."""
    promote(platform.ledger, platform.switched(platform.register("a")), "system")
    with pytest.raises(RegistryError, match=r"1\.0\.0 is the champion already"):
        opened(platform.ledger, platform.folder.contract, "1.0.0", release_id="again", triggered_by="system")


def test_wrong_answers_are_unloaded(platform: Platform) -> None:
    """A version that does not give its golden predictions ends its release; the old one serves on."""
    first = platform.register("a")
    promote(platform.ledger, platform.switched(first), "system")
    wrong = platform.register("b", golden_offset=0.25)
    with pytest.raises(ArtefactError, match=r"golden case \d gave .* off by 0\.25, allowed 1e-05"):
        platform.loaded(wrong)
    assert platform.name(wrong) not in platform.triton.loaded()
    assert platform.name(first) in platform.triton.loaded()
    assert platform.ledger.open_release_of(platform.model) is None
    assert ReleaseStage.ABANDONED is platform.ledger.releases(platform.model)[-1].stage


def test_corrupted_artefact_is_never_loaded(platform: Platform) -> None:
    """One bit flipped in the stored model: refused before Triton hears of it."""
    version = platform.register("a")
    path = platform.store.path(version.package_uri) / "model.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ArtefactError, match=r"model\.onnx was altered"):
        platform.loaded(version)
    assert not (platform.settings.triton_repository / platform.name(version)).exists()


def test_unapproved_release_is_not_loaded(platform: Platform) -> None:
    """Loading needs the approval first."""
    version = platform.register("a")
    contract = platform.folder.contract
    release = opened(platform.ledger, contract, version.version, release_id="early", triggered_by="system")
    with pytest.raises(LedgerError, match="awaiting_approval and may not be loaded"):
        load_release(platform.settings, platform.ledger, [platform.triton], release)


def test_changed_contract_stops_the_switch(platform: Platform) -> None:
    """What was approved under one contract gets no traffic under another."""
    release = platform.loaded(platform.register("a"))
    other = replace(
        platform.tools, contract=platform.folder.contract.model_copy(update={"description": "other"})
    )
    with pytest.raises(ConflictError, match=r"the contract .* changed since"):
        enter(other, release, "system")
    assert platform.ledger.route(platform.model) is None


def test_rollback_ends_the_release(platform: Platform) -> None:
    """Back to the version before, with MLflow down: route, release and event change together."""
    first, second = platform.register("a"), platform.register("b", seed=8)
    promote(platform.ledger, platform.switched(first), "system")
    release = platform.switched(second)
    platform.triton.unload(platform.name(first))
    route = _roll_back(platform)
    assert ("1.0.0", None) == (route.champion.version, route.previous)
    ended = platform.ledger.release(release.release_id)
    assert ended is not None
    assert (ReleaseStage.ROLLED_BACK, 0.0) == (ended.stage, ended.share)
    assert platform.ledger.open_release_of(platform.model) is None
    scores = platform.triton.infer(platform.name(first), route.champion.signature, ROWS)
    assert [20.0, 14.0, 18.0] == scores[:, 0].tolist()
    last = platform.ledger.events(platform.model, EventKind.ROUTE_CHANGED)[-1]
    assert ("olga", "errors doubled") == (last.actor, last.payload["reason"])
    events = platform.ledger.verify()
    assert route == _roll_back(platform, to="1.0.0")
    assert events == platform.ledger.verify()


def test_release_waits_for_every_triton(platform: Platform) -> None:
    """Loaded into one of two is not loaded; with both there it is, and the route names both."""
    release = platform.approved(platform.register("a"))
    away = TritonControl("127.0.0.1:9")
    with pytest.raises(ServingError, match=r"127\.0\.0\.1:9 could not load"):
        load_release(platform.settings, platform.ledger, [platform.triton, away], release)
    found = platform.ledger.release(release.release_id)
    assert found is not None
    assert ReleaseStage.APPROVED is found.stage

    both = (platform.settings.triton_endpoint, "127.0.0.1:8")
    release = load_release(platform.settings, platform.ledger, [platform.triton, platform.triton], release)
    settings = platform.settings.model_copy(update={"triton_endpoints": both})
    enter(replace(platform.tools, settings=settings), release, "system")
    route = platform.ledger.route(platform.model)
    assert route is not None
    assert both == route.champion.endpoints
    away.close()


def test_a_triton_that_is_away_holds_up_no_rollback(platform: Platform) -> None:
    """While another one answers; with none the route stays as it was."""
    first, second = platform.register("a"), platform.register("b", seed=8)
    promote(platform.ledger, platform.switched(first), "system")
    platform.switched(second)
    away = TritonControl("127.0.0.1:9")
    with pytest.raises(ServingError, match=r"127\.0\.0\.1:9 could not load"):
        _roll_back(platform, tritons=[away])

    assert "1.0.0" == _roll_back(platform, tritons=[away, platform.triton]).champion.version
    away.close()


def test_rollback_needs_a_place_to_go(platform: Platform) -> None:
    """Without a previous or known version the route stays as it was."""
    with pytest.raises(LedgerError, match="serves nothing"):
        _roll_back(platform)
    promote(platform.ledger, platform.switched(platform.register("a")), "system")
    with pytest.raises(RegistryError, match="no previous version"):
        _roll_back(platform)
    with pytest.raises(RegistryError, match=r"no version 9\.9\.9; registered: 1\.0\.0"):
        _roll_back(platform, to="9.9.9")
    with pytest.raises(LedgerError, match="written reason"):
        _roll_back(platform, reason="")


def _roll_back(
    platform: Platform,
    to: str = "previous",
    reason: str = "errors doubled",
    tritons: Sequence[TritonControl] = (),
):
    return roll_back(
        platform.settings,
        platform.ledger,
        tritons or [platform.triton],
        platform.model,
        actor="olga",
        reason=reason,
        to=to,
    )


def test_triton_is_brought_back_to_the_ledger(platform: Platform) -> None:
    """What the route needs is loaded again, what nothing needs is unloaded, and then all is well."""
    first, second = platform.register("a"), platform.register("b", seed=8)
    promote(platform.ledger, platform.switched(first), "system")
    platform.triton.unload(platform.name(first))
    load_version(platform.settings, platform.triton, second)
    done = _reconcile(platform, platform.triton)
    assert ((platform.name(first),), (platform.name(second),), ()) == (
        done.loaded,
        done.unloaded,
        done.problems,
    )
    again = _reconcile(platform, platform.triton)
    assert ((), (), ()) == (again.loaded, again.unloaded, again.problems)


def test_a_shadow_is_loaded_kept_and_unloaded(platform: Platform) -> None:
    """Mirrored to without an approval, it has no traffic; ended, it goes from Triton, and others stay."""
    first, second = platform.register("a"), platform.register("b", seed=8)
    promote(platform.ledger, platform.switched(first), "system")
    routed = _shadow(platform, share=0.25)
    assert ("1.0.0", "1.1.0", 0.25, 0.0) == (
        routed.champion.version,
        routed.shadow.version,
        routed.shadow_share,
        routed.share,
    )
    assert platform.name(second) in platform.triton.loaded()
    assert ((), ()) == (_reconcile(platform, platform.triton).unloaded, _unwanted(platform))
    last = platform.ledger.events(platform.model, EventKind.ROUTE_CHANGED)[-1]
    assert ("olga", "1.1.0 shadows 25.0% of the units") == (last.actor, last.payload["reason"])
    events = platform.ledger.verify()
    assert routed == _shadow(platform, share=0.25)
    assert events == platform.ledger.verify()
    assert stop_shadow(platform.ledger, platform.model, actor="olga").shadow is None
    assert (platform.name(second),) == _reconcile(platform, platform.triton).unloaded
    platform.ledger.verify()


def test_a_shadow_that_answers_wrongly_is_refused(platform: Platform) -> None:
    """Its golden predictions are compared before the route changes."""
    promote(platform.ledger, platform.switched(platform.register("a")), "system")
    wrong = platform.register("b", golden_offset=0.25)
    with pytest.raises(ArtefactError, match="does not answer as it did"):
        _shadow(platform, share=1.0, version=wrong.version)
    assert platform.ledger.route(platform.model).shadow is None


def _shadow(platform: Platform, share: float, version: str = "1.1.0") -> ModelRoute:
    return start_shadow(
        platform.settings,
        platform.ledger,
        [platform.triton],
        platform.model,
        version=version,
        share=share,
        actor="olga",
    )


def _unwanted(platform: Platform) -> tuple[str, ...]:
    return _reconcile(platform, platform.triton).unwanted


def test_a_version_without_memory_left_is_not_loaded(platform: Platform) -> None:
    """The budgets of what is loaded are summed; the refusal says who holds how much and what makes room."""
    first, second = platform.register("a"), platform.register("b", seed=8)
    load_version(platform.settings, platform.triton, first)
    held = platform.triton.memory_budgets()
    full = platform.settings.model_copy(update={"triton_memory_mb": sum(held.values()) + 255})
    assert 256 == held[platform.name(first)]
    with pytest.raises(MemoryBudgetError, match=r"has 255 MB of .* needs 256 MB .*\(make retire"):
        load_version(full, platform.triton, second)
    assert held == platform.triton.memory_budgets()
    load_version(full, platform.triton, first)
    load_version(
        full.model_copy(update={"triton_memory_mb": full.triton_memory_mb + 1}), platform.triton, second
    )
    assert platform.name(second) in platform.triton.loaded()


def test_triton_that_is_down_is_reported(platform: Platform) -> None:
    """Reconciling without Triton says so and does not fail."""
    down = TritonControl("127.0.0.1:9")
    (problem,) = _reconcile(platform, down).problems
    assert "Triton at 127.0.0.1:9 could not list its models" in problem
    with pytest.raises(ServingError, match=r"127\.0\.0\.1:9 could not load x"):
        down.load("x")
    down.close()


def _reconcile(platform: Platform, triton: TritonControl):
    return reconcile_triton(
        platform.settings,
        platform.ledger,
        triton,
        platform.model,
        may_unload=frozenset(triton_name(platform.model, version) for version in ("1.0.0", "1.1.0")),
    )
