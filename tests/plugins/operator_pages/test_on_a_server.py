"""The pages on a real API server: who may see and do what, what actions do, what is shown and how.

One file, since its tests share the server.
"""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from urllib.parse import quote

import pytest
from prometheus_client.parser import text_string_to_metric_families

from include.adapters.ledger.history import EventFilter
from include.config.settings import REPOSITORY_ROOT
from include.contracts.actions import Action, AskedAction
from include.contracts.events import EventKind
from tests.plugins.operator_pages.conftest import HOSTILE, MODEL, STRANGE, Seat

NOBODY = None
VERSION = "1.1.0"
DOCS = REPOSITORY_ROOT / "docs" / "operator-pages.md"


@pytest.fixture(scope="module")
def routes(tmp_path_factory) -> Iterator[list[tuple[str, str]]]:
    """Give method and path of every route that the application has, whoever added it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
        patch.syspath_prepend(str(REPOSITORY_ROOT / "plugins"))
        before = set(sys.modules)
        app = import_module("operator_pages.app").pages_app()
        yield [(method, route.path) for route in app.routes for method in sorted(route.methods - {"HEAD"})]
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == "operator_pages":
                del sys.modules[name]


def filled(path: str, seat: Seat) -> str:
    """Return a route's path with names of things there are."""
    values = {
        "model": MODEL,
        "version": VERSION,
        "release_id": f"{MODEL}-{VERSION}",
        "dag_run": seat.training,
        "alert_id": seat.alert_id,
        "experiment_id": "offers-1",
        "verb": "stop",
        "turn": "pause",
        "name": "pages.css",
        "kind": "performance",
        "monitor": "feature_drift",
        "dag_id": f"{MODEL}_train",
        "run_id": "manual__1",
        "prediction_id": "0190163d-8694-739b-aea5-966c26f8ad90",
    }
    return "/ninety" + path.format_map(values)


NOT_THERE = {
    "/trace/{prediction_id}",
    "/json/trace/{prediction_id}",
    "/trace/{prediction_id}/explanation",
    "/json/trace/{prediction_id}/explanation",
    "/models/{model}/versions/{version}/report",
    "/experiments/{experiment_id}/report",
    "/releases/{release_id}/evidence",
    "/json/releases/{release_id}/evidence",
    "/models/{model}/monitors/{monitor}/report",
}
"""What this ledger has nothing for; asked for by the right person, these answer 404."""


def test_nobody_gets_nothing(seat, routes):
    """No route answers without a login, and none shows more than that."""
    with seat.client(NOBODY) as client:
        answers = {(method, path): client.request(method, filled(path, seat)) for method, path in routes}
    assert {} == {route: answer.status_code for route, answer in answers.items() if answer.status_code != 401}
    assert not any(MODEL in answer.text for answer in answers.values())
    assert len(routes) > 25


def test_a_forged_token_opens_nothing(seat, routes):
    """Nor does one that nobody signed."""
    with seat.client(NOBODY, Authorization="Bearer eyJhbGciOiJub25lIn0.e30.") as client:
        answers = {client.request(method, filled(path, seat)).status_code for method, path in routes}
    assert answers <= {401, 403}


@pytest.mark.parametrize("user", ["viewer", "approver", "operator", "admin"])
def test_everybody_known_reads_everything(seat, routes, user):
    """Each page and its JSON."""
    with seat.client(user, Accept="text/html") as client:
        for method, path in routes:
            if method != "GET":
                continue
            answer = client.get(filled(path, seat))
            expected = {404} if path in NOT_THERE else {200, 303}
            assert answer.status_code in expected, f"{path}: {answer.status_code} {answer.text[:500]}"


def test_a_viewer_changes_nothing(seat, routes):
    """Every action is refused, and nothing is written."""
    before = seat.ledger.head()
    with seat.client("viewer") as client:
        answers = {
            path: client.post(filled(path, seat), data={"reason": "because"}).status_code
            for method, path in routes
            if method == "POST"
        }
    assert {403} == set(answers.values())
    assert len(answers) > 2
    assert before == seat.ledger.head()


