"""Every route, as nobody, viewer, operator and admin, on a real API server."""

import sys
from collections.abc import Iterator
from importlib import import_module

import pytest

from include.config.settings import REPOSITORY_ROOT
from tests.plugins.operator_pages.conftest import MODEL, Seat

NOBODY = None
VERSION = "1.1.0"


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


@pytest.mark.parametrize("user", ["viewer", "operator", "admin"])
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
