"""Batches of a model with one view, as the log and the Parquet keep them."""

import math
from datetime import timedelta

import pyarrow.parquet
import pytest
from pyarrow import compute

from include.adapters.artefacts import ArtefactStore
from include.adapters.prediction_log import find
from include.commands.trace import trace
from include.contracts.errors import ArtefactError, DataError
from include.contracts.identifiers import time_of
from include.contracts.predictions import FallbackReason, Source, Status
from include.features.materialize import compute_features
from include.features.online import materialize_online
from include.features.scoring_set import freeze_scoring_set
from include.features.views import offline_folder
from include.scoring.publish import publish_scores, scores_path
from include.scoring.score import score_batch
from tests.features.served import dataplane, predict
from tests.scoring.conftest import AS_OF, CUSTOMERS, WALL
from tests.shop import SPENDING, half_a_year, on

EVERYONE = list(range(1, CUSTOMERS + 1))
STAMP = AS_OF.replace(hour=0, minute=0)


def total(row):
    """Return what the version makes of a row."""
    return sum(row.features[name] for name in SPENDING if name != "preferred_category")


def test_every_entity_is_scored_logged_and_published(stage):
    """More than one chunk: each entity once, by the version's own artefact, in log and Parquet alike."""
    version = stage.released()
    plan = stage.plan()

    assert {Status.OK: CUSTOMERS} == stage.score(plan).logged
    rows = stage.logged()
    assert [{"customer_id": value} for value in EVERYONE] == [row.entity for row in rows]
    assert [pytest.approx(total(row), rel=1e-6) for row in rows] == [row.outputs[0] for row in rows]
    assert {(Source.BATCH, AS_OF, WALL, version.artefact_sha256, None)} == {
        (row.source, row.predicted_at, row.recorded_at, row.artefact_sha256, row.assigned_variant)
        for row in rows
    }
    assert [
        (
            value,
            str(value),
            row.outputs[0],
            "churn",
            "1.0.0",
            row.prediction_id,
            AS_OF,
            STAMP,
            None,
            "ok",
            None,
        )
        for value, row in zip(EVERYONE, rows, strict=True)
    ] == [tuple(record.values()) for record in stage.published(plan)]


def test_a_batch_sees_what_the_gateway_sees(stage):
    """The same features, event times and units as a request at that moment, served from the online store."""
    stage.released()
    stage.score(stage.plan())
    materialize_online(stage.settings, AS_OF.date())
    with dataplane(stage.settings, stage.shop.churn) as plane:
        predict(plane, "churn", "customer_id", EVERYONE, AS_OF)
    seen = {
        source: {
            row.unit: (row.features, row.feature_timestamps, row.request_features, row.entity)
            for row in stage.logged()
            if row.source is source
        }
        for source in (Source.BATCH, Source.LIVE)
    }

    assert CUSTOMERS == len(seen[Source.BATCH])
    assert seen[Source.LIVE] == seen[Source.BATCH]


def test_a_rerun_appends_nothing_and_says_the_same(stage):
    """The ids depend on the batch and the entity alone; they carry its moment."""
    stage.released()
    plan = stage.plan()
    stage.score(plan)
    before, published = stage.logged(), stage.published(plan)
    again = stage.score(plan)

    assert ({}, CUSTOMERS) == (again.logged, again.known)
    assert before == stage.logged()
    assert published == stage.published(plan)
    assert {AS_OF} == {time_of(row.prediction_id) for row in before}
    assert CUSTOMERS == len({row.prediction_id for row in before})


def test_what_was_logged_stands(stage):
    """Features that were corrected since change neither a row nor the Parquet, which follows the log."""
    stage.released()
    plan = stage.plan()
    stage.score(plan)
    published = stage.published(plan)
    stage.shop.write([(c, b, p, money + 5, moment) for c, b, p, money, moment in half_a_year(CUSTOMERS)])
    compute_features(stage.settings, on("2017-06-01"), on("2017-06-01"), AS_OF)
    stage.score(plan)

    assert published == stage.published(plan)


def test_a_list_is_scored_once_each_and_completed_later(stage):
    """Repeated keys count once; an unknown entity gets a refused row; everybody else comes with the rest."""
    stage.released()
    plan = stage.plan()
    first = stage.score(plan, [3, 99, 3])
    second = stage.score(plan)

    assert ({Status.OK: 1, Status.REFUSED: 1}, 0) == (first.logged, first.known)
    assert ({Status.OK: CUSTOMERS - 1}, 1) == (second.logged, second.known)
    rows = {record["entity"]: record for record in stage.published(plan)}
    assert {*EVERYONE, 99} == set(rows)
    assert (None, None, "refused") == (rows[99]["score"], rows[99]["version"], rows[99]["status"])
    assert rows[99]["error"].startswith("unknown-entity: ")