def test_a_viewer_is_shown_no_action(seat):
    """What is not theirs to do is not on the page; an operator has it."""
    for user, shown in (("viewer", False), ("operator", True)):
        with seat.client(user) as client:
            for path in (f"/ninety/models/{MODEL}", "/ninety/alerts"):
                assert shown == ('method="post"' in client.get(path).text), (user, path)


def test_every_answer_tells_the_browser_what_it_may_do(seat, routes):
    """No script but ours, no frame but Airflow's, nothing kept."""
    with seat.client("viewer") as client:
        for method, path in routes:
            headers = client.request(method, filled(path, seat)).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'self'" in policy
            assert "sandbox" in policy or "script-src 'self';" in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert "private" in headers["cache-control"] or "no-store" in headers["cache-control"]


def test_there_is_no_description_of_the_application(seat):
    """Documentation pages would be open to anybody."""
    with seat.client(NOBODY) as client:
        for path in ("/ninety/docs", "/ninety/redoc", "/ninety/openapi.json"):
            assert client.get(path).status_code == 404


ROLL_BACK = f"/ninety/models/{MODEL}/roll-back"
FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "https://elsewhere.example"},
    {"Origin": "null"},
    {},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_forged_request_does_nothing(seat, headers):
    """Airflow's cookie goes along with a form of any site; such a form is refused before anything is done."""
    before = seat.ledger.head()
    with seat.browser("operator", **headers) as browser:
        answer = browser.post(ROLL_BACK, data={"reason": "because"})
    assert answer.status_code == 403, answer.text
    assert before == seat.ledger.head()


@pytest.mark.parametrize("reason", ["", "  ", "no"])
def test_an_action_needs_a_reason(seat, reason):
    """None, or one that says nothing, is refused."""
    before = seat.ledger.head()
    with seat.client("operator") as client:
        assert client.post(ROLL_BACK, data={"reason": reason}).status_code == 422
    assert before == seat.ledger.head()


def same_origin(seat) -> dict[str, str]:
    """Return what a browser that only knows Origin sends along with our own form."""
    return {"Origin": seat.settings.airflow_url}


def test_a_rollback_is_a_run_in_the_name_of_who_asked(seat):
    """The ledger tells who and why before the run starts; Airflow knows who triggered it, and with what."""
    with seat.browser("operator", **same_origin(seat)) as browser:
        answer = browser.post(ROLL_BACK, data={"reason": HOSTILE, "to": "previous"})
    assert answer.status_code == 303, answer.text
    [event] = seat.ledger.latest_events(EventFilter(kinds=(EventKind.ACTION_ASKED,)), 1)
    asked = AskedAction.model_validate(event.payload)
    assert ("operator", Action.ROLL_BACK, HOSTILE) == (event.actor, asked.action, asked.reason)
    with seat.client("viewer") as client:
        run = client.get(f"/api/v2/dags/{asked.dag_id}/dagRuns/{asked.run_id}").json()
    assert "operator" == run["triggering_user_name"]
    assert {"to": "previous", "reason": HOSTILE} == run["conf"]


def test_a_training_is_asked_for_as_of_a_moment(seat):
    """What was chosen on the page reaches the run; a moment without a zone is UTC."""
    form = {"reason": "new labels", "as_of": "2017-11-01T00:00:00"}
    with seat.browser("operator", **{"Sec-Fetch-Site": "same-origin"}) as browser:
        assert 303 == browser.post(f"/ninety/models/{MODEL}/retrain", data=form).status_code
    [event] = seat.ledger.latest_events(EventFilter(kinds=(EventKind.ACTION_ASKED,)), 1)
    assert "2017-11-01T00:00:00+00:00" == event.payload["conf"]["as_of"]


