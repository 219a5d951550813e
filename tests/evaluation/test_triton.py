"""A candidate in a real Triton: measured under a temporary name, and never left there."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from include.adapters.artefacts import ArtefactStore
from include.adapters.triton_candidates import PREFIX, loaded_candidate, remove_leftovers
from include.config.settings import REPOSITORY_ROOT, Settings
from include.contracts.reports import GateKind, GateReason, Verdict
from include.evaluation.triton import NotServed, measure, measure_in_triton, triton_gates
from include.training.train import train_candidate
from tests.evaluation.served import SERVED, opened_candidate
from tests.synthetic import Tracker, churn_folder, customers, frozen, request
from tests.triton import running_triton, triton_ports

KILLED = """
import sys, time
from pathlib import Path
from include.adapters.triton_candidates import loaded_candidate
from include.adapters.triton_control import TritonControl
from include.contracts.packages import TrainingRecord
from include.contracts.model import Resources
repository, endpoint, candidate = sys.argv[1:]
record = TrainingRecord.model_validate_json((Path(candidate) / "training.json").read_bytes())
with loaded_candidate(
    Path(repository), TritonControl(endpoint), "killed", Path(candidate) / "model.onnx",
    signature=record.signature, resources=Resources(), memory_mb=0,
):
    print("loaded", flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Settings with a home and ports of the module's own."""
    return Settings(home=tmp_path_factory.mktemp("home"), **triton_ports())


@pytest.fixture(scope="module")
def triton(settings):
    """A real Triton."""
    with running_triton(settings) as control:
        yield control


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """A trained candidate, opened."""
    place = tmp_path_factory.mktemp("candidate")
    store, folder = ArtefactStore(place / "artefacts"), churn_folder(place)
    uri = train_candidate(store, Tracker(), folder, request(frozen(store, customers())))
    return opened_candidate(store, folder.contract, uri)


def measured(settings, opened):
    """Measure a candidate in the running Triton."""
    return measure_in_triton(settings, opened.scored, opened.record, opened.graph)


def temporary(settings, triton):
    """Return what candidates there are, loaded or staged."""
    staged = {path.name for path in settings.triton_repository.glob(f"{PREFIX}*")}
    return staged | {name for name in triton.loaded() if name.startswith(PREFIX)}


def test_a_candidate_is_measured_and_gone(settings, triton, opened):
    """Requests, percentiles in order, full batches, the same scores; then nothing is left."""
    found = measured(settings, opened)
    assert (300, 256, 30) == (found.requests, found.batch_rows, found.batches)
    assert 0 < found.latency_p50_ms <= found.latency_p95_ms <= found.latency_p99_ms
    assert found.rows_per_second > 256
    assert 1e-5 > found.largest_difference
    assert set() == temporary(settings, triton)


def test_what_a_killed_evaluation_left_is_removed(settings, triton, opened):
    """While it lives nobody touches it; killed, the next to look takes it away."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            KILLED,
            settings.triton_repository,
            settings.triton_endpoint,
            opened.graph.parent,
        ],
        cwd=REPOSITORY_ROOT,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY_ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert "loaded\n" == process.stdout.readline()
    assert () == remove_leftovers(settings.triton_repository, triton)
    assert {f"{PREFIX}killed"} == temporary(settings, triton)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert (f"{PREFIX}killed",) == remove_leftovers(settings.triton_repository, triton)
    assert set() == temporary(settings, triton)


def test_a_graph_triton_refuses_fails_the_gate(settings, triton, opened, tmp_path):
    """Triton is there and cannot load it: that is a verdict, and nothing is left."""
    graph = tmp_path / "model.onnx"
    graph.write_bytes(b"no graph")
    found = measure_in_triton(settings, opened.scored, opened.record, graph)
    assert GateReason.REFUSED_BY_TRITON is found.reason
    assert {Verdict.FAIL} == {gate.verdict for gate in triton_gates(opened.contract, found)}
    assert set() == temporary(settings, triton)


def test_a_full_triton_leaves_the_candidate_unmeasured(settings, triton, opened):
    """That other versions hold the memory says nothing about this one: no verdict, and nothing is left."""
    tight = settings.model_copy(update={"triton_memory_mb": opened.contract.resources.memory_mb - 1})
    found = measured(tight, opened)
    gates = triton_gates(opened.contract, found)
    assert {(Verdict.NOT_MEASURED, GateReason.NO_MEMORY_LEFT)} == {(g.verdict, g.reason) for g in gates}
    assert "NINETY_TRITON_MEMORY_MB" in gates[0].detail
    assert set() == temporary(settings, triton)


def test_an_error_while_measuring_leaves_nothing(settings, triton, opened):
    """Whatever ends the measurement, the candidate goes."""
    measuring = loaded_candidate(
        settings.triton_repository,
        triton,
        "erring",
        opened.graph,
        signature=opened.record.signature,
        resources=opened.contract.resources,
        memory_mb=0,
    )

    def err():
        with measuring as name:
            assert triton.is_ready(name)
            raise KeyError

    with pytest.raises(KeyError):
        err()
    assert set() == temporary(settings, triton)


def test_without_triton_nothing_is_measured(settings, opened):
    """A laptop: the gates say so, naming the endpoint."""
    away = settings.model_copy(update={"triton_grpc_port": 1})
    found = measured(away, opened)
    gates = triton_gates(opened.contract, found)
    assert {(Verdict.NOT_MEASURED, GateReason.TRITON_UNREACHABLE)} == {(g.verdict, g.reason) for g in gates}
    assert "127.0.0.1:1" in gates[0].detail


def test_the_contract_s_promise_decides(opened):
    """At the promise it passes, beyond it fails; each says the figure."""
    objectives = opened.contract.objectives.model_copy(update={"batch_rows_per_second": 5_000.0})
    contract = opened.contract.model_copy(update={"objectives": objectives})
    promise = objectives.latency_p99_ms
    for p99, verdict in ((promise, Verdict.PASS), (promise * 1.001, Verdict.FAIL)):
        gate, _, _ = triton_gates(contract, SERVED.model_copy(update={"latency_p99_ms": p99}))
        assert (GateKind.LATENCY, verdict, p99) == (gate.kind, gate.verdict, gate.value)
    for rows, verdict in ((5_000.0, Verdict.PASS), (4_999.0, Verdict.FAIL)):
        _, gate, _ = triton_gates(contract, SERVED.model_copy(update={"rows_per_second": rows}))
        assert (GateKind.THROUGHPUT, verdict, rows, 5_000.0) == (
            gate.kind,
            gate.verdict,
            gate.value,
            gate.bound,
        )
    _, _, parity = triton_gates(contract, SERVED.model_copy(update={"largest_difference": 1e-4}))
    assert GateReason.OUTPUTS_DIFFER is parity.reason


def test_without_a_bound_rows_a_second_are_only_told(opened):
    """A contract need not promise them; one that does is not registered unmeasured."""
    unbound = opened.contract.objectives.model_copy(update={"batch_rows_per_second": None})
    contract = opened.contract.model_copy(update={"objectives": unbound})
    _, told, _ = triton_gates(contract, SERVED)
    assert (Verdict.NOT_APPLICABLE, 100_000.0) == (told.verdict, told.value)
    away = NotServed(GateReason.TRITON_UNREACHABLE, "away")
    assert GateKind.THROUGHPUT not in {gate.kind for gate in triton_gates(contract, away)}
    bound = unbound.model_copy(update={"batch_rows_per_second": 1.0})
    asked = triton_gates(opened.contract.model_copy(update={"objectives": bound}), away)
    assert {
        (kind, Verdict.NOT_MEASURED) for kind in (GateKind.LATENCY, GateKind.THROUGHPUT, GateKind.PARITY)
    } == {(gate.kind, gate.verdict) for gate in asked}


def test_time_is_bounded_and_percentiles_are_of_single_requests(opened):
    """A clock that moves a second a look: after two single requests and two batches time is up."""
    moments = iter(np.arange(0.0, 1e4, 1.0))
    found = measure(
        lambda tensors: np.zeros((len(tensors["numeric"]), 1), np.float32),
        opened.model,
        opened.scored,
        opened.record.signature,
        clock=lambda: float(next(moments)),
    )
    assert (2, 2, 1000.0) == (found.requests, found.batches, found.latency_p99_ms)
    assert found.largest_difference > 0.01
