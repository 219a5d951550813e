"""Candidates as the training and evaluation stages leave them, small and real."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import yaml
from onnx import TensorProto, helper

from include.adapters.artefacts import ArtefactStore
from include.adapters.files import write_atomically
from include.adapters.ledger.ledger import Ledger
from include.adapters.tensors import to_tensors
from include.config.models import ModelFolder
from include.config.settings import REPOSITORY_ROOT
from include.contracts.model import ModelContract
from include.contracts.packages import CodeState, GoldenCase, GoldenSet, Snapshot, TrainingRecord
from include.contracts.releases import Release
from include.contracts.reports import Assessment, EvaluationReport, GateKind, GateResult, Verdict
from include.evaluation.page import report_page
from include.rollout.open import open_release

DAY = datetime(2017, 10, 1, tzinfo=UTC)
ROWS: tuple[dict[str, Any], ...] = tuple(
    {
        "total_spend_30d": spend,
        "avg_order_value_30d": 2.0,
        "transaction_count_30d": 3.0,
        "days_since_last_purchase": 4.0,
        "preferred_category": category,
    }
    for spend, category in ((1.0, "DELI"), (5.0, "PRODUCE"), (9.0, None))
)


def model_folder(root: Path, name: str = "churn") -> ModelFolder:
    """Copy the churn contract, with the features of `ROWS`, into a model folder under a name."""
    folder = root / name
    folder.mkdir(parents=True)
    source = REPOSITORY_ROOT / "include" / "models" / "churn" / "contract.yaml"
    contract = yaml.safe_load(source.read_text())
    inputs = [item for item in contract["features"]["inputs"] if item["name"] in ROWS[0]]
    contract |= {"name": name, "features": contract["features"] | {"inputs": inputs}}
    (folder / "contract.yaml").write_text(yaml.safe_dump(contract, sort_keys=False))
    for needed in ("label.sql", "network.py", "runbook.md"):
        (folder / needed).touch()
    return ModelFolder(folder)


def training_record(folder: ModelFolder, run_id: str, **changes: Any) -> TrainingRecord:
    """Return the record of a run."""
    fields = {
        "model": folder.name,
        "signature": folder.contract.signature,
        "snapshot": Snapshot(
            sha256="d" * 64,
            uri="snapshots/churn/d.parquet",
            rows=60_000,
            start=DAY.replace(month=1),
            end=DAY,
            feature_service="churn_v1",
            feature_ttl_seconds={"customer_spending": 172_800.0},
            as_of=DAY,
        ),
        "code": CodeState(commit="c" * 40, dirty=False, fingerprint="f" * 64, lock_sha256="e" * 64),
        "contract_sha256": folder.contract.sha256,
        "hyperparameters": {"hidden": 32},
        "seed": 7,
        "metrics": {"validation_loss": 0.4},
        "requested_by": "ada",
        "run_id": run_id,
        "trained_at": DAY,
        "duration_seconds": 12.0,
        "hardware": "2 cores",
    }
    return TrainingRecord.model_validate({**fields, **changes})


def evaluation_report(verdict: Verdict = Verdict.PASS, model: str = "churn") -> EvaluationReport:
    """Return a report with one gate of the given verdict."""
    gate = GateResult(
        kind=GateKind.THRESHOLD,
        metric="roc_auc",
        verdict=verdict,
        value=0.8,
        bound=0.77,
        detail="roc_auc is 0.8000, at least 0.7700 is needed",
    )
    return EvaluationReport(
        model=model,
        as_of=DAY,
        test_start=DAY.replace(month=9),
        test_end=DAY,
        test_rows=10_000,
        metrics={"roc_auc": 0.8},
        baseline_metrics={"roc_auc": 0.68},
        champion_version=None,
        champion_metrics={},
        gates=(gate,),
    )


def write_candidate(
    store: ArtefactStore,
    folder: ModelFolder,
    run_id: str,
    *,
    factor: float = 1.0,
    golden_offset: float = 0.0,
    verdict: Verdict = Verdict.PASS,
    **changes: Any,
) -> str:
    """Write a candidate whose score is `factor` times the sum of its inputs; return its URI.

    Args:
        store: where it goes.
        folder: its model.
        run_id: its run.
        factor: tells one model from another.
        golden_offset: how wrong the stored golden outputs are.
        verdict: of its only gate.
        changes: fields of the training record to replace.
    """
    uri = f"candidates/{run_id}"
    graph = scoring_graph(factor)
    session = onnxruntime.InferenceSession(graph)
    tensors = to_tensors(folder.contract.signature, ROWS)
    # In process onnxruntime takes text; bytes are what travels to Triton.
    categories = np.array([[text.decode()] for (text,) in tensors["categorical"]], np.object_)
    scores = session.run(["score"], {**tensors, "categorical": categories})[0] + golden_offset
    cases = tuple(
        GoldenCase(features=row, outputs=tuple(float(value) for value in score))
        for row, score in zip(ROWS, scores, strict=True)
    )
    record, report = training_record(folder, run_id, **changes), evaluation_report(verdict, folder.name)
    for name, content in {
        "model.onnx": graph,
        "golden.json": GoldenSet(cases=cases).model_dump_json().encode(),
        "training.json": record.model_dump_json().encode(),
        "evaluation.json": report.model_dump_json().encode(),
        "evaluation.html": report_page(report).encode(),
    }.items():
        write_atomically(store.path(uri) / name, content)
    return uri


def scoring_graph(factor: float) -> bytes:
    """Return a graph: score = factor * (sum of the numeric inputs + 10 where the category is DELI)."""
    nodes = [
        helper.make_node(
            "LabelEncoder",
            ["categorical"],
            ["code"],
            domain="ai.onnx.ml",
            keys_strings=["DELI"],
            values_floats=[10.0],
            default_float=0.0,
        ),
        helper.make_node("Concat", ["numeric", "code"], ["all"], axis=1),
        helper.make_node("ReduceSum", ["all", "axis"], ["sum"], keepdims=1),
        helper.make_node("Mul", ["sum", "factor"], ["score"]),
    ]
    inputs = [
        helper.make_tensor_value_info("numeric", TensorProto.FLOAT, ["batch", 4]),
        helper.make_tensor_value_info("categorical", TensorProto.STRING, ["batch", 1]),
    ]
    outputs = [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch", 1])]
    constants = [
        helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
        helper.make_tensor("factor", TensorProto.FLOAT, [], np.array([factor], np.float32)),
    ]
    graph = helper.make_graph(nodes, "sum", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


def opened(
    ledger: Ledger,
    contract: ModelContract,
    version: str,
    *,
    release_id: str,
    triggered_by: str = "system",
    evaluation_uri: str | None = None,
) -> Release:
    """Open a release whose report compares with the present champion, as far as this test cares."""
    champion = ledger.champion(contract.name)
    return open_release(
        ledger,
        contract,
        version,
        release_id=release_id,
        triggered_by=triggered_by,
        assessment=Assessment(
            champion_version=None if champion is None else champion.version, evaluation_uri=evaluation_uri
        ),
    )
