"""The endpoints as a whole: keys, documentation, what they import."""

import re
import subprocess
import time
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[3]
OPEN = {"/v2", "/v2/health/live", "/v2/health/ready", "/metrics", "/docs", "/openapi.json"}


def test_every_route_of_the_application_but_the_open_ones_needs_a_key(stage):
    """Walks the application itself, so that nothing answers that the document leaves out."""
    routes = routes_of(stage.server.config.app)
    paths = stage.client.get("/openapi.json").json()["paths"]
    assert {(method.upper(), path) for path, each in paths.items() for method in each} == routes
    with httpx.Client(base_url=stage.url) as nobody:
        statuses = {
            path: nobody.request(method, path.format(model="churn", version="1.0.0")).status_code
            for method, path in routes
        }
    assert OPEN == {path for path, status in statuses.items() if status != 401}
    assert OPEN == {path for path, status in statuses.items() if status == 200}
    assert OPEN == {path for path, each in paths.items() for said in each.values() if said["security"] == []}


def routes_of(gateway):
    """Return every method and path that the application answers."""
    by_size = gateway._router._by_size
    return {(endpoint.method, endpoint.path) for each in by_size.values() for _, endpoint in each}


def test_the_document_refers_only_to_what_it_holds(stage):
    """Every $ref of the OpenAPI document leads somewhere."""
    response = stage.client.get("/openapi.json")
    schemas = response.json()["components"]["schemas"]

    assert "3.1.0" == response.json()["openapi"]
    assert set(re.findall(r"#/components/schemas/(\w+)", response.text)) <= schemas.keys()


def test_limits_are_documented_where_there_are_any(stage):
    """Each endpoint that needs a key may answer 429, and says when to come back; the others never do."""
    paths = stage.client.get("/openapi.json").json()["paths"]
    for path, operations in paths.items():
        for operation in operations.values():
            limited = operation["responses"].get("429")
            assert (path in OPEN) == (limited is None), path
            assert limited is None or {"Retry-After"} == limited["headers"].keys()


def test_the_page_explains_every_problem_and_loads_nothing(stage):
    """A problem's `type` leads to its entry; no script, style or picture comes from elsewhere."""
    page = stage.client.get("/docs").text
    problem = stage.client.get("/nothing").json()

    assert f'id="{problem["type"].removeprefix("/docs#")}"' in page
    assert "http" not in page.replace("Http", "")


def counted(text: str, route: str, status: int) -> float:
    """Return how many requests a page of metrics counts."""
    found = re.search(
        rf'^gateway_requests_total{{route="{re.escape(route)}",status="{status}"}} (\S+)$', text, re.M
    )
    return float(found[1]) if found else 0.0


def test_metrics_count_requests_stages_and_fallbacks(stage):
    """Counters by route template, never by entity or path."""
    before = stage.client.get("/metrics").text
    stage.predict({"entity": {"customer_id": 1}})
    stage.client.get("/no/such/path")
    text = stage.client.get("/metrics").text
    deadline = time.monotonic() + 10  # a request is counted after its answer is on its way
    while counted(text, "unknown", 404) == counted(before, "unknown", 404) and time.monotonic() < deadline:
        text = stage.client.get("/metrics").text

    for route, status in (("/v1/predict/{model}", 200), ("unknown", 404)):
        assert counted(before, route, status) + 1 == counted(text, route, status)
    for stage_name in ("auth", "features", "model", "log", "total"):
        assert f'gateway_stage_seconds_count{{stage="{stage_name}"}}' in text
    assert "gateway_log_bytes_total 0" not in text


@pytest.mark.skipif(not (ROOT / ".venv-gateway").is_dir(), reason="the gateway's environment is not set up")
def test_every_module_imports_in_the_small_environment():
    """The gateway's own environment is enough, and nothing heavy comes in with it."""
    names = sorted(path.stem for path in (ROOT / "serving" / "gateway").glob("*.py"))
    imports = ", ".join(f"serving.gateway.{name}" for name in names)
    heavy = "{'torch', 'airflow', 'duckdb', 'mlflow', 'onnxruntime'} & set(sys.modules)"
    result = subprocess.run(
        [ROOT / ".venv-gateway/bin/python", "-c", f"import sys, {imports}; print({heavy})"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    assert "set()" == result.stdout.strip()
