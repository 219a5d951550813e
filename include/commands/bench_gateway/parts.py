"""What can be measured: each part returns its figures."""

from collections.abc import Mapping
from contextlib import ExitStack

from include.commands.bench_gateway.answers import check_gateway
from include.commands.bench_gateway.bench import MAIN_CONNECTIONS, Bench, Part, figures_of, named
from include.commands.bench_gateway.fresh_data import bring_online
from include.commands.bench_gateway.measure import Kind, Runs, interleaved
from include.commands.bench_gateway.overload import overload
from include.commands.bench_gateway.peer_runs import peers
from include.commands.bench_gateway.rates import rates
from include.commands.bench_gateway.serving import Gateway, gateway, triton
from include.commands.bench_gateway.triton_http import bare_triton, binary_target, json_target
from include.commands.benchmark_record import Figure
from include.commands.services import postgres_server, redis_server
from include.config.settings import Settings

DURABILITY = "log_durability"
"""The setting that says what an answer's row has survived when it is sent."""
ONE_BY_ONE = {"max_batch": 1, "batches_in_flight": MAIN_CONNECTIONS}
"""Settings with which the gateway joins nothing and leaves that to Triton."""


def full(bench: Bench, _: Mapping[str, Figure]) -> dict[str, Figure]:
    """Return the figures of full duty beside those of bare Triton over HTTP."""
    with (
        triton(bench.stack),
        gateway(bench.stack, "full") as ours,
        bare_triton(bench.stack.settings, bench.model) as bare,
    ):
        alone = {"triton": bare.session}
        targets = {
            "full_duty": (bench.target(ours), ours.sessions),
            "triton_http_json": (json_target(bare, bench.model, bench.home, bench.tensors), alone),
            "triton_http_binary": (binary_target(bare, bench.model, bench.home, bench.tensors), alone),
        }
        check_gateway(bench.stack, ours, seed=1)
        bench.warm(*(target for target, _ in targets.values()))
        results = interleaved(
            bench.runs,
            *(
                Kind(named(title, count), bench.closed(target, count), sessions)
                for count in bench.connections
                for title, (target, sessions) in targets.items()
            ),
        )
        check_gateway(bench.stack, ours, seed=2)
    return figures_of(results) | full_ratios(results)


def full_ratios(results: Mapping[str, Runs]) -> dict[str, Figure]:
    """Return full duty over the faster of Triton's two encodings, and one request alone."""
    figures: dict[str, Figure] = {}
    if "full_duty" in results:
        best = max(results["triton_http_json"].rps, results["triton_http_binary"].rps)
        figures["full_duty_over_triton_http"] = results["full_duty"].rps / best
    if "full_duty_c1" in results:
        figures["single_p50_ms"] = results["full_duty_c1"].median(lambda answers: answers.p50_ms)
    return figures


def duties(bench: Bench, _: Mapping[str, Figure]) -> dict[str, Figure]:
    """Return the figures of full duty with one thing changed: where state lies, the log, the split."""
    with ExitStack() as running:
        postgres = running.enter_context(postgres_server(install=bench.install))
        redis = running.enter_context(redis_server(install=bench.install))
        bring_online(
            bench.stack.settings.model_copy(update={"online_store_url": redis}),
            bench.stack.folder.contract,
            bench.stack.day,
        )
        running.enter_context(triton(bench.stack))
        enter = running.enter_context
        gateways = {
            "full_duty_sqlite": enter(gateway(bench.stack, "sqlite")),
            "full_duty_redis": enter(gateway(bench.stack, "redis", {"online_store_url": redis})),
            "full_duty_production": enter(
                gateway(bench.stack, "production", {"online_store_url": redis, "ledger_url": postgres})
            ),
            "full_duty_unsplit": enter(gateway(bench.stack, "unsplit", share=0.0)),
        }
        if DURABILITY in Settings.model_fields:
            gateways["full_duty_disk"] = enter(gateway(bench.stack, "disk", {DURABILITY: "disk"}))
        results = _compared(bench, gateways)
    embedded = results["full_duty_sqlite"]
    figures = figures_of(results)
    figures["production_over_embedded"] = results["full_duty_production"].over(embedded)
    if "full_duty_disk" in results:
        figures["disk_over_os"] = results["full_duty_disk"].over(embedded)
    return figures


def batching(bench: Bench, _: Mapping[str, Figure]) -> dict[str, Figure]:
    """Return what joining requests brings: in Triton off and on, in the gateway one by one and coalesced."""
    settings = bench.stack.settings
    with (
        triton(bench.stack),
        gateway(bench.stack, "single", ONE_BY_ONE, share=0.0) as single,
        gateway(bench.stack, "coalesced", share=0.0) as coalesced,
        bare_triton(settings, bench.model, batching=False) as unbatched,
        bare_triton(settings, bench.model) as batched,
    ):
        targets = {
            "triton_http_unbatched": json_target(unbatched, bench.model, bench.home, bench.tensors),
            "triton_http_batched": json_target(batched, bench.model, bench.home, bench.tensors),
            "gateway_one_by_one": bench.target(single),
            "gateway_coalesced": bench.target(coalesced),
        }
        sessions = {
            "triton_http_unbatched": {"triton": unbatched.session},
            "triton_http_batched": {"triton": batched.session},
            "gateway_one_by_one": single.sessions,
            "gateway_coalesced": coalesced.sessions,
        }
        bench.warm(*targets.values())
        kinds = [
            Kind(name, bench.closed(target, MAIN_CONNECTIONS), sessions[name])
            for name, target in targets.items()
        ]
        results = interleaved(bench.runs, *kinds)
    return figures_of(results) | {
        "batching_in_triton_speedup": results["triton_http_batched"].rps
        / results["triton_http_unbatched"].rps,
        "coalescing_speedup": results["gateway_coalesced"].rps / results["gateway_one_by_one"].rps,
    }


def _compared(bench: Bench, gateways: Mapping[str, Gateway]) -> dict[str, Runs]:
    """Run the closed loop on gateways that take turns; their answers are checked before and after."""
    for ours in gateways.values():
        check_gateway(bench.stack, ours, seed=1)
    bench.warm(*(bench.target(ours) for ours in gateways.values()))
    results = interleaved(
        bench.runs,
        *(
            Kind(name, bench.closed(bench.target(ours), MAIN_CONNECTIONS), ours.sessions)
            for name, ours in gateways.items()
        ),
    )
    for ours in gateways.values():
        check_gateway(bench.stack, ours, seed=2)
    return results


OWN: Mapping[str, Part] = {part.__name__: part for part in (full, duties, batching, rates, overload)}
"""What needs nobody else's server, by name."""

PARTS: Mapping[str, Part] = {**OWN, "peers": peers}
"""What can be measured, by name."""
