"""`make trace ID=…`: how a prediction came to be, back to data, code, evaluation, person; and its reasons."""

import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime

from include.adapters.artefact_home import artefact_store
from include.adapters.evidence import evidence_uri
from include.adapters.ledger.routes import RouteChange
from include.adapters.prediction_log import find
from include.commands.terminal import run_command
from include.config.settings import Settings, settings
from include.contracts.errors import ArtefactError, ModelError
from include.contracts.packages import PAGE_NAME
from include.contracts.predictions import PredictionRow, Source, Status
from include.contracts.reports import EvaluationReport
from include.contracts.routes import CHALLENGER, CHAMPION
from include.pages.provenance import Answered, Origin, Provenance, Provenances
from include.registry.model_card import card_uri

_WIDTH = 14
_SHOWN = 10
"""Inputs of an explanation that get a line of their own."""


def main() -> None:
    """Print the trace of the prediction named on the command line."""
    run_command(lambda: print(trace(settings(), sys.argv[1] if len(sys.argv) > 1 else "")))


def trace(settings: Settings, prediction_id: str) -> str:
    """Return the whole chain behind a prediction, as text.

    Raises:
        ArtefactError: there is no such prediction, or its package was altered.
    """
    try:
        row = find(settings.predictions_folder, prediction_id)
    except ValueError as error:
        raise ArtefactError(f"{error}; usage: make trace ID=<prediction_id>") from None
    if row is None:
        raise ArtefactError(
            f"no prediction {prediction_id!r} in {settings.predictions_folder}; usage: make trace ID=<id>"
        )
    with closing(Provenances(settings)) as provenances:
        return "\n".join(_lines(settings, provenances.of(row)))


def _lines(settings: Settings, found: Provenance) -> Iterator[str]:
    yield from _prediction(found.row)
    if found.origin is not None:
        yield from _explanation(found.row, found.origin)
        yield from _version(settings, found.origin)
        yield from _evaluation(found.origin.report)
        yield from _approvals(settings, found.origin)
    yield from _traffic(found)
    if found.gaps:
        yield "the chain is not complete"
        yield from (_line("missing", gap) for gap in found.gaps)
    else:
        yield "the chain is complete"


def _prediction(row: PredictionRow) -> Iterator[str]:
    yield f"prediction {row.prediction_id}"
    yield _line("model", f"{row.model}, status {row.status.value}, source {row.source.value}")
    yield _line("asked at", f"{_moment(row.predicted_at)} (recorded {_moment(row.recorded_at)})")
    yield _line("answer", f"{_figures(row.outputs)} in {1000 * row.latency_seconds:.1f} ms")
    yield _line("fallback", row.fallback_reason.value if row.fallback_reason else "none")
    yield _line("variant", _variant(row))
    yield _line("route", row.route_snapshot_id)
    for view, stamp in row.feature_timestamps.items():
        yield _line("features", f"{view} as of {_moment(stamp)}" if stamp else f"{view}: none")
    for name, value in (row.features | row.request_features).items():
        yield f"  {'':{_WIDTH}} {name} = {value}"


def _variant(row: PredictionRow) -> str:
    if row.source is Source.BATCH:
        return "none: a batch names its version"
    if row.assigned_variant is None:
        return "none was assigned"
    if row.bucket is None or row.share is None:
        return f"{row.assigned_variant}, no change of traffic under way"
    place = f"{row.assigned_variant}: the unit lies at {row.bucket:.6f} under {row.release_or_experiment_id}"
    # Where a further arm of an experiment begins is in its route.
    is_further = row.assigned_variant not in {CHAMPION, CHALLENGER}
    return place if is_further else f"{place}, whose new version had [0, {row.share:g})"


