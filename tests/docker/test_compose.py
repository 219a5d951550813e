"""The containers: Compose reads them, they name what there is, and nothing secret or open is in them."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.config.settings import REPOSITORY_ROOT, Settings
from tests.servers import needed

DOCKER = REPOSITORY_ROOT / "docker"
INSIDE_ONLY = {"mlflow", "triton-one", "triton-two", "postgres", "redis", "s3", "prometheus", "gateway-one"}
VARIABLES = set(re.findall(r"^(\w+)=", (DOCKER / "example.env").read_text(encoding="utf-8"), flags=re.M))


def services() -> dict[str, dict[str, Any]]:
    """Return what Compose would run."""
    found: dict[str, dict[str, Any]] = yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))[
        "services"
    ]
    return found


def settings_named(text: str) -> set[str]:
    """Return the settings a text names."""
    return set(re.findall(r"\bNINETY_([A-Z_]+)\b", text))


@pytest.mark.parametrize(
    "path",
    [*DOCKER.rglob("*.yaml"), *DOCKER.rglob("*.Dockerfile")],
    ids=lambda path: path.relative_to(DOCKER).as_posix(),
)
def test_every_setting_that_is_named_exists(path: Path) -> None:
    """A variable that no setting reads would be refused when the container starts."""
    known = {name.upper() for name in Settings.model_fields}
    assert set() == settings_named(path.read_text(encoding="utf-8")) - known


def test_settings_of_the_containers_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the platform's and the gateways' containers are told makes settings."""
    for name in ("worker", "gateway-one"):
        with monkeypatch.context() as patch:
            for variable, value in services()[name]["environment"].items():
                patch.setenv(variable, re.sub(r"\$\{\w+:[?-]?\}", "x", value))
            assert ("triton-one:8001", "triton-two:8001") == Settings().serving_endpoints


def test_secrets_come_from_the_environment() -> None:
    """Every password is a variable that must be set; the example has none."""
    text = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
    used = set(re.findall(r"\$\{(\w+):[?-]\}", text))
    assert VARIABLES == used
    assert [] == re.findall(r"(?i)(?:password|secret)[\w-]*: (?!\$\{)\S+", text)
    assert "" == "".join(re.findall(r"^\w+=(.*)$", (DOCKER / "example.env").read_text("utf-8"), flags=re.M))


def test_only_three_are_reachable_and_on_loopback() -> None:
    """Balancer, Airflow's page and Grafana; MLflow and Triton never are."""
    exposed = {name: service["ports"] for name, service in services().items() if "ports" in service}
    assert {"api-server", "balancer", "grafana"} == exposed.keys()
    assert all(port.startswith("127.0.0.1:") for ports in exposed.values() for port in ports)
    for name in INSIDE_ONLY:
        assert ["inside"] == services()[name]["networks"], name
    compose = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
    assert compose["networks"]["inside"] == {"internal": True}


def test_containers_of_ours_may_do_nothing_they_need_not() -> None:
    """No capability, no new privileges, nothing to write on but their volume, a user of their own."""
    for name, service in services().items():
        if not service["image"].startswith("ninety-"):
            continue
        assert (["ALL"], True) == (service["cap_drop"], service["read_only"]), name
        assert ["no-new-privileges:true"] == service["security_opt"], name
    for path in DOCKER.glob("*.Dockerfile"):
        text = path.read_text(encoding="utf-8")
        assert re.search(r"^USER ninety$", text, flags=re.M), path
        assert "Not yet built or run" in text
    finite = {"prepare", "bucket"}
    health = {name for name, service in services().items() if "healthcheck" in service}
    assert health | finite | {"gateway-one", "gateway-two"} == services().keys()


def test_the_gateways_image_lacks_what_it_needs_not() -> None:
    """Neither Airflow nor torch is in its lock, and no stage of the platform is copied."""
    text = (DOCKER / "gateway.Dockerfile").read_text(encoding="utf-8")
    lock = (REPOSITORY_ROOT / "serving" / "gateway" / "requirements.lock").read_text(encoding="utf-8")
    assert [] == re.findall(r"^(?:apache-airflow|torch|mlflow|feast)[a-z-]*==", lock, flags=re.M)
    copied = set(re.findall(r"^COPY include/(\w+) ", text, flags=re.M))
    assert {"contracts", "config", "transforms", "adapters"} == copied
    assert "--require-hashes" in text


def test_compose_reads_the_file(tmp_path: Path) -> None:
    """`docker compose config`, by Docker's own plugin where it is, else by Debian's docker-compose."""
    environment = dict.fromkeys(VARIABLES, "x") | {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    command = (
        ["docker", "compose"] if plugin.returncode == 0 else [needed("docker-compose", "docker-compose")]
    )
    command += ["-f", str(DOCKER / "compose.yaml"), "config", "--quiet"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    missing = subprocess.run(
        command, env={**environment, "LEDGER_PASSWORD": ""}, capture_output=True, check=False
    )
    assert missing.returncode != 0
