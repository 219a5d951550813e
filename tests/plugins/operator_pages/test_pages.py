"""What pages show: text as text, the same as JSON, and where a DAG's run leads."""

from html.parser import HTMLParser
from urllib.parse import quote

import pytest

from tests.plugins.operator_pages.conftest import HOSTILE, MODEL, STRANGE

VERSION = "1.1.0"
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
