"""The candidate in the running Triton: how fast it answers there, and whether it answers the same."""

import logging
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt

from include.adapters.onnx_model import OnnxModel, feature_arrays
from include.adapters.tensors import CATEGORICAL, NUMERIC, Tensors
from include.adapters.triton_candidates import loaded_candidate
from include.adapters.triton_control import TritonControl
from include.config.settings import Settings
from include.contracts.errors import ArtefactError, MemoryBudgetError, ServingError
from include.contracts.model import ModelContract
from include.contracts.packages import PARITY_TOLERANCE, TrainingRecord
from include.contracts.reports import GateKind, GateReason, GateResult, TritonMeasurement, Verdict
from include.contracts.signatures import Signature
from include.evaluation.scored import Scored, largest_difference

log = logging.getLogger(__name__)

WARM_UP = 20
REQUESTS = 300
BATCHES = 30
SECONDS = 5.0
"""Longest that single requests, and then batches, are sent: a slow model is known by then."""

LATENCY = "latency_p99_ms"
THROUGHPUT = "batch_rows_per_second"
DIFFERENCE = "triton_difference"

_NOBODYS_FAULT = frozenset({GateReason.TRITON_UNREACHABLE, GateReason.NO_MEMORY_LEFT})

Ask = Callable[[Tensors], npt.NDArray[np.float32]]
Clock = Callable[[], float]


@dataclass(frozen=True)
class NotServed:
    """Why there is no measurement."""

    reason: GateReason
    detail: str


def measure_in_triton(
    settings: Settings, candidate: Scored, record: TrainingRecord, graph: Path
) -> TritonMeasurement | NotServed:
    """Load the candidate into the running Triton under a temporary name, measure it, take it away again."""
    with closing(TritonControl(settings.triton_endpoint)) as triton:
        try:
            triton.loaded()
        except ServingError as error:
            return NotServed(GateReason.TRITON_UNREACHABLE, str(error))
        try:
            with loaded_candidate(
                settings.triton_repository,
                triton,
                record.run_id,
                graph,
                signature=record.signature,
                resources=candidate.contract.resources,
                memory_mb=settings.triton_memory_mb,
                backend=settings.triton_backend,
            ) as name:
                return measure(
                    lambda tensors: triton.infer_tensors(name, tensors),
                    OnnxModel(graph, record.signature),
                    candidate,
                    record.signature,
                )
        except (ServingError, ArtefactError) as error:
            log.warning("%s could not be measured in Triton: %s", candidate.contract.name, error)
            return _why(triton, error)


def measure(
    ask: Ask, model: OnnxModel, candidate: Scored, signature: Signature, clock: Clock = perf_counter
) -> TritonMeasurement:
    """Time single requests, then full batches, over the test rows; compare the answers with the graph's.

    Args:
        ask: sends a batch and returns its scores.
        model: the same graph in process.
        candidate: its test rows are asked, spread evenly.
        signature: inputs and output.
        clock: seconds, monotonic.
    """
    size = min(candidate.contract.resources.maximum_batch, len(candidate.rows))
    singles = _tensors(candidate, signature, REQUESTS)
    whole = _tensors(candidate, signature, size)
    for place in range(WARM_UP):
        ask(_part(singles, place % len(singles[next(iter(singles))])))
    seconds = _timed(lambda place: ask(_part(singles, place)), min(REQUESTS, len(candidate.rows)), clock)
    batches = _timed(lambda _: ask(whole), BATCHES, clock)
    p50, p95, p99 = np.quantile(seconds, [0.5, 0.95, 0.99], method="higher") * 1000
    return TritonMeasurement(
        requests=len(seconds),
        latency_p50_ms=float(p50),
        latency_p95_ms=float(p95),
        latency_p99_ms=float(p99),
        batch_rows=size,
        batches=len(batches),
        rows_per_second=float(size * len(batches) / max(batches.sum(), 1e-9)),
        largest_difference=_difference(ask(whole), model, candidate, signature, size),
    )


def triton_gates(contract: ModelContract, found: TritonMeasurement | NotServed) -> tuple[GateResult, ...]:
    """Hold the measurement against the contract's promises, and Triton's answers against the graph's own."""
    promised, wanted = contract.objectives.latency_p99_ms, contract.objectives.batch_rows_per_second
    if isinstance(found, NotServed):
        verdict = Verdict.NOT_MEASURED if found.reason in _NOBODYS_FAULT else Verdict.FAIL
        asked = [
            (GateKind.LATENCY, LATENCY, promised),
            *([(GateKind.THROUGHPUT, THROUGHPUT, wanted)] if wanted is not None else []),
            (GateKind.PARITY, DIFFERENCE, PARITY_TOLERANCE),
        ]
        return tuple(
            _gate(kind, metric, verdict, found.reason, None, bound, found.detail)
            for kind, metric, bound in asked
        )
    return (_latency_gate(found, promised), _throughput_gate(found, wanted), _parity_gate(found))


