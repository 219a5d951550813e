"""Where Spark and its Java are: an environment of its own, `make setup-spark`, which others never load."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from include.config.settings import REPOSITORY_ROOT
from include.contracts.errors import PlatformError

PACKAGES = REPOSITORY_ROOT / ".venv-spark" / "lib" / "python3.11" / "site-packages"
JAVA_VERSIONS = (17, 21)
"""Those Spark 4 is tested with, the preferred one first."""
JAVA_PACKAGE = f"openjdk-{JAVA_VERSIONS[0]}-jre-headless"
"""Debian's."""
_JAVA_FOLDERS = Path("/usr/lib/jvm")


def provide_spark() -> None:
    """Let this process import pyspark, and pyspark find its Java.

    Raises:
        PlatformError: either is missing.
    """
    if find_spec("pyspark") is None:
        if not (PACKAGES / "pyspark").is_dir():
            raise PlatformError("NINETY_ENGINE is spark, and Spark is not installed: run `make setup-spark`")
        # Last, so that it hides nothing of the platform's own environment.
        sys.path.append(str(PACKAGES))
    os.environ.setdefault("JAVA_HOME", str(java_home()))
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)


def java_home() -> Path:
    """Return the folder of the Java that Spark is to run on.

    Raises:
        PlatformError: there is none.
    """
    if told := os.environ.get("JAVA_HOME"):
        return Path(told)
    for version in JAVA_VERSIONS:
        for folder in sorted(_JAVA_FOLDERS.glob(f"*{version}*")):
            if (folder / "bin" / "java").is_file():
                return folder
    raise PlatformError(f"Spark needs Java: apt install {JAVA_PACKAGE} (Debian and Ubuntu), or set JAVA_HOME")
