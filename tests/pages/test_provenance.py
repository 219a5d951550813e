"""The chain behind a prediction, whole and with each of its links broken."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import msgspec
import pandas as pd
import pytest
from sqlalchemy import make_url

from include.adapters.artefacts import ArtefactStore
from include.adapters.erased_snapshots import drop_replaced, erase_from_snapshots
from include.adapters.evidence import evidence_uri, publish_evidence
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.ledger.routes import RouteUpdate
from include.adapters.onnx_model import OnnxModel
from include.adapters.packages import load_manifest, version_route
from include.adapters.prediction_log import PredictionLog
from include.adapters.tracking import Tracking
from include.commands.production_readiness import trace_problem
from include.commands.trace import trace
from include.config.settings import Settings
from include.contracts.assignment import bucket
from include.contracts.erasures import Erasure
from include.contracts.errors import ArtefactError
from include.contracts.experiments import ExperimentAnswer
from include.contracts.identifiers import uuid7
from include.contracts.packages import CodeState, Version
from include.contracts.predictions import PredictionRow, Source, Status
from include.contracts.releases import Decision, ReleaseStage
from include.pages.provenance import Provenances
from include.registry.register import register
from include.rollout.approval import record_decision
from include.rollout.switch import full_route
from tests.adapters.ledger.trials import experiment
from tests.registry.candidates import DAY, ROWS, model_folder, opened, write_candidate
from tests.synthetic import frozen

RELEASE = "churn-release-1"
EVIDENCE = "# churn 1.0.0\n\nwhat there is to know before saying yes"


@dataclass
class Made:
    """A version in production, and a prediction it gave."""

    settings: Settings
    version: Version
    row: PredictionRow

    def gaps(self, **changes: object) -> tuple[str, ...]:
        """Return what is missing of the chain behind the row with some fields changed."""
        return Provenances(self.settings).of(msgspec.structs.replace(self.row, **changes)).gaps


def _rows() -> pd.DataFrame:
    frame = pd.DataFrame([row for row in ROWS for _ in range(4)])
    moments = pd.Series([DAY - timedelta(days=20)] * len(frame))
    return frame.assign(
        unit=[str(number) for number in range(len(frame))],
        event_at=moments,
        known_at=moments + timedelta(days=14),
        label=1.0,
    )


def _released(settings: Settings, root: Path, shown: str | None = None, **changes: object) -> Version:
    """Register a version, have it approved, and give it all traffic."""
    upgrade(settings.ledger_uri)
    ledger, store = Ledger(settings.ledger_uri), ArtefactStore(settings.artefacts_folder)
    folder = model_folder(root)
    uri = write_candidate(store, folder, "run-1", snapshot=frozen(store, _rows()), **changes)
    down = Tracking(settings, uri="http://127.0.0.1:9")
    version = register(settings, ledger, down, folder, uri, actor="ada")
    release = opened(ledger, folder.contract, version.version, release_id=RELEASE, evaluation_uri=shown)
    release = record_decision(
        ledger,
        store,
        RELEASE,
        Decision.APPROVED,
        decided_by="approver",
        decided_at=release.opened_at,
        evidence_sha256=publish_evidence(store, "churn", EVIDENCE),
    )
    release = ledger.advance_release(RELEASE, release.revision, ReleaseStage.LOADED, actor="system")
    manifest = load_manifest(store, version)
    route = full_route(
        folder.contract, manifest, version, endpoints=("127.0.0.1:9",), before=None, change_id=RELEASE
    )
    ledger.advance_release(
        RELEASE, release.revision, ReleaseStage.BAKING, actor="system", route=RouteUpdate(route, 0)
    )
    ledger.close()
    return version


def _log(settings: Settings, row: PredictionRow) -> None:
    log = PredictionLog(settings.predictions_folder, 1_000_000)
    log.append([row])
    log.close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let MLflow's client, whose server is down here, ask once."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    """Give a version that was registered, approved, routed, and asked once."""
    settings = Settings(home=tmp_path / "home")
    version = _released(settings, tmp_path / "models")
    ledger, store = Ledger(settings.ledger_uri), ArtefactStore(settings.artefacts_folder)
    change = ledger.route_history("churn")[-1]
    graph = store.path(version.package_uri) / "model.onnx"
    model = OnnxModel(graph, load_manifest(store, version).signature)
    (score,) = model.predict({name: [value] for name, value in ROWS[0].items()})[0].tolist()
    row = PredictionRow(
        prediction_id=str(uuid7(DAY)),
        request_id=None,
        body_sha256="b",
        model="churn",
        entity={"customer_id": 7},
        unit="7",
        assigned_variant="champion",
        served_version="1.0.0",
        artefact_sha256=version.artefact_sha256,
        route_snapshot_id=change.snapshot_id,
        release_or_experiment_id=RELEASE,
        bucket=bucket(RELEASE, "7"),
        share=0.0,
        predicted_at=DAY,
        recorded_at=change.recorded_at,
        features=dict(ROWS[0]),
        feature_timestamps={"customer_spending": DAY},
        request_features={},
        outputs=(score,),
        status=Status.OK,
        fallback_reason=None,
        source=Source.LIVE,
        latency_seconds=0.001,
        key_id="k",
    )
    _log(settings, row)
    yield Made(settings, version, row)
    ledger.close()


def test_chain_of_a_prediction_is_complete(made: Made) -> None:
    """From the row to variant, version, data, report, approver and every change of traffic."""
    found = Provenances(made.settings).of(made.row)
    assert found.gaps == ()
    assert found.origin is not None
    assert made.version == found.origin.version
    assert ["approver"] == [answer.approval.decided_by for answer in found.origin.answers]
    assert found.routed_by == found.changes[0]


def test_trace_tells_the_chain_and_takes_the_score_apart(made: Made) -> None:
    """What each input did, and that it adds up to the logged score."""
    text = trace(made.settings, made.row.prediction_id)
    for part in (
        "why this score",
        "Shapley values by permutation sampling",
        "total_spend_30d = 1.0 (±",
        "adds up to the score",
        "read again, the hash is right",
        "by approver at",
        "was shown",
        "the chain is complete",
        "the unit lies at 0.",
        "1.0.0 100% by system, release churn-release-1",
    ):
        assert part in text


def test_score_of_another_artefact_does_not_add_up(made: Made) -> None:
    """Where the logged score is not what the artefact gives, the sum says so."""
    other = msgspec.structs.replace(made.row, prediction_id=str(uuid7(DAY)), outputs=(0.123,))
    _log(made.settings, other)
    assert "does NOT add up" in trace(made.settings, other.prediction_id)


GAPS = [
    ({"bucket": 0.5}, "its bucket 0.5 is not that of its unit"),
    ({"unit": "8"}, "is not that of its unit under churn-release-1"),
    ({"served_version": "9.9.9"}, "the ledger knows no churn 9.9.9"),
    ({"artefact_sha256": "other"}, "answered by another artefact than that of 1.0.0"),
    ({"route_snapshot_id": "0-none"}, "no change of traffic led to route 0-none"),
    ({"route_snapshot_id": "lost"}, "no change of traffic led to route lost"),
]


@pytest.mark.parametrize(("changes", "message"), GAPS)
def test_broken_link_is_named(made: Made, changes: dict[str, object], message: str) -> None:
    """A row that does not fit what the ledger tells says where."""
    assert any(message in gap for gap in made.gaps(**changes))


def test_answer_before_the_approval_is_a_gap(made: Made) -> None:
    """An approval that came later approved nothing."""
    early = made.row.recorded_at - timedelta(days=1)
    assert ("1.0.0 was not approved by then",) == made.gaps(recorded_at=early)


@pytest.mark.parametrize(("change", "message"), [("lost", "no artefact at"), ("altered", "was altered")])
def test_what_approvers_saw_is_read_again(made: Made, change: str, message: str) -> None:
    """The text is kept under the hash that the answer carries; lost or altered, the trace says so."""
    store, digest = ArtefactStore(made.settings.artefacts_folder), sha256(EVIDENCE.encode()).hexdigest()
    uri = evidence_uri("churn", digest)
    assert EVIDENCE == store.read(uri).decode()
    if change == "lost":
        store.delete(uri)
    else:
        store.write(uri, b"nothing to see here")
    (gap,) = made.gaps()
    assert "what approver was shown cannot be read again" in gap
    assert message in gap
    assert gap in trace(made.settings, made.row.prediction_id)


def test_the_yes_to_an_experiment_counts_in_it_alone(made: Made, tmp_path: Path) -> None:
    """A treatment that was never released: its rows of the experiment are approved, all others are not."""
    store, ledger = ArtefactStore(made.settings.artefacts_folder), Ledger(made.settings.ledger_uri)
    folder = model_folder(tmp_path / "other")
    uri = write_candidate(store, folder, "run-2", snapshot=frozen(store, _rows()), factor=2.0)
    down = Tracking(made.settings, uri="http://127.0.0.1:9")
    treatment = register(made.settings, ledger, down, folder, uri, actor="ada")
    running = experiment(
        treatment_version=treatment.version, treatment_sha256=treatment.artefact_sha256, approved_by=("olga",)
    )
    answer = ExperimentAnswer(
        experiment_id=running.experiment_id,
        model="churn",
        plan_sha256=running.plan_sha256,
        treatment_version=treatment.version,
        treatment_sha256=treatment.artefact_sha256,
        decision=Decision.APPROVED,
        decided_by="olga",
        decided_at=made.row.recorded_at,
        evidence_sha256=publish_evidence(store, "churn", EVIDENCE),
    )
    ledger.record_experiment_answer(answer)
    ledger.abandon("churn", actor="ada", reason="an experiment needs the lease")
    state = ledger.route_state("churn")
    assert state.route is not None
    challenger = version_route(load_manifest(store, treatment), treatment, ("127.0.0.1:9",))
    route = state.route.model_copy(
        update={"challenger": challenger, "share": 0.5, "change_id": running.experiment_id}
    )
    ledger.start_experiment(running, RouteUpdate(route, state.revision))
    change = ledger.route_history("churn")[-1]
    ledger.close()
    row = {
        "served_version": treatment.version,
        "artefact_sha256": treatment.artefact_sha256,
        "route_snapshot_id": change.snapshot_id,
        "recorded_at": change.recorded_at,
    }
    salt = running.experiment_id
    assert () == made.gaps(**row, release_or_experiment_id=salt, bucket=bucket(salt, made.row.unit))
    assert (f"{treatment.version} was not approved by then",) == made.gaps(**row)
    store.delete(evidence_uri("churn", answer.evidence_sha256))
    (gap,) = made.gaps(**row, release_or_experiment_id=salt, bucket=bucket(salt, made.row.unit))
    assert "what olga was shown cannot be read again" in gap


def test_half_a_quorum_approves_nothing(made: Made) -> None:
    """A version two must agree to was answered by one of them: the chain lacks its approval."""
    with sqlite3.connect(make_url(made.settings.ledger_uri).database) as raw:
        raw.execute("UPDATE releases SET quorum = 2")
    raw.close()
    assert ("1.0.0 was not approved by then",) == made.gaps()


def test_a_shadows_row_needs_a_shadow_and_no_approval(made: Made) -> None:
    """What reaches no caller is approved by nobody, but the route must have mirrored to it."""
    early = made.row.recorded_at - timedelta(days=1)
    gaps = made.gaps(source=Source.SHADOW, recorded_at=early, shadow_of=made.row.prediction_id)
    assert ("1.0.0 was not routed at the time",) == gaps


def test_lost_training_set_is_a_gap(made: Made) -> None:
    """Data that cannot be read again by its hash is named; an altered package is an error."""
    store = ArtefactStore(made.settings.artefacts_folder)
    manifest = load_manifest(store, made.version)
    store.path(manifest.snapshot.uri).unlink()
    (gap,) = made.gaps()
    assert "is not in the artefact store" in gap
    model = store.path(made.version.package_uri) / "model.onnx"
    model.write_bytes(model.read_bytes() + b" ")
    with pytest.raises(ArtefactError, match=r"model\.onnx was altered"):
        made.gaps()


def test_a_training_set_without_an_erased_entity_is_no_gap(made: Made) -> None:
    """The trace follows to the one in its place if the ledger tells of the erasure, and only then."""
    store = ArtefactStore(made.settings.artefacts_folder)
    count, replaced = erase_from_snapshots(store, "churn", "7", "erasure-1")
    drop_replaced(store, replaced)
    (gap,) = made.gaps()
    assert "was replaced, and no erasure in the ledger tells of it" in gap
    old = load_manifest(store, made.version).snapshot
    (successor,) = replaced.values()
    ledger = Ledger(made.settings.ledger_uri)
    ledger.record_erasure(
        Erasure(
            erasure_id="erasure-1",
            entity="customer_id",
            removed={"training sets of churn": count},
            snapshots={old.sha256: successor.sha256},
            reason="asked for it",
        ),
        actor="olga",
    )
    ledger.close()
    assert () == made.gaps()


def test_refused_attempt_has_a_chain_without_a_version(made: Made) -> None:
    """Nothing answered, so nothing beyond route and assignment is asked for."""
    assert made.gaps(served_version=None, artefact_sha256=None, outputs=None, status=Status.REFUSED) == ()


def test_the_review_before_production_asks_for_the_same_chain(made: Made) -> None:
    """Where training set or package cannot be read again, it is told as a prediction's trace tells it."""
    assert "" == trace_problem(made.settings, made.version)
    store = ArtefactStore(made.settings.artefacts_folder)
    store.path(load_manifest(store, made.version).snapshot.uri).unlink()
    assert made.gaps() == (trace_problem(made.settings, made.version),)
    (store.path(made.version.package_uri) / "golden.json").write_bytes(b"{}")
    assert "golden.json was altered" in trace_problem(made.settings, made.version)


def test_the_review_before_production_asks_for_what_approvers_saw(tmp_path: Path) -> None:
    """The report that the release was opened with is lost."""
    settings = Settings(home=tmp_path / "home")
    version = _released(settings, tmp_path / "models", shown=f"evaluations/churn/{'a' * 64}.json")
    assert "evaluations/churn/aaa" in trace_problem(settings, version)


def test_the_review_before_production_asks_for_a_commit(tmp_path: Path) -> None:
    """A champion whose code differed from its commit was trained from what nobody can read again."""
    settings = Settings(home=tmp_path / "home")
    code = CodeState(commit="c" * 40, dirty=True, fingerprint="f" * 64, lock_sha256="e" * 64)
    version = _released(settings, tmp_path / "models", code=code)
    assert "1.0.0 was trained from code that no commit holds" == trace_problem(settings, version)