def test_an_alert_is_acknowledged_once(seat):
    """By name and with a note; the second one changes nothing."""
    path = f"/ninety/alerts/{seat.alert_id}/acknowledge"
    with seat.client("operator") as client:
        client.post(path, data={"reason": "I look into it"})
        before = seat.ledger.head()
        client.post(path, data={"reason": "me too"})
    alert = seat.ledger.alert(seat.alert_id)
    assert ("operator", "I look into it") == (alert.acknowledged_by, alert.acknowledgement)
    assert before == seat.ledger.head()


PAGES = [
    "/models",
    f"/models/{MODEL}",
    f"/models/{quote(STRANGE, safe='')}",
    f"/models/{MODEL}/versions/{VERSION}",
    f"/releases/{MODEL}-{VERSION}",
    "/releases/strange-1",
    "/releases/ramped-1",
    "/releases/ramped-1/evidence",
    "/experiments/offers-1",
    "/alerts",
    "/ledger",
    "/ledger/proof",
    "/features",
    "/trace",
    f"/models/{MODEL}/runbook",
]


class Tags(HTMLParser):
    """Collects what a browser would make of a page: elements, handlers, scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[dict[str, str | None]] = []
        self.handlers: list[str] = []
        self.images = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what could run."""
        self.images += tag == "img"
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        if tag == "script":
            self.scripts.append(dict(attrs))


@pytest.mark.parametrize("path", PAGES)
def test_what_people_wrote_is_shown_as_text(seat, path):
    """A model's name, a reason, an alert, an actor with HTML in it: nothing of it becomes an element."""
    with seat.client("operator", Accept="text/html") as client:
        text = client.get(f"/ninety{path}").raise_for_status().text
    found = Tags()
    found.feed(text)
    assert [] == found.handlers
    assert 0 == found.images
    assert all(
        script.get("type") == "application/json" or str(script.get("src")).startswith("/ninety/assets/")
        for script in found.scripts
    )


def test_the_hostile_words_are_there(seat):
    """Escaped, not left out: the test above would pass on an empty page."""
    with seat.client("operator") as client:
        for path in (
            "/alerts",
            "/ledger",
            "/releases/strange-1",
            "/releases/ramped-1",
            "/experiments/offers-1",
        ):
            assert "&lt;script&gt;alert(1)&lt;/script&gt;" in client.get(f"/ninety{path}").text, path


def test_every_treatment_of_an_experiment_is_shown(seat):
    """With its version, its share, and tables of its own."""
    with seat.client("viewer") as client:
        page = client.get("/ninety/experiments/offers-1").text
        for said in (
            "mild",
            "bold",
            "/versions/1.0.2",
            "Guardrails, bold",
            "Slices, shown and not tested, mild",
        ):
            assert said in page, said
        shown = client.get("/ninety/json/experiments/offers-1").json()["treatments"]
        assert [("mild", 0.3, 2), ("bold", 0.3, 2)] == [
            (each["name"], each["share"], len(each["looks"])) for each in shown
        ]


def test_a_page_is_json_by_the_same_address(seat):
    """What is drawn can be read by a program, the open alert among it."""
    with seat.client("viewer") as client:
        rows = client.get("/ninety/json/models").json()["rows"]
        assert [MODEL] == [row["model"] for row in rows if row["model"] == MODEL]
        assert VERSION == next(row["champion"] for row in rows if row["model"] == MODEL)
        model = client.get(f"/ninety/json/models/{MODEL}").json()
        assert [VERSION] == [reign["version"] for reign in model["reigns"]]
        assert ["approver"] == model["reigns"][0]["approved_by"]
        alerts = client.get("/ninety/json/alerts").json()
        assert HOSTILE in {alert["content"]["message"] for part in alerts.values() for alert in part}


