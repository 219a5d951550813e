"""Every page in a real browser and both themes; `make test-browser` keeps the pictures."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from typing import Any

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.commands.bench_pages.year import copy_folder
from include.commands.secrets import passwords
from include.config.settings import REPOSITORY_ROOT, Settings
from include.contracts.alerts import AlertContent, AlertKind
from tests.browser import SIZE, browser, logged_in, settle, shoot, too_wide, until
from tests.plugins.operator_pages.conftest import CHURN, served, settings_at
from tests.plugins.operator_pages.shown import (
    EXPERIMENT,
    FIRST,
    PREDICTION,
    RELEASE,
    THIRD,
    VERSION,
    write_history,
)

pytestmark = pytest.mark.browser
IMAGES = REPOSITORY_ROOT / "docs" / "images"
FRAME = "/plugin/ninety/ninety"
"""A page of ours inside Airflow's frame."""
PAGES = {
    "models": "/models",
    "model": f"/models/{FIRST}",
    "version": f"/models/{FIRST}/versions/{VERSION}",
    "release": f"/releases/{RELEASE}",
    "experiment": f"/experiments/{EXPERIMENT}",
    "trace": f"/trace/{PREDICTION}",
    "trace-look-up": "/trace",
    "features": "/features",
    "alerts": "/alerts",
    "ledger": "/ledger",
    "proof": "/ledger/proof",
    "runbook": f"/models/{FIRST}/runbook",
}
KEPT = ("models", "model", "release", "experiment", "features", "alerts", "ledger")
"""Pages whose pictures stay in the repository."""
WINDOWS = ({"width": 1280, "height": 800}, {"width": 1440, "height": 900})
"""Laptops' windows beside the one that pictures are taken in."""
EMPTY = {
    "/models": "Nothing serves yet. Compute features",
    f"/models/{FIRST}": "Nothing serves yet: train it below",
    "/features": "No day is computed yet",
    "/alerts": "Nothing that nobody looks after.",
    "/ledger": "Nothing happened.",
    "/ledger/proof": "The ledger is whole",
    "/trace": "The prediction_id that came with the gateway's answer.",
}
"""What pages of a platform say on which nothing was ever trained."""
TABS = 40
"""Steps of the keyboard on each page."""
_AT = """(() => {
  const all = [...document.querySelectorAll("a[href], summary, button, input, select, textarea, main")];
  const here = document.activeElement, box = here.getBoundingClientRect(), style = getComputedStyle(here);
  return {
    place: all.indexOf(here),
    named: (here.textContent + (here.labels?.[0]?.textContent ?? "") + (here.ariaLabel ?? "")).trim(),
    seen: box.bottom > 0 && box.top < innerHeight && style.outlineStyle !== "none",
    html: here.outerHTML.slice(0, 200),
  };
})()"""
"""Where the keyboard is: the place in the page's order, a name, whether one sees it."""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Give a server with two made-up months of three models."""
    home = tmp_path_factory.mktemp("shown")
    settings = settings_at(home)
    write_history(settings, CHURN)
    with served(settings, home):
        yield settings


@pytest.fixture(scope="module")
def chromium(shown: Settings) -> Iterator[Any]:
    """Give the browser."""
    with browser() as opened:
        yield opened


def as_user(chromium: Any, shown: Settings, user: str, theme: str = "light") -> AbstractContextManager[Any]:
    """Log in through Airflow's form; what goes wrong in the browser fails the test."""
    return logged_in(chromium, shown.airflow_url, user, passwords(shown)[user], theme)


def ours(page: Any) -> Any:
    """Return the frame that holds our page."""
    page.wait_for_selector("iframe")
    frame = page.query_selector("iframe").content_frame()
    frame.wait_for_selector("main h1, main article")
    return frame


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_is_readable_in_both_themes(shown, chromium, theme):
    """Inside Airflow's frame: no error, nothing from elsewhere, no page wider than the window."""
    with as_user(chromium, shown, "operator", theme) as page:
        for name, path in PAGES.items():
            page.goto(f"{shown.airflow_url}{FRAME}{path}")
            frame = ours(page)
            settle(page)
            for window in (*WINDOWS, SIZE):
                page.set_viewport_size(window)
                assert [] == too_wide(page), (path, window)
            assert theme == frame.evaluate("document.documentElement.dataset.theme")
            if name in KEPT:
                shoot(page, IMAGES / f"seat-{name}-{theme}.png")


def test_every_plot_is_drawn_and_tells_its_values(shown, chromium):
    """Scrolled to, each plot of a model's page is drawn; the pointer over one shows a value."""
    with as_user(chromium, shown, "viewer") as page:
        page.goto(f"{shown.airflow_url}/ninety/models/{FIRST}")
        canvases = page.locator("figure.plot .canvas")
        for number in range(canvases.count()):
            canvases.nth(number).scroll_into_view_if_needed()
            until(page, f"document.querySelectorAll('figure.plot .canvas')[{number}].dataset.drawn")
        assert canvases.count() > 8
        canvases.first.scroll_into_view_if_needed()
        box = canvases.first.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_selector(".hoverlayer .hovertext")


