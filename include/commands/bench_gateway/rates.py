"""Open loop: latencies at rates that the servers can bear, of ours and of the slowest peer."""

from collections.abc import Mapping

from include.commands.bench_gateway.answers import check_gateway
from include.commands.bench_gateway.bench import MAIN_CONNECTIONS, Bench, figures_of
from include.commands.bench_gateway.closed_loop import Target, closed_loop
from include.commands.bench_gateway.measure import Kind, interleaved
from include.commands.bench_gateway.serving import gateway, triton
from include.commands.bench_gateway.triton_http import bare_triton, json_target
from include.commands.benchmark_record import Figure

SHARES = (25, 50, 75, 90)
"""Percent of a peak."""
SLOWEST = "slowest_peer_peak_rps"


def rates(bench: Bench, before: Mapping[str, Figure]) -> dict[str, Figure]:
    """Return the latencies of full duty and of bare Triton at shares of our peak and the slowest peer's."""
    with (
        triton(bench.stack),
        gateway(bench.stack, "rates") as ours,
        bare_triton(bench.stack.settings, bench.model) as bare,
    ):
        targets = {
            "full_duty": (bench.target(ours), ours.sessions),
            "triton_http_json": (
                json_target(bare, bench.model, bench.home, bench.tensors),
                {"triton": bare.session},
            ),
        }
        check_gateway(bench.stack, ours, seed=3)
        bench.warm(*(target for target, _ in targets.values()))
        peaks = {"peak": peak(bench, targets["full_duty"][0])} | slowest_peer(before)
        kinds = [
            Kind(f"{title}_at_{share}_of_{name}", bench.open(target, rate), sessions)
            for name, top in peaks.items()
            for share, rate in shares_of(top).items()
            for title, (target, sessions) in targets.items()
        ]
        results = interleaved(bench.runs, *kinds)
    asked = {key: rate for name, top in peaks.items() for key, rate in offered(name, top).items()}
    return {**asked, **figures_of(results)}


def offered(name: str, top: float) -> dict[str, float]:
    """Return the rates at shares of a peak, by name of the figure."""
    return {f"offered_rps_at_{share}_of_{name}": rate for share, rate in shares_of(top).items()}


def shares_of(top: float) -> dict[int, float]:
    """Return the rates at shares of a peak, by percent."""
    return {share: top * share / 100 for share in SHARES}


def peak(bench: Bench, target: Target) -> float:
    """Return the most right answers a second that a closed loop of many connections gets now."""
    counts = (MAIN_CONNECTIONS, 4 * MAIN_CONNECTIONS)
    return max(closed_loop(target, count, bench.seconds).rps for count in counts)


def slowest_peer(before: Mapping[str, Figure]) -> dict[str, float]:
    """Return the slowest peer's peak, if peers were measured before."""
    return {"slowest_peer": float(before[SLOWEST])} if SLOWEST in before else {}
