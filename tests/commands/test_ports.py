"""A taken port is named before anything starts."""

import os
import socket

import pytest

from include.commands.ports import Port, check_ports, ports_of
from include.config.settings import Settings
from include.contracts.errors import PlatformError


@pytest.fixture
def taken():
    """Return a port this process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_taken_port_names_its_holder_and_the_setting(taken):
    """Number, server, who holds it, and what to set."""
    with pytest.raises(PlatformError) as caught:
        check_ports("127.0.0.1", [Port(taken, "Airflow", "NINETY_AIRFLOW_PORT")])

    message = str(caught.value)
    assert message.startswith(f"port {taken} (Airflow) is in use by ")
    assert f"(pid {os.getpid()})" in message
    assert message.endswith("; set NINETY_AIRFLOW_PORT")


def test_every_taken_port_is_named_at_once(taken):
    """Two problems, two lines."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        ports = [Port(taken, "Airflow", "A"), Port(other.getsockname()[1], "MLflow", "B")]
        with pytest.raises(PlatformError) as caught:
            check_ports("127.0.0.1", ports)

    assert len(str(caught.value).splitlines()) == 2


def test_one_port_for_two_servers_is_refused(taken):
    """Our own servers must not collide either."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]

    with pytest.raises(PlatformError, match="given to both Airflow and MLflow; set B"):
        check_ports("127.0.0.1", [Port(free, "Airflow", "A"), Port(free, "MLflow", "B")])


def test_each_port_has_its_setting(tmp_path):
    """The five ports of the platform, each with a setting that exists."""
    ports = ports_of(Settings(home=tmp_path), ["api-server", "scheduler", "mlflow", "triton", "gateway"])

    assert [port.number for port in ports] == [8080, 5000, 8001, 8002, 8000]
    assert {port.setting.removeprefix("NINETY_").lower() for port in ports} <= set(Settings.model_fields)
