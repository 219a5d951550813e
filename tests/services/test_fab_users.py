"""Users in Airflow's database: made once, with the passwords of the secrets and the roles of the file."""

import os
import subprocess
import sys
import time

import httpx
import pytest

from include.commands import processes
from include.commands.airflow_api import AirflowApi
from include.commands.environment import process_environment
from include.commands.secrets import passwords
from include.config.settings import REPOSITORY_ROOT, AirflowAuth, Settings
from include.contracts.errors import PlatformError
from tests.e2e.conftest import free_ports

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Airflow's API server alone, its users in the database."""
    home = tmp_path_factory.mktemp("airflow") / "var"
    settings = Settings(home=home, airflow_port=free_ports(1)[0], airflow_auth=AirflowAuth.FAB)
    processes.start(settings, ("api-server",))
    try:
        _await(settings)
        yield settings
    finally:
        processes.stop(settings, say=list)


def _await(settings):
    """Wait until it answers."""
    for _ in range(600):
        try:
            httpx.get(f"{settings.airflow_url}/api/v2/version", trust_env=False, timeout=5)
        except httpx.TransportError:
            time.sleep(0.2)
            continue
        return
    pytest.fail("Airflow did not answer")


def api(settings, user):
    """Return a session of a user."""
    return AirflowApi(settings.airflow_url, user, passwords(settings)[user])


def connections(settings, user):
    """Return the status of a look at the connections, which an operator may have and a viewer not."""
    session = api(settings, user)
    url = f"{settings.airflow_url}/api/v2/connections"
    return httpx.get(url, headers=session._headers, trust_env=False, timeout=30).status_code


def test_users_have_their_roles(server):
    """Each logs in with its password and may what its role may."""
    assert {"admin": 200, "operator": 200, "approver": 403, "viewer": 403} == {
        user: connections(server, user) for user in ("admin", "operator", "approver", "viewer")
    }


def test_a_wrong_password_is_refused(server):
    """Whoever it names."""
    with pytest.raises(PlatformError, match="admin"):
        AirflowApi(server.airflow_url, "admin", "guess")


COMPARED = """
from types import SimpleNamespace
from named_users import NamedUsersAuthManager
manager = NamedUsersAuthManager.__new__(NamedUsersAuthManager)
user = SimpleNamespace(get_id=lambda: "3", get_name=lambda: "olga")
print([manager.is_authorized_hitl_task(assigned_users={name}, user=user) for name in ("3", "olga")])
"""


def test_who_is_asked_is_compared_by_name(server):
    """FAB's own way would compare its numbers with names, and let nobody answer."""
    environment = process_environment(server)
    environment["PYTHONPATH"] += f"{os.pathsep}{REPOSITORY_ROOT / 'plugins'}"
    command = [sys.executable, "-W", "ignore", "-c", COMPARED]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert "[False, True]" == told.splitlines()[-1]
