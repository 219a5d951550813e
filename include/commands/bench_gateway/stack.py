"""The platform that is measured: features online, two versions behind Triton, a key, the gateway."""

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import httpx

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.ledger.routes import RouteUpdate
from include.adapters.triton_control import TritonControl
from include.commands import processes
from include.commands.bench_gateway.fresh_data import Customer, bring_online, compute, moved_purchases
from include.commands.bench_gateway.versions import register_untrained
from include.commands.processes import refuse_second_start
from include.commands.services import free_port
from include.commands.stack import read_record
from include.config.models import ModelFolder, model_folder
from include.config.settings import Settings
from include.config.transforms import load_transform, run_transform
from include.contracts.errors import PlatformError
from include.contracts.events import SYSTEM
from include.contracts.keys import Verb
from include.contracts.packages import Manifest, Version
from include.contracts.predictions import FeatureValue
from include.contracts.routes import ModelRoute
from include.rollout.load import load_version
from include.rollout.switch import full_route, version_route

MODEL = "churn"
CHAMPION, CHALLENGER = "1.0.0", "1.1.0"
CANARY_SHARE = 0.1
"""Share of the customers on the challenger while traffic is split."""
SERVING = ("triton", "gateway")
_READY_SECONDS = 60.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Stack:
    """What was prepared; Triton and gateway run only inside `serving`."""

    settings: Settings
    customers: tuple[Customer, ...]
    versions: Mapping[str, tuple[Manifest, Version]]
    key: str

    @cached_property
    def folder(self) -> ModelFolder:
        """The model's folder."""
        return model_folder(self.settings.model_folders, MODEL)

    def rows(self, customers: Sequence[Customer], moment: datetime) -> list[dict[str, FeatureValue]]:
        """Return what the model is given for customers at a moment: transforms are computed."""
        return model_rows(self.folder, customers, moment)

    def variant(self, **changes: int | str) -> "Stack":
        """Return the same with other settings for its processes."""
        return Stack(self.settings.model_copy(update=changes), self.customers, self.versions, self.key)

    def sessions(self) -> dict[str, int]:
        """Return the Unix session of each process that serves, by its name.

        Raises:
            PlatformError: nothing runs.
        """
        record = read_record(self.settings)
        if record is None:
            raise PlatformError("neither Triton nor the gateway runs")
        return {item.name: item.pid for item in record.sessions[1:]}


def prepare(settings: Settings) -> Stack:
    """Build everything anew under the settings' home: features, versions, ledger, key; nothing runs yet."""
    refuse_second_start(settings)
    shutil.rmtree(settings.home, ignore_errors=True)
    today = datetime.now(UTC).date()
    local = settings.model_copy(update={"sources": {"purchases": str(moved_purchases(settings, today))}})
    compute(local, today)
    folder = model_folder(local.model_folders, MODEL)
    customers = bring_online(local, folder.contract, today)
    upgrade(local.ledger_uri)
    ledger = Ledger(local.ledger_uri)
    rows = model_rows(folder, customers, datetime.now(UTC))
    versions = {
        version: register_untrained(local, ledger, folder, rows, version=version, seed=seed)
        for seed, version in enumerate((CHAMPION, CHALLENGER), start=1)
    }
    _, key = ledger.issue_key("benchmark", [MODEL], (Verb.PREDICT, Verb.INFER, Verb.READ), SYSTEM)
    ledger.close()
    return Stack(local, customers, versions, key)


def own_settings(settings: Settings) -> Settings:
    """Return settings with a home and free ports of the benchmark's own."""
    ports = {name: free_port() for name in ("gateway_port", "triton_grpc_port", "triton_metrics_port")}
    changes = {"home": settings.home / "bench-gateway", "ledger_url": "", "replay": False}
    return settings.model_copy(update=changes | ports)


def model_rows(
    folder: ModelFolder, customers: Sequence[Customer], moment: datetime
) -> list[dict[str, FeatureValue]]:
    """Return the features of customers with those computed at a moment."""
    rows = [dict(customer.features) for customer in customers]
    for item in folder.contract.signature.transformed:
        transform = load_transform(str(item.transform), folder.path)
        values = run_transform(transform, item, rows, [moment.timestamp()] * len(rows))
        for row, value in zip(rows, values, strict=True):
            row[item.name] = value
    return rows


@contextmanager
def serving(stack: Stack, *, share: float = CANARY_SHARE) -> Iterator[Stack]:
    """Run Triton and the gateway with the route in force for the length of a block.

    Raises:
        PlatformError: they did not get ready.
    """
    settings = stack.settings
    processes.start(settings, SERVING)
    try:
        processes.wait_until_ready(settings, SERVING, say=_silent)
        _load(stack)
        _route(stack, share)
        _await_ready(settings)
        yield stack
    finally:
        processes.stop(settings, say=_silent)


def _load(stack: Stack) -> None:
    control = TritonControl(stack.settings.triton_endpoint)
    try:
        for _, version in stack.versions.values():
            load_version(stack.settings, control, version)
    finally:
        control.close()


def _route(stack: Stack, share: float) -> None:
    ledger = Ledger(stack.settings.ledger_uri)
    state = ledger.route_state(MODEL)
    route = split_route(stack, share)
    if state.route != route:
        ledger.change_route(RouteUpdate(route, state.revision), actor=SYSTEM, reason="benchmark")
    ledger.close()


def split_route(stack: Stack, share: float) -> ModelRoute:
    """Return the route with the challenger at a share; at 0 the champion serves alone."""
    endpoints = (stack.settings.triton_endpoint,)
    manifest, version = stack.versions[CHAMPION]
    contract = stack.folder.contract
    route = full_route(contract, manifest, version, endpoints=endpoints, before=None, change_id="benchmark")
    if not share:
        return route
    challenger = version_route(*stack.versions[CHALLENGER], endpoints)
    return route.model_copy(update={"challenger": challenger, "share": share})


def _await_ready(settings: Settings) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    with httpx.Client(base_url=settings.gateway_url, trust_env=False, timeout=5.0) as client:
        while (answer := client.get("/v2/health/ready")).status_code != httpx.codes.OK:
            if time.monotonic() > deadline:
                raise PlatformError(f"the gateway did not get ready: {answer.text}")
            time.sleep(_POLL_SECONDS)


def _silent(_text: str) -> None:
    """Say nothing."""
