"""`make trace ID=…`: how a prediction came to be, back to data, code, evaluation and person."""

import sys
from collections.abc import Iterator
from datetime import datetime

from include.adapters.artefacts import ArtefactStore
from include.adapters.ledger.ledger import Ledger
from include.adapters.packages import load_manifest, load_report
from include.adapters.prediction_log import find
from include.commands.terminal import run_command
from include.config.settings import Settings, settings
from include.contracts.errors import ArtefactError, RegistryError
from include.contracts.packages import Manifest, Version
from include.contracts.predictions import PredictionRow
from include.contracts.releases import Approval
from include.contracts.reports import EvaluationReport

_WIDTH = 14


def main() -> None:
    """Print the trace of the prediction named on the command line."""
    run_command(lambda: print(trace(settings(), sys.argv[1] if len(sys.argv) > 1 else "")))


def trace(settings: Settings, prediction_id: str) -> str:
    """Return the whole chain behind a prediction, as text.

    Raises:
        ArtefactError: there is no such prediction, or its package was altered.
        RegistryError: the ledger does not know the version that answered.
    """
    try:
        row = find(settings.predictions_folder, prediction_id)
    except ValueError as error:
        raise ArtefactError(f"{error}; usage: make trace ID=<prediction_id>") from None
    if row is None:
        raise ArtefactError(
            f"no prediction {prediction_id!r} in {settings.predictions_folder}; usage: make trace ID=<id>"
        )
    if row.served_version is None:
        return "\n".join(_prediction(row))
    ledger, store = Ledger(settings.ledger_uri), ArtefactStore(settings.artefacts_folder)
    version = ledger.version(row.model, row.served_version)
    if version is None:
        raise RegistryError(
            f"the ledger knows no {row.model} {row.served_version}, which answered {prediction_id}"
        )
    manifest, report = load_manifest(store, version), load_report(store, version)
    approvals = _approvals(ledger, version)
    return "\n".join((*_prediction(row), *_version(version, manifest), *_evaluation(report), *approvals))


def _prediction(row: PredictionRow) -> Iterator[str]:
    yield f"prediction {row.prediction_id}"
    yield _line("model", f"{row.model}, status {row.status.value}, source {row.source.value}")
    yield _line("asked at", f"{_moment(row.predicted_at)} (recorded {_moment(row.recorded_at)})")
    yield _line("answer", f"{_figures(row.outputs)} in {1000 * row.latency_seconds:.1f} ms")
    yield _line("fallback", row.fallback_reason.value if row.fallback_reason else "none")
    yield _line(
        "variant",
        f"{row.assigned_variant} of {row.release_or_experiment_id}, bucket {row.bucket}, share {row.share}",
    )
    yield _line("route", row.route_snapshot_id)
    for view, stamp in row.feature_timestamps.items():
        yield _line("features", f"{view} as of {_moment(stamp)}" if stamp else f"{view}: none")
    for name, value in (row.features | row.request_features).items():
        yield f"  {'':{_WIDTH}} {name} = {value}"


def _version(version: Version, manifest: Manifest) -> Iterator[str]:
    snapshot, code = manifest.snapshot, manifest.code
    yield f"version {version.model} {version.version}"
    yield _line("artefact", version.artefact_sha256)
    yield _line("training data", snapshot.sha256)
    yield _line(
        "", f"{snapshot.rows:,} rows of [{snapshot.start:%Y-%m-%d}, {snapshot.end:%Y-%m-%d}), {snapshot.uri}"
    )
    yield _line("commit", f"{code.commit}{' (with uncommitted changes)' if code.dirty else ''}")
    yield _line("requested by", f"{version.requested_by}, registered {_moment(version.registered_at)}")
    yield _line("MLflow run", version.run_id)


def _evaluation(report: EvaluationReport) -> Iterator[str]:
    window = f"[{report.test_start:%Y-%m-%d}, {report.test_end:%Y-%m-%d})"
    yield f"evaluation on {report.test_rows:,} rows of {window}"
    for gate in report.gates:
        yield _line(gate.verdict.value, gate.detail)


def _approvals(ledger: Ledger, version: Version) -> Iterator[str]:
    found = [
        answer
        for release in ledger.releases(version.model)
        if release.version == version.version
        for answer in ledger.approvals(release.release_id)
    ]
    yield "approval"
    for answer in found:
        yield _line(answer.decision.value, _answer(answer))
    if not found:
        yield _line("none", "no release of this version was ever answered")


def _answer(answer: Approval) -> str:
    reason = f", {answer.reason!r}" if answer.reason else ""
    who = answer.decided_by or "nobody: time ran out"
    return f"by {who} at {_moment(answer.decided_at)}{reason}; was shown {answer.evidence_sha256[:12]}"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _line(title: str, text: str) -> str:
    return f"  {title:{_WIDTH}} {text}"


def _figures(outputs: tuple[float, ...] | None) -> str:
    return "none" if outputs is None else ", ".join(f"{value:.4f}" for value in outputs)


if __name__ == "__main__":
    main()
