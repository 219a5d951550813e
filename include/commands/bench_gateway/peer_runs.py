"""The peers beside ours, in turns: each one's peak, then latencies at rates that all can bear."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from include.adapters.artefact_home import artefact_store
from include.adapters.onnx_model import OnnxModel
from include.commands.bench_gateway.answers import check_gateway
from include.commands.bench_gateway.bench import Bench, figures_of, named
from include.commands.bench_gateway.closed_loop import Target
from include.commands.bench_gateway.measure import Kind, Runs, add_runs
from include.commands.bench_gateway.peer_servers import PEERS, Peer, install, serving, target, version_of
from include.commands.bench_gateway.rates import SLOWEST, offered, shares_of
from include.commands.bench_gateway.serving import Gateway, gateway, triton
from include.commands.bench_gateway.stack import CHAMPION
from include.commands.benchmark_record import Figure
from include.config.settings import settings
from include.contracts.errors import PlatformError
from include.contracts.packages import MODEL_NAME

OURS = "full_duty_beside_peers"
CONNECTIONS = (16, 64, 256)
_LONGEST_REASON = 300

Kinds = Callable[[str, Target, Mapping[str, int]], Sequence[Kind]]
"""The runs of a server: its name, where it is, its sessions."""


def peers(bench: Bench, _before: Mapping[str, Figure]) -> dict[str, Figure]:
    """Return the figures of every peer that can be installed, and of full duty in turns with them."""
    environments, figures = installed(settings().home / "peers")
    with triton(bench.stack), gateway(bench.stack, "peers") as ours:
        turns, refused = able(Turns(bench, ours, environments))
        figures |= refused
        check_gateway(bench.stack, ours, seed=1)
        bench.warm(bench.target(ours))
        closed = turns.take(
            lambda title, where, sessions: [
                Kind(named(title, count), bench.closed(where, count), sessions) for count in CONNECTIONS
            ]
        )
        figures |= figures_of(closed) | peak_figures(closed, [peer.name for peer in turns.environments])
        if SLOWEST in figures:
            top = float(figures[SLOWEST])
            rated = turns.take(
                lambda title, where, sessions: [
                    Kind(f"{title}_at_{share}_of_slowest_peer", bench.open(where, rate), sessions)
                    for share, rate in shares_of(top).items()
                ]
            )
            figures |= offered("slowest_peer", top) | figures_of(rated)
        check_gateway(bench.stack, ours, seed=2)
    return figures


def installed(folder: Path) -> tuple[dict[Peer, Path], dict[str, Figure]]:
    """Install the peers; return the environments of those that could be, and versions or reasons."""
    environments: dict[Peer, Path] = {}
    told: dict[str, Figure] = {}
    for peer in PEERS:
        try:
            environments[peer] = install(peer, folder)
            told[f"{peer.name}_version"] = version_of(peer)
        except PlatformError as error:
            told |= _absent(peer, error)
    return environments, told


def _absent(peer: Peer, error: PlatformError) -> dict[str, Figure]:
    print(f"      {peer.name} is left out: {error}", flush=True)
    return {f"{peer.name}_absent": " ".join(str(error).split())[:_LONGEST_REASON]}


@dataclass(frozen=True)
class Turns:
    """Ours, which runs throughout, and the peers, each of which runs only in its turn: some idle loudly."""

    bench: Bench
    ours: Gateway
    environments: Mapping[Peer, Path]

    @contextmanager
    def serving(self, peer: Peer) -> Iterator[tuple[Target, int]]:
        """Run a peer whose answers are right; yield where it is, and its session.

        Raises:
            PlatformError: it does not start, or answers wrongly.
        """
        home = self.bench.home / "peers"
        with serving(peer, self.environments[peer], self._model, home) as (url, session):
            yield target(peer, url, self.bench.home, self.bench.tensors, self._expected), session

    def take(self, kinds: Kinds) -> dict[str, Runs]:
        """Run all kinds of ours and of each peer, so many rounds."""
        results: dict[str, Runs] = {}
        for _ in range(self.bench.runs):
            add_runs(results, kinds(OURS, self.bench.target(self.ours), self.ours.sessions))
            for peer in self.environments:
                with self.serving(peer) as (where, session):
                    self.bench.warm(where)
                    add_runs(results, kinds(peer.name, where, {"server": session}))
        return results

    @cached_property
    def _model(self) -> Path:
        _, version = self.bench.stack.versions[CHAMPION]
        return artefact_store(self.bench.stack.settings).path(version.package_uri) / MODEL_NAME

    @cached_property
    def _expected(self) -> list[float]:
        """Each customer's score, as the graph itself gives it."""
        signature = self.bench.stack.folder.contract.signature
        names = [item.name for item in signature.inputs]
        columns = {name: [row.get(name) for row in self.bench.rows] for name in names}
        scores: list[float] = OnnxModel(self._model, signature).predict(columns)[:, 0].tolist()
        return scores


def able(turns: Turns) -> tuple[Turns, dict[str, Figure]]:
    """Try every peer once; return the turns of those that start and answer rightly, and why others do not."""
    refused: dict[str, Figure] = {}
    for peer in turns.environments:
        try:
            with turns.serving(peer):
                pass
        except PlatformError as error:
            refused |= _absent(peer, error)
    kept = {
        peer: environment
        for peer, environment in turns.environments.items()
        if f"{peer.name}_absent" not in refused
    }
    return Turns(turns.bench, turns.ours, kept), refused


def peak_figures(results: Mapping[str, Runs], names: Sequence[str]) -> dict[str, Figure]:
    """Return each peer's peak over all numbers of connections; full duty's, and that at 64, over the best."""
    ours = max(results[named(OURS, count)].rps for count in CONNECTIONS)
    tops = {name: max(results[named(name, count)].rps for count in CONNECTIONS) for name in names}
    if not tops:
        return {}
    best = max(tops, key=lambda name: tops[name])
    return {
        **{f"{name}_peak_rps": top for name, top in tops.items()},
        SLOWEST: min(tops.values()),
        "best_peer": best,
        "full_duty_over_best_peer": results[OURS].rps / tops[best],
        "full_duty_peak_over_best_peer": ours / tops[best],
    }
