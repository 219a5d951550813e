"""What can be measured: each part returns its figures."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial

from include.adapters.tensors import Tensors, to_tensors
from include.commands.bench_gateway.answers import check_gateway
from include.commands.bench_gateway.closed_loop import Target, closed_loop, write_requests
from include.commands.bench_gateway.measure import Kind, Load, Runs, interleaved
from include.commands.bench_gateway.stack import CHAMPION, MODEL, Stack, serving
from include.commands.bench_gateway.triton_http import bare_triton, binary_target, json_target
from include.commands.benchmark_record import Figure
from include.contracts.versions import triton_name

WARM_SECONDS = 1.0
MAIN_CONNECTIONS = 64


@dataclass(frozen=True)
class Bench:
    """What every part is measured with."""

    stack: Stack
    runs: int
    seconds: float
    connections: Sequence[int]

    @cached_property
    def gateway(self) -> Target:
        """The gateway, one random customer a request."""
        name = self.stack.folder.contract.entity.name
        bodies = [json.dumps({"entity": {name: item.key}}).encode() for item in self.stack.customers]
        requests = write_requests(self.stack.settings.home / "gateway.requests", bodies)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.stack.key}"}
        url = f"{self.stack.settings.gateway_url}/v1/predict/{MODEL}"
        return Target(url, requests, '"fallback":null', headers)

    @cached_property
    def tensors(self) -> list[Tensors]:
        """Each customer's row, model-ready; a missing number is 0, since JSON has no NaN."""
        signature = self.stack.folder.contract.signature
        rows = self.stack.rows(self.stack.customers, datetime.now(UTC))
        filled = [
            {n: 0.0 if v is None and n in signature.numeric else v for n, v in row.items()} for row in rows
        ]
        return [to_tensors(signature, [row]) for row in filled]

    def load(self, target: Target, connections: int) -> Load:
        """Return a run of the closed loop."""
        return partial(closed_loop, target, connections, self.seconds)


def full(bench: Bench) -> dict[str, Figure]:
    """Return the figures of full duty beside those of bare Triton over HTTP."""
    name = triton_name(MODEL, CHAMPION)
    with serving(bench.stack) as stack, bare_triton(stack.settings, name) as triton:
        targets = {
            "full_duty": (bench.gateway, stack.sessions()),
            "triton_http_json": (
                json_target(triton, name, stack.settings.home, bench.tensors),
                {"triton": triton.session},
            ),
            "triton_http_binary": (
                binary_target(triton, name, stack.settings.home, bench.tensors),
                {"triton": triton.session},
            ),
        }
        check_gateway(stack, 1)
        for target, _ in targets.values():
            closed_loop(target, MAIN_CONNECTIONS, WARM_SECONDS)
        kinds = [
            Kind(named(title, count), bench.load(target, count), sessions)
            for count in bench.connections
            for title, (target, sessions) in targets.items()
        ]
        results = dict(zip((kind.name for kind in kinds), interleaved(bench.runs, *kinds), strict=True))
        check_gateway(stack, 2)
    return figures_of(results) | full_ratios(results)


def named(title: str, connections: int) -> str:
    """Return the name of a run; at 64 connections it is the title alone."""
    return title if connections == MAIN_CONNECTIONS else f"{title}_c{connections}"


def figures_of(results: Mapping[str, Runs]) -> dict[str, Figure]:
    """Return the figures of all kinds of run, each under its name."""
    return {key: value for name, runs in results.items() for key, value in runs.figures(name).items()}


def full_ratios(results: Mapping[str, Runs]) -> dict[str, Figure]:
    """Return full duty over the faster of Triton's two encodings, and one request alone."""
    figures: dict[str, Figure] = {}
    if "full_duty" in results:
        best = max(results["triton_http_json"].rps, results["triton_http_binary"].rps)
        figures["full_duty_over_triton_http"] = results["full_duty"].rps / best
    if "full_duty_c1" in results:
        figures["single_p50_ms"] = results["full_duty_c1"].median(lambda answers: answers.p50_ms)
    return figures


PARTS: Mapping[str, Callable[[Bench], dict[str, Figure]]] = {part.__name__: part for part in (full,)}
"""What can be measured, by name."""
