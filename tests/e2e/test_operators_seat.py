"""The operators' seat in a real browser, on the running platform; `make test-browser` keeps its pictures."""

import re
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from include.adapters.ledger.history import EventFilter
from include.adapters.ledger.ledger import Ledger
from include.commands.drill import CLOCK, await_ramp, folder_of, traffic, write_ramp
from include.commands.drill import PLAN as DRILL
from include.commands.drill_versions import twin
from include.commands.life_cycle import LifeCycle
from include.commands.platform import Platform, Replay
from include.commands.secrets import passwords
from include.commands.traffic import entities_of
from include.config.settings import REPOSITORY_ROOT
from include.contracts.errors import PlatformError
from include.contracts.events import EventKind
from include.contracts.releases import ReleaseStage
from tests.browser import browser, logged_in, settle, shoot, too_wide
from tests.e2e.conftest import in_production, strict_model
from tests.e2e.test_platform import post

pytestmark = pytest.mark.browser
IMAGES = REPOSITORY_ROOT / "docs" / "images"
FRAME = "/plugin/ninety/ninety"
"""A page of ours inside Airflow's frame."""
WAIT_MS = 90_000
RAMP_SECONDS = 300.0
_LOOK_MS = 150
RAMP = {**DRILL, "stages": [{"share": share, "hold": "6h"} for share in (0.2, 0.5, 1.0)], "bake": "6h"}
PLACES = ["20 %", "50 %", "100 %", "bake"]
HISTORY = timedelta(days=126)
"""That the strict copy of churn trains on."""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform of its own with churn in production, whose contract then gets a ramp of several places."""
    home = tmp_path_factory.mktemp("seat")
    models = strict_model(home / "models")
    shutil.copytree(REPOSITORY_ROOT / "include" / "models" / "churn", models / "churn")
    with in_production(home, (models,)) as found:
        write_ramp(found, RAMP)
        yield found


@pytest.fixture(scope="module")
def prediction(platform: Platform) -> str:
    """Give the id of an answered prediction."""
    customer = entities_of(platform.settings, platform.contract, Replay().as_of)[0]
    found: str = post(platform, {"entity": {"customer_id": customer}}).json()["prediction_id"]
    return found


@pytest.fixture(scope="module")
def chromium(prediction: str) -> Iterator[Any]:
    """Give the browser, once there is something to look at: its loop lets no other run beside it."""
    with browser() as opened:
        yield opened


def as_user(chromium: Any, platform: Platform, user: str, theme: str = "light") -> Any:
    """Log in as one of the platform's users."""
    return logged_in(chromium, platform.settings.airflow_url, user, passwords(platform.settings)[user], theme)


def opened(page: Any, platform: Platform, path: str) -> Any:
    """Go to a page of ours in Airflow's frame; return the frame that holds it."""
    page.goto(f"{platform.settings.airflow_url}{FRAME}{path}")
    return ours(page)


def ours(page: Any) -> Any:
    """Return the frame that holds our page."""
    page.wait_for_selector("iframe")
    frame = page.query_selector("iframe").content_frame()
    frame.wait_for_selector("main h1, main article")
    return frame


def test_a_traced_prediction_tells_why_its_score(platform, chromium, prediction):
    """Pasted into the form; the chain is complete, and the score is taken apart on the page."""
    with as_user(chromium, platform, "viewer") as page:
        frame = opened(page, platform, "/trace")
        frame.fill("input[name=prediction_id]", prediction)
        frame.press("input[name=prediction_id]", "Enter")
        frame.wait_for_selector("text=The chain is complete")
        frame.wait_for_selector("#later .canvas[data-drawn]", timeout=WAIT_MS)
        assert "the parts add up" in frame.inner_text("#later")
        frame.locator("#later").scroll_into_view_if_needed()
        shoot(page, IMAGES / "seat-explanation-light.png")


