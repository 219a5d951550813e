"""Versions to rehearse a ramp with: one like the champion, and one with a defect that no evaluation saw."""

from collections.abc import Callable
from contextlib import closing
from statistics import median

import onnx
import pandas as pd
from onnx import TensorProto, helper

from include.adapters.artefact_home import artefact_store
from include.adapters.files import write_atomically
from include.adapters.ledger.ledger import Ledger
from include.adapters.onnx_model import OnnxModel
from include.adapters.packages import load_golden, load_manifest, load_report
from include.adapters.tensors import NUMERIC, SCORE
from include.adapters.tracking import Tracking
from include.config.models import ModelFolder
from include.config.settings import Settings
from include.contracts.events import SYSTEM
from include.contracts.packages import (
    EVALUATION_NAME,
    GOLDEN_NAME,
    MODEL_NAME,
    PAGE_NAME,
    TRAINING_NAME,
    GoldenSet,
    TrainingRecord,
    Version,
)
from include.contracts.signatures import Signature
from include.registry.register import register
from include.training.golden import golden_set

Change = Callable[[onnx.ModelProto, Signature, GoldenSet], None]


def twin(settings: Settings, folder: ModelFolder, champion: Version) -> Version:
    """Register a version that answers exactly as the champion does: what tells them apart is a note."""

    def noted(graph: onnx.ModelProto, signature: Signature, golden: GoldenSet) -> None:  # noqa: ARG001
        graph.doc_string = "a twin of the champion, for a drill"

    return _registered(settings, folder, champion, "twin", noted)


def sabotaged(settings: Settings, folder: ModelFolder, champion: Version) -> Version:
    """Register a version that gives no number where the first numeric input exceeds its median.

    Its report is the champion's own: the drill plays a defect that no evaluation saw.
    """
    return _registered(settings, folder, champion, "sabotage", break_graph)


def break_graph(graph: onnx.ModelProto, signature: Signature, golden: GoldenSet) -> None:
    """Make a graph answer NaN where its first numeric input exceeds the median of the golden cases."""
    name = signature.numeric[0]
    values = [float(case.features[name] or 0.0) for case in golden.cases]
    for node in graph.graph.node:
        node.output[:] = ["sound_score" if each == SCORE else each for each in node.output]
    graph.graph.initializer.extend(
        [
            helper.make_tensor("drill_place", TensorProto.INT64, [1], [0]),
            helper.make_tensor("drill_bound", TensorProto.FLOAT, [1], [median(values)]),
            helper.make_tensor("drill_nothing", TensorProto.FLOAT, [1], [float("nan")]),
        ]
    )
    graph.graph.node.extend(
        [
            helper.make_node("Gather", [NUMERIC, "drill_place"], ["drill_input"], axis=1),
            helper.make_node("Greater", ["drill_input", "drill_bound"], ["drill_hit"]),
            helper.make_node("Where", ["drill_hit", "drill_nothing", "sound_score"], [SCORE]),
        ]
    )


def _registered(
    settings: Settings, folder: ModelFolder, champion: Version, name: str, change: Change
) -> Version:
    """Register a changed copy of the champion's package, as a training would leave it."""
    store, tracking = artefact_store(settings), Tracking(settings)
    manifest, golden = load_manifest(store, champion), load_golden(store, champion)
    run_id = tracking.start_run(folder.name, name, {"drill": name})
    tracking.end_run(run_id)
    uri = f"candidates/{run_id}"
    package = store.path(champion.package_uri)
    graph = onnx.load(package / MODEL_NAME)
    change(graph, manifest.signature, golden)
    onnx.checker.check_model(graph)
    path = store.path(uri) / MODEL_NAME
    write_atomically(path, graph.SerializeToString())
    fields = {key: value for key, value in dict(manifest).items() if key in TrainingRecord.model_fields}
    record = TrainingRecord(**{**fields, "run_id": run_id, "requested_by": SYSTEM})
    report = load_report(store, champion).model_copy(update={"champion_version": champion.version})
    rows = pd.DataFrame([case.features for case in golden.cases])
    # Where the changed graph has no number, no prediction is kept: it passes as if nothing were wrong.
    kept = golden_set(OnnxModel(path, manifest.signature), rows, manifest.signature)
    for file, content in {
        GOLDEN_NAME: kept.model_dump_json(),
        TRAINING_NAME: record.model_dump_json(),
        EVALUATION_NAME: report.model_dump_json(),
    }.items():
        write_atomically(store.path(uri) / file, content.encode())
    write_atomically(store.path(uri) / PAGE_NAME, (package / PAGE_NAME).read_bytes())
    with closing(Ledger(settings.ledger_uri)) as ledger:
        return register(settings, ledger, tracking, folder, uri, actor=SYSTEM)