def test_moments_and_versions_are_batches_of_their_own(stage):
    """Another moment or version has ids and a file of its own."""
    stage.released()
    other = stage.approved(stage.registered("two", factor=2.0, hyperparameters={"hidden": 64}))
    plans = [
        stage.plan(),
        stage.plan(AS_OF - timedelta(days=1)),
        stage.plan(version=other.version),
    ]
    for plan in plans:
        stage.score(plan, [1])
    files = [stage.published(plan) for plan in plans]

    assert 3 == len({row["prediction_id"] for rows in files for row in rows})
    assert 3 == len({scores_path(stage.settings, plan) for plan in plans})
    assert pytest.approx(2 * files[0][0]["score"]) == files[2][0]["score"]


def without(stage, customer):
    """Take a customer's rows of the last three days out of the view."""
    for path in sorted(offline_folder(stage.settings, "customer_spending").glob("*.parquet"))[-3:]:
        table = pyarrow.parquet.read_table(path)
        kept = table.filter(compute.not_equal(table["customer_id"], customer))
        pyarrow.parquet.write_table(kept, path)


def test_stale_features_are_refused_or_missing_as_the_policy_says(stage):
    """An entity past its TTL is not among every one; named, it gets what a request would get."""
    stage.released()
    without(stage, 4)
    reject = stage.plan()
    stage.score(reject)
    assert "4" not in {row.unit for row in stage.logged()}
    stage.score(reject, [4])
    refused = stage.logged()[-1]
    stage.route(stage.ledger.champion("churn"), stale_policy="default")
    lenient = stage.plan(AS_OF + timedelta(seconds=1))
    stage.score(lenient, [4])
    scored = stage.logged()[-1]

    assert (Status.REFUSED, None, None) == (refused.status, refused.outputs, refused.served_version)
    assert "stale-features: older than their TTL at the event time: customer_spending" == refused.error
    # The graph of this stage has no answer to missing values, so it is asked and the default answers.
    assert (Status.FALLBACK, FallbackReason.MODEL_ERROR) == (scored.status, scored.fallback_reason)
    assert (dict.fromkeys(SPENDING), (0.21,)) == (scored.features, scored.outputs)


@pytest.mark.parametrize(
    ("fallbacks", "status", "outputs"),
    [
        (("default_score", "refuse"), Status.FALLBACK, (0.21,)),
        (("refuse", "default_score"), Status.FAILED, None),
    ],
)
def test_where_the_model_fails_the_default_answers_if_the_ladder_has_one(stage, fallbacks, status, outputs):
    """A score that is not finite is no answer, and no version's."""
    broken = stage.registered("broken", factor=math.inf)
    stage.route(broken, fallbacks=fallbacks)
    stage.score(stage.plan(), [1])
    [row] = stage.logged()

    assert (status, outputs, FallbackReason.MODEL_ERROR) == (row.status, row.outputs, row.fallback_reason)
    assert (None, "1.0.0: the score is not finite") == (row.served_version, row.error)


def test_a_batch_prediction_can_be_traced(stage):
    """Back to data, code and evaluation, as any other."""
    version = stage.released()
    stage.score(stage.plan(), [1])
    [row] = stage.logged()

    assert row == find(stage.settings.predictions_folder, row.prediction_id)
    text = trace(stage.settings, row.prediction_id)
    assert all(part in text for part in ("source batch", version.artefact_sha256, version.run_id, "ada"))


def test_a_key_of_the_wrong_type_is_named(stage):
    """Nothing is scored."""
    stage.released()
    with pytest.raises(DataError, match=r"entities\.1: this is no customer_id, which is int64"):
        freeze_scoring_set(stage.settings, stage.plan(), [1, "seven"])


def test_before_the_first_features_there_is_nobody_to_score(stage):
    """The reader is told what to compute."""
    stage.released()
    with pytest.raises(DataError, match="compute them first"):
        freeze_scoring_set(stage.settings, stage.plan(AS_OF - timedelta(days=30)))
    with pytest.raises(DataError, match="no entity has features"):
        freeze_scoring_set(stage.settings, stage.plan(AS_OF + timedelta(days=30)))


def test_an_altered_scoring_set_is_refused(stage):
    """What is scored is what was frozen."""
    stage.released()
    plan = stage.plan()
    frozen = freeze_scoring_set(stage.settings, plan)
    path = ArtefactStore(stage.settings.artefacts_folder).path(frozen.uri)
    path.write_bytes(path.read_bytes() + b"!")

    with pytest.raises(ArtefactError, match="altered"):
        score_batch(stage.settings, stage.ledger, plan, frozen, lambda: WALL)
    with pytest.raises(DataError, match="score it first"):
        publish_scores(stage.settings, plan)
