"""`python -m serving.triton.server`: keeps the real Triton server running.

Triton is restarted when it dies and then loads the wanted versions again, each one only if every byte
of it is what was staged. A version that is not is skipped; the others go on serving.
"""

import ctypes
import logging
import os
import secrets
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from types import FrameType

from sqlalchemy.exc import SQLAlchemyError

from include.adapters.ledger.ledger import Ledger
from include.adapters.model_repository import verify_staged
from include.config.settings import LOOPBACK, REPOSITORY_ROOT, Settings
from include.config.settings import settings as read_settings
from include.contracts.errors import ArtefactError, LedgerError

LOG = logging.getLogger("triton")
FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 30.0
SETTLED_SECONDS = 60.0
EXIT_SECONDS = 3
_SLICE_SECONDS = 0.1
_ENVIRONMENT = REPOSITORY_ROOT / ".venv-triton"
_PACKAGES = _ENVIRONMENT / "lib" / "python3.11" / "site-packages"
_BINARY = _PACKAGES / "pytriton" / "tritonserver" / "bin" / "tritonserver"
_PR_SET_PDEATHSIG = 1

Wanted = Callable[[Settings], list[str]]


def main() -> int:
    """Supervise Triton until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    supervisor = Supervisor(read_settings(), wanted_models)
    signal.signal(signal.SIGTERM, supervisor.stop)
    signal.signal(signal.SIGINT, supervisor.stop)
    supervisor.run()
    return 0


def wanted_models(settings: Settings) -> list[str]:
    """Return the Triton names the ledger's routes need; none while there is no ledger or it is down.

    What is missing then is loaded by the reconciler.
    """
    try:
        with closing(Ledger(settings.ledger_uri)) as ledger:
            snapshot = ledger.route_snapshot()
    except (LedgerError, SQLAlchemyError) as error:
        LOG.error("the ledger does not answer, so no version is loaded: %s", error)  # noqa: TRY400 as below
        return []
    return list(snapshot.triton_models) if snapshot else []


def loadable(repository: Path, names: Iterable[str]) -> list[str]:
    """Return the names whose files are whole; say which are not, and why."""
    whole = []
    for name in names:
        try:
            verify_staged(repository / name)
        except ArtefactError as error:
            LOG.error("version %s is not loaded: %s", name, error)  # noqa: TRY400 the message says it all
        else:
            whole.append(name)
    return whole


class Supervisor:
    """Starts Triton, restarts it when it dies, ends it when told."""

    def __init__(self, settings: Settings, wanted: Wanted) -> None:
        self._settings = settings
        self._wanted = wanted
        self._stopping = False
        self._server: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Keep Triton running until `stop`."""
        delay = FIRST_DELAY_SECONDS
        while not self._stopping:
            began = time.monotonic()
            status = self._serve_once()
            lived = time.monotonic() - began
            if self._stopping:
                return
            delay = next_delay(delay, lived)
            LOG.error(
                "Triton ended (status %s) after %.1f s; starting it again in %.1f s", status, lived, delay
            )
            self._pause(delay)

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._stopping:
            time.sleep(_SLICE_SECONDS)

    def stop(self, number: int, _frame: FrameType | None) -> None:
        """End Triton and then the supervisor; fit for a signal handler."""
        LOG.info("%s: ending Triton", signal.Signals(number).name)
        self._stopping = True
        if self._server is not None and self._server.poll() is None:
            self._server.send_signal(signal.SIGTERM)

    def _serve_once(self) -> int:
        _remove_shared_memory(self._settings)
        self._settings.triton_repository.mkdir(parents=True, exist_ok=True)
        names = loadable(self._settings.triton_repository, self._wanted(self._settings))
        LOG.info("starting Triton on %s with %s", self._settings.triton_endpoint, names or "no model yet")
        self._server = subprocess.Popen(  # noqa: S603 the command is built from settings
            server_command(self._settings, names),
            env=server_environment(),
            process_group=0,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 this process has one thread
        )
        if self._stopping:  # told so before there was a server to tell
            self._server.send_signal(signal.SIGTERM)
        status = self._server.wait()
        _end_group(self._server.pid)
        _remove_shared_memory(self._settings)
        return status


def next_delay(previous: float, lived_seconds: float) -> float:
    """Double the wait while Triton keeps dying young; begin anew once it had settled."""
    if lived_seconds >= SETTLED_SECONDS:
        return FIRST_DELAY_SECONDS
    return min(previous * 2, LONGEST_DELAY_SECONDS)


def server_command(settings: Settings, names: Iterable[str]) -> list[str]:
    """Return Triton's command line: explicit model control, gRPC and metrics only, few words."""
    return [
        str(_BINARY),
        f"--model-repository={settings.triton_repository}",
        f"--backend-directory={_ENVIRONMENT / 'backends'}",
        f"--backend-config=python,shm-region-prefix-name={_shared_memory_prefix(settings)}",
        "--model-control-mode=explicit",
        "--exit-on-error=false",
        "--strict-readiness=false",
        f"--exit-timeout-secs={EXIT_SECONDS}",
        "--allow-http=false",
        f"--grpc-address={LOOPBACK}",
        f"--grpc-port={settings.triton_grpc_port}",
        f"--grpc-restricted-protocol=shared-memory,trace,logging:key={secrets.token_hex(16)}",
        f"--metrics-address={LOOPBACK}",
        f"--metrics-port={settings.triton_metrics_port}",
        "--allow-gpu-metrics=false",
        "--pinned-memory-pool-byte-size=0",
        "--log-info=false",
        *(f"--load-model={name}" for name in names),
    ]


def server_environment() -> dict[str, str]:
    """Return the environment of Triton and its Python backend, which knows nothing of this repository."""
    libraries = [str(sysconfig.get_config_var("LIBDIR")), str(_PACKAGES / "nvidia_pytriton.libs")]
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TZ", "TMPDIR") if name in os.environ}
    return kept | {
        "PATH": os.pathsep.join([str(_ENVIRONMENT / "bin"), os.environ.get("PATH", os.defpath)]),
        "LD_LIBRARY_PATH": os.pathsep.join(libraries),
        "PYTHONPATH": str(_PACKAGES),
        "OMP_NUM_THREADS": "1",
    }


def _shared_memory_prefix(settings: Settings) -> str:
    return f"ninety_triton_{settings.triton_grpc_port}_"


def _remove_shared_memory(settings: Settings) -> None:
    """Free what a killed Triton left in shared memory."""
    for region in Path("/dev/shm").glob(_shared_memory_prefix(settings) + "*"):  # noqa: S108 the kernel's own
        region.unlink(missing_ok=True)


def _end_group(group: int) -> None:
    """Kill what a dead Triton left running: the processes of its Python backend."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
