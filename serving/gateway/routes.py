"""Routes and keys: polled from the ledger, swapped whole, kept on disk for a start without it."""

import asyncio
from collections.abc import Callable
from logging import getLogger
from pathlib import Path
from threading import Event, Thread

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy.exc import SQLAlchemyError

from include.adapters.files import write_atomically
from include.contracts.errors import LedgerError
from include.contracts.keys import ApiKey
from include.contracts.routes import RouteSnapshot
from serving.gateway.dataplane import Dataplane
from serving.gateway.ports import LedgerReader

POLL_SECONDS = 1.0
STATE_NAME = "routes.json"

_log = getLogger(__name__)


class ServingState(BaseModel):
    """All the gateway takes from the ledger."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    snapshot: RouteSnapshot | None = None
    api_keys: tuple[ApiKey, ...] = ()


class RoutePoller:
    """Follows the ledger from a thread of its own; while it is away, the last state goes on."""

    def __init__(self, ledger: Callable[[], LedgerReader], folder: Path, dataplane: Dataplane) -> None:
        """Args: ledger: opens the ledger; called again until it succeeds."""
        self._open = ledger
        self._ledger: LedgerReader | None = None
        self._path = folder / STATE_NAME
        self._dataplane = dataplane
        self._state = ServingState()
        self._applied: RouteSnapshot | None = None
        self._is_reachable = True
        self._stopped = Event()
        self._thread = Thread(target=self._follow, name="routes", daemon=True)

    async def start(self) -> None:
        """Serve the state kept on disk, then what the ledger says, then follow it."""
        self._loop = asyncio.get_running_loop()
        self._apply(await asyncio.to_thread(self._kept))
        await asyncio.to_thread(self.poll)
        self._thread.start()

    async def stop(self) -> None:
        """Stop following."""
        self._stopped.set()
        await asyncio.to_thread(self._thread.join)
        if self._ledger is not None:
            self._ledger.close()

    def poll(self) -> None:
        """Look once; on a change the data plane is swapped on its own loop and the state kept."""
        try:
            state = self._read()
            if state != self._state:
                self._loop.call_soon_threadsafe(self._apply, state)
                self._keep(state)
        except (SQLAlchemyError, LedgerError, OSError, ValidationError) as error:
            self._note(reachable=False, error=f"{type(error).__name__}: {error}")
        except Exception:  # noqa: BLE001 - without this thread routes and revoked keys would stand still
            _log.exception("routes could not be followed")
        else:
            self._note(reachable=True)

    def _follow(self) -> None:
        while not self._stopped.wait(POLL_SECONDS):
            self.poll()

    def _read(self) -> ServingState:
        self._ledger = self._ledger or self._open()
        keys, snapshot = self._ledger.api_keys(), self._state.snapshot
        if self._ledger.snapshot_id() != (snapshot.snapshot_id if snapshot else None):
            snapshot = self._ledger.route_snapshot()
        return ServingState(snapshot=snapshot, api_keys=keys)

    def _keep(self, state: ServingState) -> None:
        """Write the state to disk; one that could not be written is tried again at the next look."""
        try:
            write_atomically(self._path, state.model_dump_json().encode())
        except OSError as error:
            _log.warning("routes are in force, but not kept on disk", extra={"fields": {"error": str(error)}})
        else:
            self._state = state

    def _kept(self) -> ServingState:
        try:
            self._state = ServingState.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            _log.info("no routes are kept on disk yet")
        except (OSError, ValidationError) as error:
            _log.warning("kept routes are unreadable", extra={"fields": {"error": type(error).__name__}})
        return self._state

    def _apply(self, state: ServingState) -> None:
        self._dataplane.swap_keys(state.api_keys)
        if state.snapshot is not None and state.snapshot != self._applied:
            self._applied = state.snapshot
            self._dataplane.swap_routes(state.snapshot)
            _log.info("routes in force", extra={"fields": {"snapshot": state.snapshot.snapshot_id}})

    def _note(self, *, reachable: bool, error: str | None = None) -> None:
        """One line a change, not one a second."""
        if reachable != self._is_reachable:
            message = "ledger is back" if reachable else "ledger is away; the last routes stay in force"
            _log.warning(message, extra={"fields": {"error": error} if error else {}})
        self._is_reachable = reachable
