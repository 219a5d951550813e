"""What Prometheus is given beside the platform: it reads, and asks for what there is."""

import re
import subprocess
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from include.config.settings import Settings
from tests.servers import needed

FOLDER = Path(__file__).parents[2] / "docker" / "prometheus"


def rules() -> list[dict[str, Any]]:
    """Return every rule."""
    groups = yaml.safe_load((FOLDER / "ninety.rules.yml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_can_be_read(rule: dict[str, Any]) -> None:
    """Its expression is PromQL, and it says how bad it is, what is wrong and where that stands."""
    promql_parser.parse(rule["expr"])
    assert rule["labels"]["severity"] in {"warning", "error", "critical"}
    assert {"summary", "runbook"} == rule["annotations"].keys()


def test_nonsense_is_refused() -> None:
    """The parser above is one that can say no."""
    with pytest.raises(ValueError, match="unclosed"):
        promql_parser.parse("rate(x[5m]")


def test_jobs_are_those_the_rules_ask_for_at_the_default_ports() -> None:
    """The configuration scrapes what a platform with default settings offers."""
    jobs = {
        job["job_name"]: (job.get("metrics_path", "/metrics"), job["static_configs"][0]["targets"])
        for job in yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    }
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    assert {
        "ninety-airflow": ("/prometheus/metrics", [f"127.0.0.1:{defaults['airflow_port']}"]),
        "ninety-gateway": ("/metrics", [f"127.0.0.1:{defaults['gateway_port']}"]),
        "ninety-triton": ("/metrics", [f"127.0.0.1:{defaults['triton_metrics_port']}"]),
    } == jobs
    asked = " ".join(rule["expr"] for rule in rules())
    assert all(f'job="{job}"' in asked for job in jobs)


def test_rules_ask_for_metrics_of_the_gateway_that_are_there() -> None:
    """Each is in the table of its metrics."""
    telemetry = (FOLDER.parents[1] / "docs" / "telemetry.md").read_text(encoding="utf-8")
    asked = {name for rule in rules() for name in re.findall(r"gateway_\w+", rule["expr"])}
    assert asked
    assert asked <= set(re.findall(r"^\| `(gateway_\w+)`", telemetry, flags=re.M))


@pytest.mark.services
@pytest.mark.parametrize("command", ["check config prometheus.yml", "test rules ninety.rules.test.yml"])
def test_prometheus_agrees(command: str) -> None:
    """Prometheus' own tool reads the files, and the rules fire when they should and not before."""
    program = needed("promtool", "prometheus")
    done = subprocess.run(
        [program, *command.split()], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
