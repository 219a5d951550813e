"""Programs that tests run beside the platform: installed where they are missing, else the test is skipped."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from include.commands.services import find_server, redis_server
from include.contracts.errors import PlatformError


def needed(name: str, package: str) -> str:
    """Return a program's path, installing its Debian package as root; skip the test if it cannot be had."""
    try:
        return find_server(name, package, install=os.geteuid() == 0)
    except PlatformError as error:
        pytest.skip(str(error))


@contextmanager
def running_redis() -> Iterator[str]:
    """Run an empty Redis on loopback; yield its URL."""
    needed("redis-server", "redis-server")
    with redis_server() as url:
        yield url
