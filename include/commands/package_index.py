"""Where packages come from: what pip was told, uv is told too. Standard library only."""

from __future__ import annotations

import re
import ssl
import subprocess
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from include.contracts.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DEFAULT_INDEX = "https://pypi.org/simple"
_LINE = re.compile(r"(?P<scope>[^.]+|:env:)\.(?P<key>[a-z-]+)='(?P<value>.*)'")


def pip_options(listing: str) -> dict[str, str]:
    """Read what `pip config list` prints: option name to value.

    The environment (`:env:`) beats an `install` section, which beats `global`, as in pip itself.
    """
    found: dict[tuple[int, str], str] = {}
    ranks = {"global": 0, "install": 1, ":env:": 2}
    for line in listing.splitlines():
        match = _LINE.fullmatch(line.strip())
        if match is not None and match["scope"] in ranks:
            found[ranks[match["scope"]], match["key"]] = match["value"].replace("\\n", " ")
    return {key: value for (_, key), value in sorted(found.items())}


def uv_environment(options: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which uv uses pip's index, links and certificates.

    What is already said in uv's own variables is kept.
    """
    said = {
        "UV_FIND_LINKS": ",".join(options.get("find-links", "").split()),
        "UV_DEFAULT_INDEX": options.get("index-url", ""),
        "SSL_CERT_FILE": options.get("cert", ""),
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_HTTP_TIMEOUT": "120",
    }
    return {name: value for name, value in said.items() if value} | dict(environment)


def read_pip_options(python: Path) -> dict[str, str]:
    """Ask the pip of an environment what it was told, in its files and in PIP_… variables."""
    command = [str(python), "-m", "pip", "config", "list"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 our own interpreter
    return pip_options(answer.stdout)


def check_index(options: Mapping[str, str], timeout_seconds: float = 20.0) -> None:
    """Make sure that the package index answers.

    Raises:
        PlatformError: it does not; the message names it and the reason.
    """
    index = options.get("index-url", DEFAULT_INDEX)
    if not index.startswith(("http://", "https://")):
        return
    request = urllib.request.Request(index.rstrip("/") + "/uv/", method="HEAD")  # noqa: S310 scheme checked above
    try:
        context = ssl.create_default_context(cafile=options.get("cert"))
        with urllib.request.urlopen(request, timeout=timeout_seconds, context=context):  # noqa: S310 as above
            return
    except urllib.error.HTTPError:
        return  # it answered; what it thinks of this page is for pip to report
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise PlatformError(
            f"the package index {index} cannot be reached ({reason}); "
            "check the network, or name another index in PIP_INDEX_URL"
        ) from error