def test_the_ledger_is_filtered_exported_and_proven(seat):
    """By kind; the export's lines carry what the chain's hashes cover."""
    with seat.client("viewer") as client:
        page = client.get("/ninety/json/ledger", params={"kind": "release_opened", "model": MODEL}).json()
        assert {"release_opened"} == {event["kind"] for event in page["events"]}
        lines = client.get("/ninety/ledger/export").text.splitlines()
        assert page["count"] == len(lines)
        assert client.get("/ninety/json/ledger/proof").json()["whole"] is True
        assert 422 == client.get("/ninety/ledger", params={"kind": "nonsense"}).status_code
        form = {
            "model": "",
            "kind": "",
            "actor": "operator",
            "subject": "",
            "since": "2025-12-01",
            "until": "",
        }
        found = client.get("/ninety/json/ledger", params=form).raise_for_status().json()["events"]
        assert {"operator"} == {event["actor"] for event in found}
        assert "2025-12-01" <= min(event["recorded_at"] for event in found)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        (f"/of/{MODEL}_rollback", f"/ninety/models/{MODEL}"),
        (f"/of/{MODEL}_train/manual__1", f"/ninety/models/{MODEL}/trainings/{MODEL}_train%3Amanual__1"),
        ("/of/features_materialize/any", "/ninety/features"),
    ],
)
def test_a_run_leads_to_what_came_of_it(seat, path, target):
    """From Airflow's page of a DAG, a run or a task."""
    with seat.client("viewer") as client:
        assert target == client.get(f"/ninety{path}").headers["location"]


def test_an_unknown_thing_is_told_as_such(seat):
    """In words for people, in JSON for programs."""
    with seat.client("viewer") as client:
        assert 404 == client.get("/ninety/models/nobody").status_code
        assert "no release" in client.get("/ninety/releases/none").json()["detail"]
        told = client.get("/ninety/releases/none", headers={"Accept": "text/html"})
        assert "Not there" in told.text


def addresses(text: str) -> list[str]:
    """Return the addresses a cell of the documentation names."""
    return re.findall(r"`/ninety([^`]+)`", text)


def test_every_page_is_json_too_and_both_are_documented(routes):
    """A route that is not in the tables of the documentation, or a line about none, fails here."""
    docs = DOCS.read_text(encoding="utf-8")
    shown = [
        (addresses(page), addresses(json))
        for page, json in re.findall(r"^\| (`/ninety.*?) \|.*\|(.*)\|$", docs, flags=re.M)
    ]
    gets = {path for method, path in routes if method == "GET"}
    pages = {path: f"/json{path}" for path in gets if f"/json{path}" in gets}
    assert len(pages) > 10
    assert pages == {page: json for ((page, *_), (json,)) in ((p, j) for p, j in shown if j)}
    assert gets == {path for page, json in shown for path in (*page, *json)}
    acting = re.findall(r"^\| [a-z ,]+ \| (`/ninety.*?) \|", docs, flags=re.M)
    acts = {path for told in acting for path in addresses(told)}
    assert acts == {path for method, path in routes if method == "POST"}


def test_prometheus_scrapes_with_a_token_of_its_own(seat):
    """Neither nobody nor a user's token of Airflow; another token counts at once, no file lets nobody in."""
    file = Path(seat.settings.metrics_token_file)

    def scraped(token: str | None) -> tuple[int, set[str]]:
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        with seat.client(NOBODY, **headers) as client:
            answer = client.get("/prometheus/metrics")
        found = text_string_to_metric_families(answer.text) if answer.status_code == 200 else ()
        return answer.status_code, {family.name for family in found}

    assert (401, set()) == scraped("anything")
    file.write_text("a-scraper's\n", encoding="utf-8")
    for token in (None, "wrong", seat.tokens["admin"]):
        assert (401, set()) == scraped(token)
    code, names = scraped("a-scraper's")
    assert 200 == code
    assert {"ninety_alerts_open", "ninety_alerts_undelivered"} <= names
    file.write_text("another", encoding="utf-8")
    assert (401, 200) == (scraped("a-scraper's")[0], scraped("another")[0])
    file.write_text("", encoding="utf-8")
    assert 401 == scraped("another")[0]
