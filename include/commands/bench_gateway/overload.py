"""Overload: five times the peak, asked for at a constant rate over more connections than its queue holds."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median, quantiles

import httpx

from include.commands.bench_gateway.answers import check_gateway
from include.commands.bench_gateway.bench import Bench
from include.commands.bench_gateway.closed_loop import Answers
from include.commands.bench_gateway.open_loop import open_loop
from include.commands.bench_gateway.rates import peak
from include.commands.bench_gateway.serving import Gateway, gateway, triton
from include.commands.bench_gateway.usage import usage_of
from include.commands.benchmark_record import Figure

TIMES = 5
SECONDS = 10.0
CONNECTIONS = 4096
"""Twice NINETY_QUEUE_ENTITIES: fewer would all find room in the queue, and nobody would be refused."""
_EVERY_SECONDS = 0.05
_PATHS = ("/v2/health/live", "/v2/health/ready")


@dataclass
class HealthChecks:
    """Health checks sent meanwhile, and the gateway's memory at each."""

    milliseconds: list[float] = field(default_factory=list)
    failed: int = 0
    resident_mib: list[float] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def send(self, gateway: Gateway) -> None:
        """Ask, again and again, whether the gateway is live and ready, until it is over."""
        with httpx.Client(base_url=gateway.settings.gateway_url, trust_env=False, timeout=10.0) as client:
            while not self.over.wait(_EVERY_SECONDS):
                for path in _PATHS:
                    self._ask(client, path)
                self.resident_mib.append(usage_of(gateway.sessions["gateway"]).resident_mib)

    def _ask(self, client: httpx.Client, path: str) -> None:
        began = time.monotonic()
        try:
            well = client.get(path).status_code == httpx.codes.OK
        except httpx.TransportError:
            well = False
        self.milliseconds.append(1000 * (time.monotonic() - began))
        self.failed += not well


@contextmanager
def checking(gateway: Gateway) -> Iterator[HealthChecks]:
    """Send health checks for the length of a block."""
    checks = HealthChecks()
    thread = threading.Thread(target=checks.send, args=(gateway,))
    thread.start()
    try:
        yield checks
    finally:
        checks.over.set()
        thread.join()


def overload(bench: Bench, _before: Mapping[str, Figure]) -> dict[str, Figure]:
    """Return goodput, health checks and memory at five times the peak."""
    taken: list[Answers] = []
    checks: list[HealthChecks] = []
    peaks, before = [], []
    with triton(bench.stack), gateway(bench.stack, "overload") as ours:
        target = bench.target(ours)
        bench.warm(target)
        for _ in range(bench.runs):
            peaks.append(peak(bench, target))
            before.append(usage_of(ours.sessions["gateway"]).resident_mib)
            rate = TIMES * peaks[-1]
            with checking(ours) as meanwhile:
                taken.append(
                    open_loop(bench.generator, target, rate, SECONDS, connections=CONNECTIONS, warm=True)
                )
            checks.append(meanwhile)
            print(f"      overload: {taken[-1].rps:,.0f} rps of a peak of {peaks[-1]:,.0f}", flush=True)
        check_gateway(bench.stack, ours, seed=4)
    return overload_figures(taken, peaks, checks, before)


def overload_figures(
    taken: list[Answers], peaks: list[float], checks: list[HealthChecks], before: list[float]
) -> dict[str, Figure]:
    """Return the medians over the runs.

    Memory is flat where no run's most exceeds the first's: each keeps as many connections open, and takes for
    them what `overload_kib_per_connection` says.
    """
    tops = [max(each.resident_mib) for each in checks]
    return {
        "overload_goodput_ratio": median(run.rps / top for run, top in zip(taken, peaks, strict=True)),
        "overload_rps": median(run.rps for run in taken),
        "overload_offered_rps": median(TIMES * top for top in peaks),
        "overload_served_p99_ms": median(run.served_p99_ms for run in taken),
        "overload_refused": sum(run.refused for run in taken),
        "overload_fallbacks": sum(run.answers - run.right - run.refused for run in taken),
        "overload_lost": sum(run.lost - run.unsent for run in taken),
        "overload_unsent": sum(run.unsent for run in taken),
        "overload_connections": CONNECTIONS,
        "overload_health_p99_ms": median(quantiles(each.milliseconds, n=100)[98] for each in checks),
        "overload_health_failed": sum(each.failed for each in checks),
        "overload_rss_before_mib": before[0],
        "overload_rss_first_most_mib": tops[0],
        "overload_rss_most_mib": max(tops),
        "overload_rss_after_mib": checks[-1].resident_mib[-1],
        "overload_kib_per_connection": 1024 * (max(tops) - before[0]) / CONNECTIONS,
        "overload_rss_growth_ratio": max(tops) / tops[0],
        "overload_runs": len(taken),
    }
