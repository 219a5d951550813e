"""A real server of S3 for tests."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import boto3
import httpx

from include.commands.services import free_port
from include.contracts.errors import PlatformError

START_SECONDS = 60.0


@contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """Run an empty server; yield the variables by which boto3 finds it."""
    endpoint = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-p", endpoint.rpartition(":")[2]]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(process, endpoint)
        yield {
            "AWS_ENDPOINT_URL_S3": endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        process.terminate()
        process.wait(10)


def new_bucket() -> str:
    """Make a bucket on the server that the environment names; return its name."""
    name = f"bucket-{uuid4().hex[:8]}"
    boto3.session.Session().client("s3").create_bucket(Bucket=name)
    return name


def keys_of(bucket: str) -> list[str]:
    """Return the keys of a bucket's objects, in order."""
    pages = boto3.session.Session().client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [item["Key"] for page in pages for item in page.get("Contents", ())]


def _wait(process: subprocess.Popen[bytes], endpoint: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(f"{endpoint}/moto-api/")
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise PlatformError(f"the server of S3 did not start at {endpoint}")