def test_a_failed_gate_is_found_from_the_red_task(platform, chromium):
    """One click on the failed task's page of Airflow leads to the gate and its figures."""
    cycle = LifeCycle(platform.airflow("operator"), "strict", platform.progress.say)
    cycle.label(Replay().as_of, Replay().as_of - HISTORY)
    with pytest.raises(PlatformError, match="roc_auc"):
        cycle.train(Replay().moment)
    with as_user(chromium, platform, "operator") as page:
        page.goto(f"{platform.settings.airflow_url}/dags/strict_train/runs")
        page.locator("a[href*='/runs/']").first.click()
        page.wait_for_url("**/runs/**")
        run = re.sub(r".*/runs/([^/?]+).*", r"\1", page.url)
        page.goto(f"{platform.settings.airflow_url}/dags/strict_train/runs/{run}/tasks/register")
        page.get_by_role("tab", name="Why").or_(page.get_by_role("link", name="Why")).first.click()
        frame = ours(page)
        told = frame.inner_text("main")
        assert "Not registered" in told
        assert "must be at least 0.99" in told
        settle(page)
        assert [] == too_wide(page)
        shoot(page, IMAGES / "seat-why-light.png")
        links = page.request.get(
            f"{platform.settings.airflow_url}/api/v2/dags/strict_train/dagRuns/{run}"
            "/taskInstances/register/links"
        ).json()["extra_links"]
        page.goto(f"{platform.settings.airflow_url}{links['Report']}")
        assert "must be at least 0.99" in ours(page).inner_text("main")


@pytest.fixture(scope="module")
def ask(platform: Platform) -> Callable[[], str]:
    """Give what registers a version that answers as the champion does, and asks for its release.

    It returns the run of the release once it waits for its approver.
    """
    await_ramp(platform)

    def asked() -> str:
        champion = Ledger(platform.settings.ledger_uri).champion("churn")
        assert champion is not None
        version = twin(platform.settings, folder_of(platform), champion)
        operator = platform.airflow("operator")
        run = operator.trigger("churn_release", {"version": version.version, "clock": CLOCK})
        platform.life_cycle().await_approval(run)
        return run

    return asked


def approve(page: Any, platform: Platform, picture: str) -> None:
    """From the models' page to Airflow's question, and say yes there."""
    frame = opened(page, platform, "/models")
    settle(page)
    shoot(page, IMAGES / picture)
    frame.click("a.airflow:has-text('Release churn')")
    page.wait_for_url("**/required_actions**")
    # Whoever leaves before Airflow has answered has said nothing.
    with page.expect_response(lambda answer: answer.request.method == "PATCH") as answered:
        page.get_by_role("button", name="Approve").click()
    assert answered.value.ok


def passed(frame: Any, until: Callable[[str], bool], at: Callable[[str], None]) -> list[str]:
    """Watch a release's page that nobody touches; return the steps it was seen at, in order.

    Args:
        frame: holds the page.
        until: says whether a step is the last that is waited for.
        at: called with each step when it is first seen.
    """
    seen: list[str] = []
    deadline = time.monotonic() + RAMP_SECONDS
    while time.monotonic() < deadline:
        step = frame.evaluate(
            "(document.querySelector('.stages .present b, .stages .stopped b')"
            " ?? document.querySelector('h1 .badge')).textContent"
        )
        if step not in seen:
            seen.append(step)
            at(step)
        if until(step):
            return seen
        frame.wait_for_timeout(_LOOK_MS)
    raise AssertionError(f"the ramp was seen at {seen}, and no further")


def test_a_release_is_approved_and_its_ramp_watched_to_the_end(platform, chromium, ask):
    """An answer in Airflow's page, then the stages move on ours, by themselves, as requests come in."""
    run = ask()
    with as_user(chromium, platform, "approver") as page:
        approve(page, platform, "seat-waiting-light.png")
        frame = opened(page, platform, f"/releases/churn-{run}")

        def picture(step: str) -> None:
            if step == "50 %":
                frame.wait_for_selector("#later table", timeout=WAIT_MS)
                settle(page)
                assert [] == too_wide(page)
                shoot(page, IMAGES / "seat-ramp-light.png")

        with traffic(platform) as sent:
            seen = passed(frame, lambda step: step == "promoted", picture)
        assert [step for step in seen if step in PLACES] == PLACES, f"{seen} after {sent()} requests"
        told = frame.inner_text("main")
        assert "approver" in told
        assert "all guardrails kept" in told
        settle(page)
        shoot(page, IMAGES / "seat-release-promoted-light.png")
    release = Ledger(platform.settings.ledger_uri).release(f"churn-{run}")
    assert release is not None
    assert (ReleaseStage.PROMOTED, CLOCK) == (release.stage, release.ramp.clock)
    assert "1.0.1" == Ledger(platform.settings.ledger_uri).champion_version("churn")