def test_a_narrow_window_loses_nothing(shown, chromium):
    """Half a laptop's screen: rows become cards, and nothing is wider than the window."""
    with as_user(chromium, shown, "viewer") as page:
        page.set_viewport_size({"width": 720, "height": 768})
        for path in PAGES.values():
            page.goto(f"{shown.airflow_url}/ninety{path}")
            settle(page)
            assert [] == too_wide(page)


def test_a_page_follows_airflows_theme_at_once(shown, chromium):
    """Switched in Airflow while the page is open, plots with it."""
    with as_user(chromium, shown, "viewer") as page:
        page.goto(f"{shown.airflow_url}{FRAME}/experiments/{EXPERIMENT}")
        frame = ours(page)
        settle(page)
        colour = "getComputedStyle(document.querySelector('.xtick text')).fill"
        before = frame.evaluate(colour)
        page.evaluate("document.documentElement.classList.replace('light', 'dark')")
        until(frame, "document.documentElement.dataset.theme === 'dark'")
        until(frame, f"{colour} !== '{before}'")


def test_a_page_is_used_by_the_keyboard_alone(shown, chromium):
    """Past the navigation into the page, and to a model; what has the focus is seen."""
    with as_user(chromium, shown, "viewer") as page:
        page.goto(f"{shown.airflow_url}/ninety/models")
        settle(page)
        page.keyboard.press("Tab")
        assert "Skip to the page" == page.evaluate("document.activeElement.textContent")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert "none" != page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/ninety/models/{FIRST}")


def test_the_keyboard_walks_every_page_in_its_order_and_is_seen(shown, chromium):
    """Each step has a name, a visible outline, and lies in sight; none leads back, none is left out."""
    with as_user(chromium, shown, "operator") as page:
        for path in PAGES.values():
            page.goto(f"{shown.airflow_url}/ninety{path}")
            settle(page)
            steps: list[dict[str, Any]] = []
            for _ in range(TABS):
                page.keyboard.press("Tab")
                at = page.evaluate(_AT)
                if at["place"] < 0 or (steps and at["place"] <= steps[-1]["place"]):
                    break
                steps.append(at)
            assert steps, path
            assert [] == [step for step in steps if not (step["named"] and step["seen"])], path


def test_a_page_that_is_swapped_keeps_the_keyboards_place(shown, chromium):
    """Something happens while a link has the focus: the page is fetched anew, the focus stays."""
    with as_user(chromium, shown, "viewer") as page:
        page.goto(f"{shown.airflow_url}/ninety/models")
        page.locator(f"th a:has-text('{THIRD}')").focus()
        page.evaluate("document.getElementById('main').dataset.old = 'yes'")
        with closing(Ledger(shown.ledger_uri)) as ledger:
            told = AlertContent(kind=AlertKind.DATA_QUALITY, subject="s", model=THIRD, message="unfit")
            ledger.raise_alert(told, "system")
        until(page, "!document.getElementById('main').dataset.old")
        assert THIRD == page.evaluate("document.activeElement.textContent")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Give a server of a platform with one model's folder, on which nothing ever happened."""
    home = tmp_path_factory.mktemp("empty")
    settings = settings_at(home)
    upgrade(settings.ledger_uri)
    copy_folder(CHURN, settings.model_folders[0] / FIRST)
    with served(settings, home):
        yield settings


def test_an_empty_platform_says_what_to_do(empty, chromium):
    """Each page tells why there is nothing, and none breaks."""
    with as_user(chromium, empty, "operator") as page:
        for path, said in EMPTY.items():
            page.goto(f"{empty.airflow_url}/ninety{path}")
            settle(page)
            assert said in page.inner_text("main"), path


def test_a_link_out_of_the_frame_leads_to_airflow(shown, chromium):
    """A DAG's name on our page opens Airflow's own page of it."""
    with as_user(chromium, shown, "viewer") as page:
        page.goto(f"{shown.airflow_url}{FRAME}/models/{FIRST}")
        ours(page).click("a.airflow:has-text('rollback')")
        page.wait_for_url(f"**/dags/{FIRST}_rollback**")


def test_an_alert_is_acknowledged_in_the_page(shown, chromium):
    """With a note; it moves to those that somebody looks after, and the note is read there."""
    with as_user(chromium, shown, "operator") as page:
        page.goto(f"{shown.airflow_url}{FRAME}/alerts")
        frame = ours(page)
        frame.click("article.alert summary:has-text('Acknowledge')")
        frame.fill("article.alert textarea", "I look into <b>it</b>")
        frame.click("article.alert button:has-text('Acknowledge')")
        frame.wait_for_selector("section:has(#acknowledged) >> text=I look into <b>it</b>")
