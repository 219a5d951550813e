"""A cluster of Spark on this machine, for tests and benchmarks: a master and workers, each a process."""

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from include.adapters.spark.environment import JAVA_PACKAGE, PACKAGES, java_home
from include.commands.services import find_server, free_port, running_server
from include.config.settings import LOOPBACK
from include.contracts.errors import PlatformError

_CLASS = "org.apache.spark.deploy"


@dataclass(frozen=True)
class SparkCluster:
    """A running cluster."""

    master: str
    """What NINETY_SPARK_MASTER is to be."""
    configuration: Path
    """What SPARK_CONF_DIR is to be; its file holds the secret without which nobody is let in."""

    @property
    def spark_environment(self) -> dict[str, str]:
        """Spark's own variables of a process that uses it."""
        return {"SPARK_CONF_DIR": str(self.configuration), "SPARK_LOCAL_IP": LOOPBACK}


def ensure_java(*, install: bool) -> Path:
    """Return the home of the Java Spark runs on.

    Args:
        install: install Debian's package where there is none; needs root.

    Raises:
        PlatformError: there is none, or it cannot be installed.
    """
    try:
        return java_home()
    except PlatformError:
        if not install:
            raise
    find_server("java", JAVA_PACKAGE, install=True)
    return java_home()


@contextmanager
def spark_cluster(folder: Path, workers: int = 2, memory: str = "1g") -> Iterator[SparkCluster]:
    """Run a master and workers of one core each on loopback; stop them afterwards.

    Args:
        folder: where configuration, logs and working files go.
        workers: how many.
        memory: of each worker, all of which one executor takes.

    Raises:
        PlatformError: Spark or Java is not installed, or a process did not start.
    """
    program = PACKAGES / "pyspark" / "bin" / "spark-class"
    if not program.is_file():
        raise PlatformError("Spark is not installed: run `make setup-spark`")
    configuration = _configure(folder, memory)
    environment = _environment(folder, configuration)
    port = free_port()
    master = f"spark://{LOOPBACK}:{port}"
    defaults = ["--properties-file", str(configuration / "spark-defaults.conf")]
    with ExitStack() as stack:

        def run(kind: str, name: str, listens: int, *arguments: str) -> None:
            command = [str(program), f"{_CLASS}.{kind}", "--host", LOOPBACK, "--port", str(listens)]
            command += ["--webui-port", str(free_port()), *defaults, *arguments]
            stack.enter_context(
                running_server(command, folder / f"{name}.log", listens, environment=environment)
            )

        run("master.Master", "master", port)
        for number in range(workers):
            place = ["--cores", "1", "--memory", memory, "--work-dir", str(folder / f"work{number}")]
            run("worker.Worker", f"worker{number}", free_port(), *place, master)
        yield SparkCluster(master, configuration)


def _configure(folder: Path, memory: str) -> Path:
    """Write the configuration that daemons and drivers share, for their owner alone."""
    configuration = folder / "conf"
    configuration.mkdir(parents=True)
    lines = {
        "spark.authenticate": "true",
        "spark.authenticate.secret": secrets.token_urlsafe(32),
        "spark.master.rest.enabled": "false",
        "spark.executor.memory": memory,
        "spark.driver.memory": "1g",
        "spark.sql.shuffle.partitions": "4",
    }
    path = configuration / "spark-defaults.conf"
    path.touch(mode=0o600)
    path.write_text("".join(f"{name} {value}\n" for name, value in lines.items()), encoding="ascii")
    (configuration / "log4j2.properties").write_text(_LOGGING, encoding="ascii")
    return configuration


_LOGGING = """rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d %p %c{1}: %m%n
"""


def _environment(folder: Path, configuration: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}
    return kept | {
        "JAVA_HOME": str(java_home()),
        "SPARK_HOME": str(PACKAGES / "pyspark"),
        "SPARK_CONF_DIR": str(configuration),
        "SPARK_LOCAL_IP": LOOPBACK,
        "SPARK_LOCAL_DIRS": str(folder / "local"),
        "SPARK_DAEMON_MEMORY": "512m",
        "TZ": "UTC",
    }
