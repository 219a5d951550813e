from dataclasses import replace
from datetime import timedelta

import msgspec
import numpy as np
import pytest

from include.adapters.artefacts import ArtefactStore
from include.adapters.prediction_log import PredictionLog
from include.config.settings import Settings
from include.contracts.predictions import Source, Status
from include.contracts.reports import GateReason, Verdict
from include.contracts.signatures import Task
from include.evaluation.champion import open_champion
from include.evaluation.skew_replay import logged_answers, replay, replay_gate
from include.training.train import train_candidate
from tests.evaluation.served import answers as logged
from tests.evaluation.served import opened_candidate, register_champion
from tests.synthetic import AS_OF, Tracker, churn_folder, customers, frozen, request


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A candidate and, from the same graph, its champion."""
    place = tmp_path_factory.mktemp("world")
    store, folder = ArtefactStore(place / "artefacts"), churn_folder(place)
    uri = train_candidate(store, Tracker(), folder, request(frozen(store, customers())))
    champion = open_champion(store, register_champion(store, uri, store))
    return opened_candidate(store, folder.contract, uri), champion


def test_a_champion_of_another_task_is_no_measure_of_change(world):
    """Its own answers come out again; how far the candidate is from them means nothing."""
    opened, champion = world
    other = champion.signature.model_copy(update={"task": Task.REGRESSION})
    rows = answers(world)
    found = replay(replace(champion, signature=other), opened.model, opened.record.signature, rows)
    assert (0, None) == (found.differing_rows, found.candidate_mean_change)


def answers(world, count=40, **changes):
    """Return logged answers of the champion, one an hour back from the evaluation's moment."""
    opened, champion = world
    return logged(champion, opened.scored.rows.head(count), AS_OF, **changes)


def replayed(world, rows):
    """Replay rows with the candidate of the world."""
    opened, champion = world
    return replay(champion, opened.model, opened.record.signature, rows)


def test_faithful_answers_come_out_again(world):
    """Nothing differs, and a candidate with the champion's graph would have said the same."""
    found = replayed(world, answers(world))
    assert (40, 0, 40, 0) == (
        found.rows,
        found.differing_rows,
        found.candidate_rows,
        found.candidate_not_finite,
    )
    assert 1e-6 > found.largest_difference
    assert 1e-6 > found.candidate_mean_change
    assert Verdict.PASS is replay_gate(found).verdict


def test_an_answer_that_does_not_come_out_again_fails(world):
    """One answer in forty was computed from something else than was logged."""
    rows = answers(world)
    rows[3] = msgspec.structs.replace(rows[3], outputs=(rows[3].outputs[0] + 0.01,))
    found = replayed(world, rows)
    gate = replay_gate(found)
    assert (1, GateReason.OUTPUTS_DIFFER) == (found.differing_rows, gate.reason)
    assert pytest.approx(0.01, abs=1e-5) == gate.value
    assert "40 answers of champion 1.0.0 scored again from their logged features: 1 differ" in gate.detail


def test_a_candidate_that_cannot_bear_a_request_fails(world):
    """It gives no number for what the champion has answered."""

    class NoNumber:
        def predict(self, columns):
            return np.full((len(columns["total_spend_30d"]), 1), np.nan, np.float32)

    opened, champion = world
    found = replay(champion, NoNumber(), opened.record.signature, answers(world))
    assert (40, None) == (found.candidate_not_finite, found.candidate_mean_change)
    assert GateReason.NOT_FINITE is replay_gate(found).reason


def test_without_traffic_there_is_nothing_to_replay(world):
    """The first version, or one that nobody asked."""
    assert replayed(world, []) is None
    gate = replay_gate(None)
    assert (Verdict.NOT_APPLICABLE, GateReason.NO_TRAFFIC) == (gate.verdict, gate.reason)


def test_a_feature_the_log_lacks_leaves_the_row_out(world):
    """The candidate reads what the champion did not; those requests say nothing about it."""
    opened, champion = world
    first = opened.record.signature.inputs[0]
    signature = opened.record.signature.model_copy(
        update={"inputs": (first.model_copy(update={"name": "new"}), *opened.record.signature.inputs[1:])}
    )
    found = replay(champion, opened.model, signature, answers(world))
    assert (40, 0) == (found.rows, found.candidate_rows)
    assert Verdict.PASS is replay_gate(found).verdict


def test_only_the_champions_own_answers_of_the_week_are_read(world, tmp_path):
    """Fallbacks, drills, other packages and other weeks are left out."""
    settings = Settings(home=tmp_path)
    log = PredictionLog(settings.predictions_folder, 2**20)
    wanted = answers(world, 5)
    log.append(wanted)
    for changes in (
        {"status": Status.FALLBACK},
        {"source": Source.DRILL},
        {"artefact_sha256": "0" * 64},
        {"predicted_at": AS_OF},
        {"predicted_at": AS_OF - timedelta(days=8)},
    ):
        log.append(answers(world, 2, **changes))
    log.close()
    _, champion = world
    found = logged_answers(settings, champion.version, AS_OF)
    assert {row.prediction_id for row in wanted} == {row.prediction_id for row in found}
    later = logged_answers(settings, champion.version, AS_OF, until=AS_OF + timedelta(seconds=1))
    assert 5 + 2 == len(later)
    assert found == logged_answers(settings, champion.version, AS_OF, until=AS_OF - timedelta(days=90))