def _latency_gate(found: TritonMeasurement, promised: float) -> GateResult:
    is_fast = found.latency_p99_ms <= promised
    return _gate(
        GateKind.LATENCY,
        LATENCY,
        Verdict.PASS if is_fast else Verdict.FAIL,
        GateReason.REACHED if is_fast else GateReason.TOO_SLOW,
        found.latency_p99_ms,
        promised,
        f"p99 of {found.requests} single requests in Triton {found.latency_p99_ms:.2f} ms, at most "
        f"{promised:g} ms",
    )


def _throughput_gate(found: TritonMeasurement, wanted: float | None) -> GateResult:
    told = f"batches of {found.batch_rows} in Triton: {found.rows_per_second:,.0f} rows/s"
    if wanted is None:
        verdict, reason, asked = Verdict.NOT_APPLICABLE, GateReason.NO_BOUND, "the contract sets no bound"
    elif found.rows_per_second >= wanted:
        verdict, reason, asked = Verdict.PASS, GateReason.REACHED, f"at least {wanted:,.0f}"
    else:
        verdict, reason, asked = Verdict.FAIL, GateReason.TOO_SLOW, f"at least {wanted:,.0f}"
    detail = f"{told}, {asked}"
    return _gate(GateKind.THROUGHPUT, THROUGHPUT, verdict, reason, found.rows_per_second, wanted, detail)


def _parity_gate(found: TritonMeasurement) -> GateResult:
    is_same = found.largest_difference <= PARITY_TOLERANCE
    return _gate(
        GateKind.PARITY,
        DIFFERENCE,
        Verdict.PASS if is_same else Verdict.FAIL,
        GateReason.REACHED if is_same else GateReason.OUTPUTS_DIFFER,
        found.largest_difference,
        PARITY_TOLERANCE,
        f"largest difference between Triton's scores and the packaged graph's is "
        f"{found.largest_difference:.1e}; at most {PARITY_TOLERANCE:.0e}",
    )


def _why(triton: TritonControl, error: Exception) -> NotServed:
    """Tell a Triton that went away or is full from one that is there and refuses the candidate."""
    if isinstance(error, MemoryBudgetError):
        return NotServed(GateReason.NO_MEMORY_LEFT, str(error))
    try:
        triton.loaded()
    except ServingError:
        return NotServed(GateReason.TRITON_UNREACHABLE, str(error))
    return NotServed(GateReason.REFUSED_BY_TRITON, str(error))


def _timed(send: Callable[[int], object], most: int, clock: Clock) -> npt.NDArray[np.float64]:
    """Send until there are enough or time is up; return the seconds each took."""
    began = clock()
    seconds: list[float] = []
    while len(seconds) < most and (not seconds or clock() - began < SECONDS):
        before = clock()
        send(len(seconds))
        seconds.append(clock() - before)
    return np.array(seconds)


def _tensors(candidate: Scored, signature: Signature, count: int) -> Tensors:
    """Return test rows, spread evenly, as serving tensors."""
    places = np.linspace(0, len(candidate.rows) - 1, num=min(count, len(candidate.rows))).astype(int)
    numeric, categorical = feature_arrays(candidate.rows.iloc[places], signature)
    tensors: Tensors = {}
    if signature.numeric:
        tensors[NUMERIC] = numeric
    if signature.categorical:
        encoded = [[text.encode() for text in row] for row in categorical]
        tensors[CATEGORICAL] = np.array(encoded, np.object_).reshape(categorical.shape)
    return tensors


def _part(tensors: Tensors, place: int) -> Tensors:
    return {name: tensor[place : place + 1] for name, tensor in tensors.items()}


def _difference(
    answered: npt.NDArray[np.float32], model: OnnxModel, candidate: Scored, signature: Signature, size: int
) -> float:
    places = np.linspace(0, len(candidate.rows) - 1, num=size).astype(int)
    expected = model.predict_arrays(*feature_arrays(candidate.rows.iloc[places], signature))
    return largest_difference(answered, expected)


def _gate(  # noqa: PLR0917 - one call, one line a field
    kind: GateKind,
    metric: str,
    verdict: Verdict,
    reason: GateReason,
    value: float | None,
    bound: float | None,
    detail: str,
) -> GateResult:
    return GateResult(
        kind=kind, metric=metric, verdict=verdict, reason=reason, value=value, bound=bound, detail=detail
    )
