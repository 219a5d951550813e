"""The dashboard asks for metrics there are, in PromQL that can be read."""

import json
import re

import promql_parser
import pytest
import yaml

from include.config.settings import REPOSITORY_ROOT

GRAFANA = REPOSITORY_ROOT / "docker" / "grafana"
DASHBOARD = json.loads((GRAFANA / "dashboards" / "ninety.json").read_text(encoding="utf-8"))
TARGETS = [
    pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
]
PAGES = "".join(
    (REPOSITORY_ROOT / name).read_text(encoding="utf-8")
    for name in ("docs/telemetry.md", "docker/prometheus/ninety.rules.yml")
)


@pytest.mark.parametrize("expression", TARGETS)
def test_a_panel_asks_for_what_there_is(expression: str) -> None:
    """Every metric is documented by the gateway or read by a rule."""
    promql_parser.parse(expression.replace("$model", ".+"))
    names = re.findall(r"\b((?:gateway|ninety)_\w+)", expression)
    documented = {re.sub(r"_(?:bucket|count|sum)$", "", name) for name in names}
    assert [] == [name for name in documented if name not in PAGES]


def test_it_is_provisioned_with_its_source() -> None:
    """The folder it is read from, and the Prometheus it asks, are those Compose mounts and runs."""
    provisioning = GRAFANA / "provisioning"
    source = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text(encoding="utf-8"))
    provider = yaml.safe_load((provisioning / "dashboards" / "ninety.yml").read_text(encoding="utf-8"))
    compose = yaml.safe_load((REPOSITORY_ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))
    mounts = compose["services"]["grafana"]["volumes"]
    folder = provider["providers"][0]["options"]["path"]
    assert f"./grafana/dashboards:{folder}:ro" in mounts
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {source["datasources"][0]["uid"]}
    assert source["datasources"][0]["url"] == "http://prometheus:9090"


def test_prometheus_scrapes_the_containers_under_the_same_names() -> None:
    """The rules, which name jobs, hold in both places."""
    jobs = []
    for name in ("prometheus.yml", "compose.yml"):
        text = (REPOSITORY_ROOT / "docker" / "prometheus" / name).read_text(encoding="utf-8")
        found = yaml.safe_load(text)
        jobs.append([(job["job_name"], job.get("metrics_path")) for job in found["scrape_configs"]])
        assert ["ninety.rules.yml"] == found["rule_files"]
    assert jobs[0] == jobs[1]