def _explanation(row: PredictionRow, origin: Origin) -> Iterator[str]:
    if row.outputs is None or row.status not in {Status.OK, Status.FALLBACK}:
        return
    values = row.features | row.request_features
    yield "why this score"
    try:
        found = origin.explainer.explain(values, row.outputs)
    except (ArtefactError, KeyError, ModelError) as error:
        yield _line("unexplained", str(error))
        return
    yield _line("method", found.method)
    yield _line(found.output, f"{found.score:.4f}; usual is {found.base:.4f}")
    for share in found.shares[:_SHOWN]:
        yield _line(f"{share.contribution:+.4f}", f"{share.feature} = {share.value} (± {share.error:.4f})")
    rest = found.shares[_SHOWN:]
    if rest:
        yield _line(f"{sum(share.contribution for share in rest):+.4f}", f"{len(rest)} other inputs together")
    verdict = "adds up to the score" if found.adds_up else "does NOT add up to the score"
    yield _line("sum", f"{verdict}, to {found.gap:.1e}")


def _version(settings: Settings, origin: Origin) -> Iterator[str]:
    version, manifest = origin.version, origin.manifest
    snapshot, code = manifest.snapshot, manifest.code
    yield f"version {version.model} {version.version}"
    yield _line("artefact", version.artefact_sha256)
    yield _line("training data", f"{snapshot.sha256}, {origin.data_gap or 'read again, the hash is right'}")
    yield _line(
        "", f"{snapshot.rows:,} rows of [{snapshot.start:%Y-%m-%d}, {snapshot.end:%Y-%m-%d}), {snapshot.uri}"
    )
    yield _line("commit", f"{code.commit}{' (with uncommitted changes)' if code.dirty else ''}")
    yield _line("requested by", f"{version.requested_by}, registered {_moment(version.registered_at)}")
    yield _line("MLflow run", f"{settings.mlflow_url}/#/runs/{version.run_id}")
    yield _line("report", artefact_store(settings).place(f"{version.package_uri}/{PAGE_NAME}"))
    yield _line("model card", artefact_store(settings).place(card_uri(version.model, version.version)))


def _evaluation(report: EvaluationReport) -> Iterator[str]:
    window = f"[{report.test_start:%Y-%m-%d}, {report.test_end:%Y-%m-%d})"
    yield f"evaluation on {report.test_rows:,} rows of {window}"
    for gate in report.gates:
        yield _line(gate.verdict.value, gate.detail)


def _approvals(settings: Settings, origin: Origin) -> Iterator[str]:
    yield "approval"
    for answer in origin.answers:
        given = answer.approval
        yield _line(given.decision.value, _answer(answer))
        shown = artefact_store(settings).place(evidence_uri(given.model, given.evidence_sha256))
        yield _line("", answer.gap or f"was shown {shown}, read again, the hash is right")
    for trial in origin.trials:
        told = f"by {trial.answer.decided_by} at {_moment(trial.answer.decided_at)}"
        yield _line("experiment", f"{trial.experiment.experiment_id} approved {told}")
    if not origin.answers and not origin.trials:
        yield _line("none", "no release of this version was ever answered")


def _answer(answer: Answered) -> str:
    given = answer.approval
    reason = f", {given.reason!r}" if given.reason else ""
    who = given.decided_by or "nobody: time ran out"
    champion = answer.report.champion_version
    against = f"champion {champion}" if champion else "no champion"
    return f"by {who} at {_moment(given.decided_at)}{reason}; compared with {against}"


def _traffic(found: Provenance) -> Iterator[str]:
    yield "changes of traffic"
    for change in found.changes:
        yield _line("this one" if change == found.routed_by else "", _change(change))


def _change(change: RouteChange) -> str:
    route = change.route
    if route is None:
        return (
            f"{_moment(change.recorded_at)} retired by {change.actor}: {change.reason} ({change.snapshot_id})"
        )
    shares = [f"{arm.version.version} {arm.share:.0%}" for arm in route.arms]
    why = f": {change.reason}" if change.reason else f", release {route.change_id}" if route.change_id else ""
    return f"{_moment(change.recorded_at)} {', '.join(shares)} by {change.actor}{why} ({change.snapshot_id})"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _line(title: str, text: str) -> str:
    return f"  {title:{_WIDTH}} {text}"


def _figures(outputs: tuple[float, ...] | None) -> str:
    return "none" if outputs is None else ", ".join(f"{value:.4f}" for value in outputs)


if __name__ == "__main__":
    main()
