"""What became of a training: its requests are over or wait again, and the next one knows what is new."""

from include.adapters.artefact_home import artefact_store
from include.adapters.ledger.ledger import Ledger
from include.adapters.snapshots import read_snapshot
from include.config.settings import Settings
from include.contracts.packages import EVALUATION_NAME, TRAINING_NAME, TrainingRecord
from include.contracts.reports import EvaluationReport, Verdict
from include.contracts.retraining import Training
from include.training.claim import Values


def end_claim(
    settings: Settings,
    ledger: Ledger,
    run_id: str,
    *,
    candidate_uri: str | None,
    version: str | None,
    overrides: tuple[Values, int | None],
    actor: str,
) -> str:
    """End a run's requests and record the training; return how it ended.

    A run without a verdict, because it failed, a gate was not measured or the version could not be
    registered, is no training: one that was due stays due, and the requests it took on wait again.

    Args:
        settings: says where the artefact store is.
        ledger: where it is written.
        run_id: the claimant.
        candidate_uri: the candidate that was judged; None where the run did not come so far.
        version: the version it became, if it became one.
        overrides: hyperparameters and seed that replaced the contract's.
        actor: who triggered the run.

    Raises:
        ArtefactError: the candidate, its report or its training set is not there any more.
    """
    if candidate_uri is None:
        return _put_back(ledger, run_id, "failed before it was judged", actor)
    if version is None and (missing := _no_verdict(settings, candidate_uri)):
        return _put_back(ledger, run_id, missing, actor)
    outcome = f"registered {version}" if version else "judged, not registered"
    ledger.record_training(_training(settings, run_id, candidate_uri, version, overrides), actor)
    ledger.end_retrain(run_id, outcome, actor)
    return outcome


def _put_back(ledger: Ledger, run_id: str, why: str, actor: str) -> str:
    ledger.return_retrain(run_id, why, actor)
    return why


def _no_verdict(settings: Settings, uri: str) -> str | None:
    """Return why a candidate that was not registered was not refused either; None where a gate failed."""
    store = artefact_store(settings)
    report = EvaluationReport.model_validate_json(store.read(f"{uri}/{EVALUATION_NAME}"))
    verdicts = {gate.verdict for gate in report.gates}
    if Verdict.FAIL in verdicts:
        return None
    if Verdict.NOT_MEASURED in verdicts:
        return "a gate was not measured"
    return "passed its gates, but was not registered"


def _training(
    settings: Settings, run_id: str, uri: str, version: str | None, overrides: tuple[Values, int | None]
) -> Training:
    store = artefact_store(settings)
    record = TrainingRecord.model_validate_json(store.read(f"{uri}/{TRAINING_NAME}"))
    return Training(
        model=record.model,
        run_id=run_id,
        as_of=record.snapshot.as_of,
        labelled_until=read_snapshot(store, record.snapshot)["event_at"].max().to_pydatetime(),
        fingerprint=record.code.fingerprint,
        hyperparameters=overrides[0],
        seed=overrides[1],
        candidate_uri=uri,
        version=version,
    )
