"""The operators' seat in a real browser, on the running platform; `make test-browser` keeps its pictures."""

import re
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from include.adapters.ledger.history import EventFilter
from include.adapters.ledger.ledger import Ledger
from include.commands.life_cycle import LifeCycle
from include.commands.platform import Platform, Replay
from include.commands.secrets import passwords
from include.commands.traffic import entities_of
from include.config.settings import REPOSITORY_ROOT
from include.contracts.errors import PlatformError
from include.contracts.events import EventKind
from tests.browser import browser, logged_in, settle, shoot, too_wide
from tests.e2e.test_platform import post

pytestmark = pytest.mark.browser
IMAGES = REPOSITORY_ROOT / "docs" / "images"
FRAME = "/plugin/ninety/ninety"
"""A page of ours inside Airflow's frame."""
WAIT_MS = 90_000
LATER = timedelta(days=21)


@pytest.fixture(scope="module")
def chromium(prediction: str) -> Iterator[Any]:
    """Give the browser, once there is something to look at: its loop lets no other run beside it."""
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def prediction(platform: Platform) -> str:
    """Give the id of an answered prediction."""
    customer = entities_of(platform.settings, platform.contract, Replay().as_of)[0]
    found: str = post(platform, {"entity": {"customer_id": customer}}).json()["prediction_id"]
    return found


def as_user(chromium: Any, platform: Platform, user: str, theme: str = "light") -> Any:
    """Log in as one of the platform's users."""
    return logged_in(chromium, platform.settings.airflow_url, user, passwords(platform.settings)[user], theme)


def ours(page: Any) -> Any:
    """Return the frame that holds our page."""
    page.wait_for_selector("iframe")
    frame = page.query_selector("iframe").content_frame()
    frame.wait_for_selector("main h1, main article")
    return frame


def test_a_traced_prediction_tells_why_its_score(platform, chromium, prediction):
    """Pasted into the form; the chain is complete, and the score is taken apart on the page."""
    with as_user(chromium, platform, "viewer") as page:
        page.goto(f"{platform.settings.airflow_url}{FRAME}/trace")
        frame = ours(page)
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
    cycle.label(Replay().as_of, Replay().as_of - timedelta(days=126))
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
def newer(platform: Platform) -> str:
    """Train on later data; give the release run that waits for its approver."""
    day = Replay().as_of + LATER
    cycle = platform.life_cycle()
    cycle.materialize(day, day - timedelta(days=6))
    cycle.label(day, day - timedelta(days=28))
    release = cycle.train(Replay().moment + LATER)
    cycle.await_approval(release)
    return release


def test_a_release_is_approved_and_watched(platform, chromium, newer):
    """From the models' page to Airflow's question, an answer there, and the stages moving on the page."""
    with as_user(chromium, platform, "approver") as page:
        page.goto(f"{platform.settings.airflow_url}{FRAME}/models")
        frame = ours(page)
        shoot(page, IMAGES / "seat-waiting-light.png")
        frame.click("a.airflow:has-text('Release churn')")
        page.wait_for_url("**/required_actions**")
        page.get_by_role("button", name="Approve").click()
        page.goto(f"{platform.settings.airflow_url}{FRAME}/releases/churn-{newer}")
        frame = ours(page)
        frame.wait_for_selector("h1 .badge:has-text('promoted')", timeout=WAIT_MS)
        told = frame.inner_text("main")
        assert "approver" in told
        settle(page)
        shoot(page, IMAGES / "seat-release-promoted-light.png")
    assert "1.0.1" == Ledger(platform.settings.ledger_uri).champion_version("churn")


def test_a_model_is_rolled_back_from_its_page(platform, chromium, newer):
    """By keyboard, with a reason; the ledger has both, and the page shows what serves now."""
    reason = "a drill <b>of going back</b>"
    with as_user(chromium, platform, "operator") as page:
        page.goto(f"{platform.settings.airflow_url}{FRAME}/models/churn")
        frame = ours(page)
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
        page.goto(f"{platform.settings.airflow_url}{FRAME}/models/churn")
        frame = ours(page)
        time.sleep(1)
        assert 0 == frame.locator("form[method=post]").count()
