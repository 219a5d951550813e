"""What must hold for every test."""

# First of all: Feast turns prometheus_client into its multi-process mode if it is imported before it, and
# then all gateways of a test process share their counters.
import prometheus_client  # noqa: F401, I001

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh, migrated ledger, in each database there is code for; gives its URL."""
    from tests.databases import new_ledger, new_sqlite_ledger  # noqa: PLC0415 - only who asks for it needs it

    if request.param == "postgresql":
        return new_ledger(request.getfixturevalue("postgres"))
    return new_sqlite_ledger(tmp_path)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """An empty PostgreSQL; gives its superuser's URL."""
    from tests.servers import running_postgres  # noqa: PLC0415 - only who asks for it needs it

    with running_postgres() as url:
        yield url


@pytest.fixture(scope="session")
def s3() -> Iterator[dict[str, str]]:
    """A server of S3, named by the environment from now on; gives the variables."""
    from tests.buckets import s3_server  # noqa: PLC0415 - boto3 takes a while to import

    with s3_server() as variables, pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield variables
