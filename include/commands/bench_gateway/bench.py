"""What every part of the benchmark is measured with."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path

from include.adapters.tensors import Tensors, to_tensors
from include.commands.bench_gateway.closed_loop import Target, closed_loop, write_requests
from include.commands.bench_gateway.measure import Load, Runs
from include.commands.bench_gateway.open_loop import compiled, open_loop
from include.commands.bench_gateway.serving import Gateway
from include.commands.bench_gateway.stack import CHAMPION, MODEL, Stack
from include.commands.benchmark_record import Figure
from include.contracts.predictions import FeatureValue
from include.contracts.versions import triton_name

WARM_SECONDS = 1.0
MAIN_CONNECTIONS = 64


@dataclass(frozen=True)
class Bench:
    """The prepared stack, and how often and how long a run is."""

    stack: Stack
    runs: int
    seconds: float
    connections: Sequence[int]
    """Of the closed loop."""
    install: bool
    """Whether missing programs are installed."""

    @property
    def model(self) -> str:
        """Triton's name of the champion."""
        return triton_name(MODEL, CHAMPION)

    @property
    def home(self) -> Path:
        """Where the benchmark's files lie."""
        return self.stack.settings.home

    @cached_property
    def generator(self) -> Path:
        """The open loop's program."""
        return compiled(self.home, install=self.install)

    @cached_property
    def rows(self) -> list[dict[str, FeatureValue]]:
        """Each customer's row, model-ready; a missing number is 0, since JSON has no NaN."""
        zeros: dict[str, FeatureValue] = dict.fromkeys(self.stack.folder.contract.signature.numeric, 0.0)
        rows = self.stack.rows(self.stack.customers, datetime.now(UTC))
        return [zeros | {name: value for name, value in row.items() if value is not None} for row in rows]

    @cached_property
    def tensors(self) -> list[Tensors]:
        """Each customer's row as tensors."""
        return [to_tensors(self.stack.folder.contract.signature, [row]) for row in self.rows]

    def target(self, gateway: Gateway) -> Target:
        """Return a gateway as a target: one random customer a request, an answer without a fallback."""
        name = self.stack.folder.contract.entity.name
        bodies = [json.dumps({"entity": {name: item.key}}).encode() for item in self.stack.customers]
        requests = write_requests(self.home / "gateway.requests", bodies)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.stack.key}"}
        url = f"{gateway.settings.gateway_url}/v1/predict/{MODEL}"
        return Target(url, requests, '"fallback":null', headers)

    def closed(self, target: Target, connections: int) -> Load:
        """Return a run of the closed loop."""
        return partial(closed_loop, target, connections, self.seconds)

    def open(self, target: Target, rate: float) -> Load:
        """Return a run of the open loop."""
        return partial(open_loop, self.generator, target, rate, self.seconds)

    @staticmethod
    def warm(*targets: Target) -> None:
        """Send each target requests that are not measured."""
        for target in targets:
            closed_loop(target, MAIN_CONNECTIONS, WARM_SECONDS)


Part = Callable[[Bench, Mapping[str, Figure]], dict[str, Figure]]
"""Measures, given the figures of before, and returns its own."""


def named(title: str, connections: int) -> str:
    """Return the name of a run of the closed loop; at 64 connections it is the title alone."""
    return title if connections == MAIN_CONNECTIONS else f"{title}_c{connections}"


def figures_of(results: Mapping[str, Runs]) -> dict[str, Figure]:
    """Return the figures of all kinds of run, each under its name."""
    return {key: value for name, runs in results.items() for key, value in runs.figures(name).items()}
