"""A model of each task on its way: candidate, evaluation, page, card, explanation, batch."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.adapters.artefacts import ArtefactStore
from include.adapters.packages import load_manifest
from include.config.models import ModelFolder
from include.config.transforms import load_transform
from include.contracts.packages import Manifest, Version
from include.contracts.predictions import Status
from include.contracts.reports import EvaluationReport, GateKind, GateReason, Verdict
from include.contracts.scoring import ScoringPlan, stamp_column
from include.contracts.signatures import Task
from include.evaluation.attribution import Explainer
from include.evaluation.champion import against_champion, open_champion
from include.evaluation.evaluate import Candidate, judge_candidate
from include.evaluation.page import report_page
from include.registry.model_card import model_card
from include.scoring.attempts import Scorer
from include.training.train import train_candidate
from tests.evaluation.served import SERVED, opened_candidate, register_champion
from tests.synthetic import AS_OF, Tracker, customers, frozen, request, shipped_folder

CLASSES = ["few", "some", "many"]


def as_it_is(frame: pd.DataFrame) -> pd.DataFrame:
    """Whether they churn."""
    return frame


def money(frame: pd.DataFrame) -> pd.DataFrame:
    """What they spend next: so much an order, and much that nobody knows."""
    dice = np.random.default_rng(2)
    spent = 40 * frame["transaction_count_30d"] + dice.normal(0, 60, len(frame))
    return frame.assign(label=spent, known_at=frame["event_at"] + timedelta(days=30))


def orders(frame: pd.DataFrame) -> pd.DataFrame:
    """Whether few, some or many orders come next."""
    dice = np.random.default_rng(2)
    count = frame["transaction_count_30d"] + dice.normal(0, 1, len(frame))
    return frame.assign(label=(count.clip(0, 8) // 3).astype(float))


MULTICLASS: dict[str, Any] = {
    "task": "multiclass",
    "classes": CLASSES,
    "serving": {"default_score": [0.2, 0.3, 0.5]},
    "gates": {
        "thresholds": [{"metric": "accuracy", "minimum": 0.5}, {"metric": "log_loss", "maximum": 1.0}],
        "baseline": {"metric": "accuracy", "margin": 0.05},
        "champion": {"metric": "log_loss", "tolerance": 0.05},
        "benchmark": {"windows": 4, "thresholds": [{"metric": "accuracy", "minimum": 0.4}]},
        "slices": [{"metric": "accuracy", "minimum": 0.4}],
        "robustness": {"maximum_degradation": 0.5, "maximum_degradation_extreme": 5},
    },
}
LONGER = {"training": {"hyperparameters": {"epochs": 15}}}


@dataclass(frozen=True)
class Made:
    """A model trained, judged against itself, and packaged."""

    store: ArtefactStore
    folder: ModelFolder
    opened: Candidate
    version: Version
    manifest: Manifest
    report: EvaluationReport


CASES: dict[str, tuple[str, dict[str, Any], Callable[[pd.DataFrame], pd.DataFrame]]] = {
    "binary": ("churn", {}, as_it_is),
    "multiclass": ("churn", MULTICLASS | LONGER, orders),
    "regression": ("spend", LONGER, money),
}


@pytest.fixture(scope="module", params=CASES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A model of each task; the regression is the shipped one, by its own contract."""
    name, changes, labelled = CASES[request.param]
    return model_of(tmp_path_factory.mktemp(request.param), name, changes, labelled(customers()))


def model_of(place: Any, name: str, changes: dict[str, Any], frame: pd.DataFrame) -> Made:
    """Train on a frame and judge it with the same package as champion."""
    store, folder = ArtefactStore(place / "artefacts"), shipped_folder(place, name, **changes)
    uri = train_candidate(store, Tracker(), folder, request(frozen(store, frame)))
    opened = opened_candidate(store, folder.contract, uri)
    version = register_champion(store, uri, store)
    report = judge_candidate(store, opened, version, SERVED, ())
    return Made(store, folder, opened, version, load_manifest(store, version), report)


def test_it_passes_every_gate_of_its_contract(made):
    """Thresholds, parts, baseline, champion, slices and probes are measured in the metrics of its task."""
    assert () == (*made.report.failures, *made.report.unmeasured)
    assert set(made.report.metrics) == {item.metric for item in made.report.comparisons}
    assert {0.0} == {item.difference for item in made.report.comparisons}
    assert any(item.status == "judged" for item in made.report.slices)
    assert (made.folder.contract.task is Task.REGRESSION) == (made.report.calibration is None)


def test_its_page_and_card_show_what_was_found(made):
    """Both name its metric, and the page draws what its task has."""
    page, card = (
        report_page(made.report),
        model_card(made.folder.contract, made.version, made.manifest, made.report),
    )
    metric = made.folder.contract.gates.champion.metric.value
    assert f"task: {made.folder.contract.task.value}" in card
    assert f"| {metric} | {made.report.metrics[metric]:.4f}" in card
    assert metric in page
    assert "<svg" in page


def test_its_batch_is_scored_and_each_score_explained(made):
    """A batch gives what evaluation scored, and the contributions add up to it, for the likeliest class."""
    rows, signature = made.opened.scored.rows.head(5), made.manifest.signature
    plan = ScoringPlan(
        model=made.version.model,
        version=made.version.version,
        artefact_sha256=made.version.artefact_sha256,
        signature=signature,
        transform_sha256={},
        feature_ttl_seconds=dict.fromkeys(signature.views, 86_400.0),
        entity=made.folder.contract.entity,
        stale_policy=made.folder.contract.features.stale_policy,
        default_score=None,
        route_snapshot_id="none",
        as_of=AS_OF,
    )
    stamps = {stamp_column(view): AS_OF for view in signature.views}
    asked = [
        {key: None if pd.isna(value) else value for key, value in row.items()}
        | stamps
        | {"customer_id": int(row["unit"])}
        for row in rows.to_dict("records")
    ]
    graph = made.store.path(f"{made.version.package_uri}/model.onnx")
    attempts = Scorer(plan, graph, load_transform).score(asked)
    assert {Status.OK} == {attempt.status for attempt in attempts}
    expected = made.opened.scored.scores[:5]
    assert expected == pytest.approx(np.array([attempt.outputs for attempt in attempts]), abs=1e-4)
    explained = Explainer(made.store, made.version, made.manifest).explain(
        attempts[0].features, attempts[0].outputs, permutations=20
    )
    assert explained.adds_up
    likeliest = signature.classes[int(np.argmax(expected[0]))] if signature.classes else "score"
    assert likeliest == explained.output


@pytest.mark.parametrize("made", ["multiclass"], indirect=True)
def test_classes_in_another_order_are_not_compared(made):
    """The columns of the two would stand for different classes."""
    champion = open_champion(made.store, made.version)
    turned = champion.signature.model_copy(update={"classes": tuple(reversed(champion.signature.classes))})
    gate = against_champion(made.opened.scored, replace(champion, signature=turned)).gate
    assert (GateKind.CHAMPION, Verdict.FAIL) == (gate.kind, gate.verdict)
    assert GateReason.CHAMPION_NOT_COMPARABLE is gate.reason
    assert "it gives multiclass scores of many, some, few" in gate.detail
