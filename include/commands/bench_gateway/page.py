"""The page of the gateway benchmark: what was to be reached and what was, by kind of run, and a picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure as Picture

from include.adapters.files import replacing
from include.commands.bench_gateway.bench import named
from include.commands.bench_gateway.peer_servers import PEERS
from include.commands.bench_gateway.rates import SHARES
from include.commands.benchmark_parts import Parts, flat
from include.commands.benchmark_record import BENCHMARKS, Figure, write_record

NAME = "gateway"
"""File name of the record."""

_LARGE = 1000
_LIBRARIES = ("feast", "tritonclient")
_ABOUT = """Medians of runs that took turns; `_runs` says how many. wrk keeps 64 requests in flight (`_c1`,
`_c16`, `_c256`: as many as the name says) and counts a request only if its answer is a 200 that
holds a score and no fallback; before and after, a sample of answers is compared with what Triton, or
the graph itself, says of the same rows. Requests name customers drawn uniformly at random from all
who have features; no feature is cached. `full_duty` is key, rate limit, validation, both views of
the churn contract from Feast's SQLite, a canary at 10 %, Triton, and the prediction log in `os`
durability. Servers and load generator share the machine; `_cpu_seconds_per_1000` is the CPU each
server spent on a thousand right answers, `_rss_mib` its proportional share of memory. Open loop: a
small C program of our own sends at a constant rate and counts latencies from when each request was
due. Overload asks over 4,096 connections for five times the peak, several times: open connections and what
queues on them take memory, `overload_kib_per_connection`, but no overload may take more than the first.
`overload_served_p99_ms` counts from when a request was sent, `overload_refused` got 503 with Retry-After,
`overload_unsent` found no free connection. wrk's latencies are its own, corrected for its mean pause
between requests. Each part says at which commit it was measured, and how busy the machine was before
(`load_average_before`)."""


@dataclass(frozen=True)
class Aim:
    """A figure that was to reach a bound."""

    text: str
    figure: str
    least: float | None = None
    most: float | None = None

    def row(self, figures: Mapping[str, Figure]) -> str:
        """Return its row of the table."""
        if self.figure not in figures:
            return f"| {self.text} | | not measured |"
        found = float(figures[self.figure])
        missed = (self.least is not None and found < self.least) or (
            self.most is not None and found > self.most
        )
        text = f"{found:,.0f}" if found >= _LARGE else f"{found:.3g}"
        return f"| {self.text} | {text} | {'**missed**' if missed else 'reached'} |"


AIMS = (
    Aim("Full duty, 64 connections: 10,000 requests a second", "full_duty_rps", least=10_000),
    Aim("Its p99: 25 ms", "full_duty_p99_ms", most=25),
    Aim("Full duty over bare Triton's HTTP: 0.6", "full_duty_over_triton_http", least=0.6),
    Aim("Full duty over the best peer's bare server: 5 times", "full_duty_over_best_peer", least=5),
    Aim("Its peak over the best peer's", "full_duty_peak_over_best_peer", least=5),
    Aim(
        "Features in Redis, ledger in PostgreSQL, over SQLite: 0.8",
        "production_over_embedded",
        least=0.8,
    ),
    Aim("The log in `disk` durability over `os`: 0.7", "disk_over_os", least=0.7),
    Aim("One request alone, p50: 1.5 ms", "single_p50_ms", most=1.5),
    Aim("Right answers at five times the peak, over the peak: 0.8", "overload_goodput_ratio", least=0.8),
    Aim("Health checks that failed meanwhile: none", "overload_health_failed", most=0),
    Aim("Their p99: 1 s, as long as a load balancer waits", "overload_health_p99_ms", most=1000),
    Aim("Right answers' p99 meanwhile: the contract's deadline, 500 ms", "overload_served_p99_ms", most=500),
    Aim(
        "Most memory of the last overload over that of the first: flat",
        "overload_rss_growth_ratio",
        most=1.05,
    ),
)
_SERVERS = ("gateway", "triton", "server")
_HEAD = """| | requests/s | p50 ms | p99 ms | p99.9 ms | not right | CPU s per 1,000 | memory MiB |
|---|---|---|---|---|---|---|---|"""
_CLOSED = {
    "full_duty": "full duty",
    "triton_http_json": "bare Triton, JSON",
    "triton_http_binary": "bare Triton, binary",
}
_DUTIES = {
    "full_duty_sqlite": "full duty",
    "full_duty_redis": "Feast's Redis",
    "full_duty_production": "Feast's Redis, ledger in PostgreSQL",
    "full_duty_disk": "log in `disk` durability",
    "full_duty_unsplit": "no canary",
}
_BATCHING = {
    "triton_http_unbatched": "bare Triton, dynamic batching off",
    "triton_http_batched": "bare Triton, dynamic batching on",
    "gateway_one_by_one": "gateway, each request for itself, joined in Triton",
    "gateway_coalesced": "gateway, coalesced",
}
_OPEN = {"full_duty": "full duty", "triton_http_json": "bare Triton, JSON"}
_PEAKS = {"peak": "our peak", "slowest_peer": "the slowest peer's peak"}
_BESIDE = {"full_duty_beside_peers": "full duty"} | {peer.name: peer.name for peer in PEERS}


def write_page(parts: Parts, folder: Path = BENCHMARKS) -> None:
    """Write `gateway.json`, `gateway.md` and `gateway.png`."""
    figures = flat(parts)
    write_record(NAME, "The gateway at full duty", figures, _LIBRARIES, folder, notes=notes(figures))
    with replacing(folder / f"{NAME}.png") as path:
        picture(figures).savefig(path, format="png", dpi=120)


def notes(figures: Mapping[str, Figure]) -> str:
    """Return what stands before the table of all figures."""
    aims = "\n".join(["| to reach | reached | |", "|---|---|---|", *(aim.row(figures) for aim in AIMS)])
    sections = {
        "Closed loop": _table(figures, _by_connections(_CLOSED)),
        "One duty changed, 64 connections": _table(figures, _DUTIES),
        "What joining requests brings, 64 connections": _table(figures, _BATCHING) + _batching(figures),
        "Open loop": _table(figures, _by_rate(_OPEN)),
        "Peers: model-ready rows in, scores out": _peers(figures),
        "Peers and full duty, open loop": _table(figures, _by_rate(_BESIDE)),
    }
    told = [f"## {title}\n\n{text}" for title, text in sections.items() if text]
    return "\n\n".join([_ABOUT, aims, *told, "## All figures"])


def _by_connections(titles: Mapping[str, str]) -> dict[str, str]:
    return {
        named(name, count): f"{title}, {count}"
        for count in (1, 16, 64, 256)
        for name, title in titles.items()
    }


def _by_rate(titles: Mapping[str, str]) -> dict[str, str]:
    return {
        f"{name}_at_{share}_of_{peak}": f"{title}, {share} % of {where}"
        for peak, where in _PEAKS.items()
        for share in SHARES
        for name, title in titles.items()
    }


def _table(figures: Mapping[str, Figure], titles: Mapping[str, str]) -> str:
    """Return a table of the runs that were measured; nothing where none was."""
    rows = [_row(figures, name, title) for name, title in titles.items() if f"{name}_rps" in figures]
    return "\n".join([_HEAD, *rows]) if rows else ""


def _row(figures: Mapping[str, Figure], name: str, title: str) -> str:
    told = [f"{float(figures[f'{name}_rps']):,.0f}"]
    told += [f"{float(figures[f'{name}_{key}_ms']):.2f}" for key in ("p50", "p99", "p999")]
    told += [str(figures[f"{name}_failed"])]
    told += [_by_server(figures, name, "cpu_seconds_per_1000", 3), _by_server(figures, name, "rss_mib", 0)]
    return f"| {title} | {' | '.join(told)} |"


def _by_server(figures: Mapping[str, Figure], name: str, key: str, digits: int) -> str:
    found = {server: figures.get(f"{name}_{server}_{key}") for server in _SERVERS}
    return ", ".join(
        f"{server} {float(value):.{digits}f}" for server, value in found.items() if value is not None
    )


def _batching(figures: Mapping[str, Figure]) -> str:
    if "coalescing_speedup" not in figures:
        return ""
    return (
        "\n\nDynamic batching is said to bring 10 to 30 times the throughput. Measured here: "
        f"{float(figures['batching_in_triton_speedup']):.1f} times in Triton.\nCoalescing in the gateway "
        f"brings {float(figures['coalescing_speedup']):.1f} times more than leaving it to Triton: one read "
        "of the features,\none call and one write of the log for all that waited together."
    )


def _peers(figures: Mapping[str, Figure]) -> str:
    """Return the peers' table, and why one is not in it."""
    lines = [
        f"- {peer.name} is absent: {figures[f'{peer.name}_absent']}"
        for peer in PEERS
        if f"{peer.name}_absent" in figures
    ]
    return "\n\n".join(filter(None, [_table(figures, _by_connections(_BESIDE)), "\n".join(lines)]))


def picture(figures: Mapping[str, Figure]) -> Picture:
    """Return the picture: throughput of everything at 64 connections, and latency by rate."""
    drawn = Picture(figsize=(11, 4.2), layout="constrained")
    throughput, latency = drawn.subplots(1, 2)
    bars = {
        title: float(figures[f"{name}_rps"])
        for name, title in (_CLOSED | {peer.name: peer.name for peer in PEERS}).items()
        if f"{name}_rps" in figures
    }
    labels = throughput.barh(list(bars), list(bars.values()))
    throughput.bar_label(labels, [f"{value:,.0f}" for value in bars.values()], padding=3)
    throughput.set(xlabel="requests a second, 64 connections", title="Throughput")
    throughput.margins(x=0.2)
    throughput.invert_yaxis()
    for name, title in _OPEN.items():
        points = [
            (float(figures[f"offered_rps_at_{share}_of_peak"]), float(figures[key]))
            for share in SHARES
            if (key := f"{name}_at_{share}_of_peak_p99_ms") in figures
        ]
        if points:
            latency.plot(*zip(*points, strict=True), marker="o", label=title)
            latency.legend()
    latency.set(xlabel="requests a second, offered", ylabel="p99, ms", title="Latency at a constant rate")
    return drawn
