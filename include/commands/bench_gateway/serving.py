"""What runs while it is measured: one Triton, and gateways side by side that differ in one setting each."""

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass

from sqlalchemy import delete, insert, select

from include.adapters.ledger.engine import open_engine, reading, writing
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.ledger.routes import RouteUpdate
from include.adapters.ledger.tables import chain_head, metadata
from include.adapters.packages import version_route
from include.adapters.triton_control import TritonControl
from include.commands import processes
from include.commands.bench_gateway.servers import running_server
from include.commands.bench_gateway.stack import CHALLENGER, CHAMPION, MODEL, Stack
from include.commands.environment import process_environment
from include.commands.services import free_port
from include.commands.stack import read_record
from include.config.settings import REPOSITORY_ROOT, Settings
from include.contracts.errors import PlatformError
from include.contracts.events import SYSTEM
from include.contracts.routes import ModelRoute
from include.rollout.load import load_version
from include.rollout.switch import full_route

CANARY_SHARE = 0.1
"""Share of the customers on the challenger while traffic is split."""

_PYTHON = REPOSITORY_ROOT / ".venv-gateway" / "bin" / "python"


@dataclass(frozen=True)
class Gateway:
    """A gateway that serves."""

    settings: Settings
    sessions: dict[str, int]
    """Unix session of each process that serves behind its port, by name."""


@contextmanager
def triton(stack: Stack) -> Iterator[None]:
    """Run the platform's Triton with both versions loaded for the length of a block."""
    names = ("triton",)
    processes.start(stack.settings, names)
    try:
        processes.wait_until_ready(stack.settings, names, say=_silent)
        control = TritonControl(stack.settings.triton_endpoint)
        for _, version in stack.versions.values():
            load_version(stack.settings, control, version)
        control.close()
        yield
    finally:
        processes.stop(stack.settings, say=_silent)


@contextmanager
def gateway(
    stack: Stack, name: str, changes: Mapping[str, int | str] | None = None, *, share: float = CANARY_SHARE
) -> Iterator[Gateway]:
    """Run a gateway for the length of a block: a home of its own, the features and the Triton of all.

    Args:
        stack: what was prepared; its Triton runs.
        name: of its home.
        changes: settings that differ.
        share: the challenger's; at 0 the champion serves alone.

    Raises:
        PlatformError: it did not get ready.
    """
    settings = _settled(stack, name, share, changes or {})
    with running_server(
        [str(_PYTHON), "-m", "serving.gateway"],
        process_environment(settings),
        settings.home / "gateway.log",
        f"{settings.gateway_url}/v2/health/ready",
    ) as session:
        yield Gateway(settings, {"gateway": session, "triton": _triton_session(stack)})


def split_route(stack: Stack, share: float) -> ModelRoute:
    """Return the route with the challenger at a share; at 0 the champion serves alone."""
    endpoints = (stack.settings.triton_endpoint,)
    champion = stack.versions[CHAMPION]
    route = full_route(
        stack.folder.contract, *champion, endpoints=endpoints, before=None, change_id="benchmark"
    )
    if not share:
        return route
    challenger = version_route(*stack.versions[CHALLENGER], endpoints)
    return route.model_copy(update={"challenger": challenger, "share": share})


def _settled(stack: Stack, name: str, share: float, changes: Mapping[str, int | str]) -> Settings:
    """Lay a gateway's home out: a link to the features, a copy of the ledger with a route of its own."""
    home = stack.settings.home / "gateways" / name
    changed = {"home": home, "gateway_port": free_port(), **changes}
    own = Settings.model_validate(stack.settings.model_dump() | changed)
    home.mkdir(parents=True, exist_ok=True)
    if not own.features_folder.exists():
        own.features_folder.symlink_to(os.path.relpath(stack.settings.features_folder, home))
        _copy_ledger(stack.settings, own)
    with closing(Ledger(own.ledger_uri)) as ledger:
        state, route = ledger.route_state(MODEL), split_route(stack, share)
        if state.route != route:
            ledger.change_route(RouteUpdate(route, state.revision), actor=SYSTEM, reason="benchmark")
    return own


def _copy_ledger(source: Settings, target: Settings) -> None:
    """Copy every row into an empty ledger, be it of another kind of database."""
    upgrade(target.ledger_uri)
    read, written = open_engine(source.ledger_uri), open_engine(target.ledger_uri)
    with reading(read) as there, writing(written) as here:
        here.execute(delete(chain_head))
        for table in metadata.sorted_tables:
            if rows := [dict(row) for row in there.execute(select(table)).mappings()]:
                here.execute(insert(table), rows)
    read.dispose()
    written.dispose()


def _triton_session(stack: Stack) -> int:
    record = read_record(stack.settings)
    found = record.find("triton") if record else None
    if found is None:
        raise PlatformError("Triton does not run")
    return found.pid


def _silent(_text: str) -> None:
    """Say nothing."""