def test_a_ramp_is_rolled_back_from_its_page_and_the_ledger_tells_of_it(platform, chromium, ask):
    """Half-way, by keyboard alone, with a reason; its page and the ledger's tell the same."""
    run, reason = ask(), "it answers too <i>slowly</i>"
    with as_user(chromium, platform, "approver", "dark") as page:
        approve(page, platform, "seat-waiting-dark.png")
    with as_user(chromium, platform, "operator", "dark") as page, traffic(platform):
        frame = opened(page, platform, f"/releases/churn-{run}")
        passed(frame, lambda step: step == "20 %", lambda _: None)
        frame.wait_for_selector("#later table", timeout=WAIT_MS)
        settle(page)
        shoot(page, IMAGES / "seat-ramp-dark.png")
        frame.focus("details.danger summary")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.type(reason)
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        frame.wait_for_selector("text=runs now, in your name")
        assert "/releases/churn-" in frame.url
        seen = passed(frame, lambda _: bool(frame.query_selector(".stages .stopped")), lambda _: None)
        assert seen[-1] in PLACES[:2]
        frame.wait_for_selector("h1 .badge:has-text('rolled back')")
        settle(page)
        shoot(page, IMAGES / "seat-rolled-back-dark.png")
        frame = opened(page, platform, "/ledger")
        row = frame.locator("tr", has_text="release ended").first
        assert reason in row.inner_text()
        assert "operator" in row.inner_text()
        settle(page)
        assert [] == too_wide(page)
        shoot(page, IMAGES / "seat-ledger-rolled-back-dark.png")
    ledger = Ledger(platform.settings.ledger_uri)
    assert ledger.verify()
    release, route = ledger.release(f"churn-{run}"), ledger.route("churn")
    assert release is not None
    assert route is not None
    assert (ReleaseStage.ROLLED_BACK, "1.0.1", 0.0) == (release.stage, route.champion.version, route.share)
    [ended] = ledger.latest_events(EventFilter(kinds=(EventKind.RELEASE_ENDED,)), 1)
    assert ("operator", reason) == (ended.actor, ended.payload["reason"])


def test_a_model_is_rolled_back_from_its_page(platform, chromium, ask):
    """By keyboard, with a reason; the ledger has both, and the page shows what serves now."""
    reason = "a drill <b>of going back</b>"
    with as_user(chromium, platform, "operator") as page:
        frame = opened(page, platform, "/models/churn")
        frame.focus("details.danger summary")
        page.keyboard.press("Enter")
        frame.select_option("details.danger select", "1.0.0")
        frame.focus("details.danger textarea")
        page.keyboard.type(reason)
        shoot(page, IMAGES / "seat-roll-back-light.png")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        frame.wait_for_selector("text=runs now, in your name")
        frame.wait_for_selector("section:has(#serving) >> text=champion 1.0.0", timeout=WAIT_MS)
        frame.wait_for_selector(f"td:has-text('{reason}')")
    ledger = Ledger(platform.settings.ledger_uri)
    [asked] = ledger.latest_events(EventFilter(kinds=(EventKind.ACTION_ASKED,)), 1)
    [changed] = ledger.latest_events(EventFilter(kinds=(EventKind.ROUTE_CHANGED,)), 1)
    assert ("operator", reason) == (asked.actor, asked.payload["reason"])
    assert ("operator", reason) == (changed.actor, changed.payload["reason"])
    assert ledger.verify()


def test_a_viewer_sees_no_action(platform, chromium):
    """What is not theirs to do is not on their page."""
    with as_user(chromium, platform, "viewer") as page:
        frame = opened(page, platform, "/models/churn")
        time.sleep(1)
        assert 0 == frame.locator("form[method=post]").count()
