"""What must hold for every test."""

# First of all: Feast turns prometheus_client into its multi-process mode if it is imported before it, and
# then all gateways of a test process share their counters.
import prometheus_client  # noqa: F401, I001

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def s3() -> Iterator[dict[str, str]]:
    """A server of S3, named by the environment from now on; gives the variables."""
    from tests.buckets import s3_server  # noqa: PLC0415 - boto3 takes a while to import

    with s3_server() as variables, pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield variables
