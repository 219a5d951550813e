"""Each part's own user in PostgreSQL, as Compose makes them: what it may do, and what it may not."""

import os
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import OperationalError

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.commands.services import postgres_program
from include.config.settings import REPOSITORY_ROOT
from include.contracts.errors import LedgerError
from tests.adapters.ledger.changes import register

pytestmark = pytest.mark.services
SCRIPT = REPOSITORY_ROOT / "docker" / "postgres" / "databases.sh"
PARTS = ("ledger", "airflow", "mlflow", "gateway")


@pytest.fixture(scope="module")
def server(postgres: str) -> str:
    """A server on which the script has run."""
    url = make_url(postgres)
    environment = {
        **{f"{part.upper()}_PASSWORD": f'{part}\'s "secret"' for part in PARTS},
        "PATH": f"{Path(postgres_program('psql')).parent}{os.pathsep}{os.environ['PATH']}",
        "POSTGRES_USER": str(url.username),
        "PGHOST": str(url.host),
        "PGPORT": str(url.port),
        "PGDATABASE": str(url.database),
        "PGPASSWORD": str(url.password),
    }
    done = subprocess.run(["sh", str(SCRIPT)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return postgres


def url_of(server: str, part: str, database: str) -> str:
    """Return the URL by which a part reaches a database."""
    url = make_url(server).set(username=part, password=f'{part}\'s "secret"', database=database)
    return url.render_as_string(hide_password=False)


def test_the_gateway_reads_the_ledger_and_cannot_write_it(server: str) -> None:
    """Not even a key: whoever takes a gateway over changes nothing in the ledger."""
    upgrade(url_of(server, "ledger", "ledger"))
    writer = Ledger(url_of(server, "ledger", "ledger"))
    version = register(writer)
    reader = Ledger(url_of(server, "gateway", "ledger"))
    assert (version,) == reader.versions("churn")
    assert 1 == reader.verify()
    with pytest.raises(LedgerError, match="permission denied"):
        register(reader, "1.0.1")
    for ledger in (reader, writer):
        ledger.close()


@pytest.mark.parametrize(
    ("part", "database"),
    [("airflow", "ledger"), ("mlflow", "ledger"), ("mlflow", "airflow"), ("gateway", "mlflow")],
)
def test_no_part_reaches_anothers_database(server: str, part: str, database: str) -> None:
    """Not even to look."""
    engine = create_engine(url_of(server, part, database))
    with pytest.raises(OperationalError, match="permission denied for database"):
        engine.connect()
    engine.dispose()
