"""What became of a training: the requests it took on are over, and the next one knows what is new."""

from include.adapters.artefacts import ArtefactStore
from include.adapters.ledger.ledger import Ledger
from include.adapters.snapshots import read_snapshot
from include.config.settings import Settings
from include.contracts.packages import TRAINING_NAME, TrainingRecord
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
    """End a run's requests and, where it reached a verdict, record the training; return how it ended.

    Args:
        settings: says where the artefact store is.
        ledger: where it is written.
        run_id: the claimant.
        candidate_uri: the candidate that was judged; None where the run did not come so far.
        version: the version it became; None where a gate was missed.
        overrides: hyperparameters and seed that replaced the contract's.
        actor: who triggered the run.

    Raises:
        ArtefactError: the candidate or its training set is not there any more.
    """
    if candidate_uri is None:
        outcome = "failed before it was judged"
    else:
        outcome = f"registered {version}" if version else "judged, not registered"
        training = _training(settings, run_id, candidate_uri, version, overrides)
        ledger.record_training(training, actor)
    ledger.end_retrain(run_id, outcome, actor)
    return outcome


def _training(
    settings: Settings, run_id: str, uri: str, version: str | None, overrides: tuple[Values, int | None]
) -> Training:
    store = ArtefactStore(settings.artefacts_folder)
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
