"""The evidence an approver is shown, as Markdown."""

from include.adapters.artefacts import ArtefactStore
from include.adapters.ledger.ledger import Ledger
from include.adapters.packages import load_evaluation, load_manifest, load_report
from include.contracts.errors import RegistryError
from include.contracts.packages import Manifest, Version
from include.contracts.releases import Release
from include.contracts.reports import EvaluationReport

_DIGITS = 12


def evidence_of(ledger: Ledger, store: ArtefactStore, release: Release) -> str:
    """Return the evidence of a release, read from its package once every byte of it is proven.

    Raises:
        RegistryError: the version is not registered, or under another artefact.
        ArtefactError: the package is incomplete or altered.
    """
    version = ledger.version(release.model, release.version)
    if version is None or version.artefact_sha256 != release.artefact_sha256:
        raise RegistryError(f"release {release.release_id}: its artefact is not registered any more")
    manifest = load_manifest(store, version)
    return evidence(version, manifest, shown_report(store, version, release))


def shown_report(store: ArtefactStore, version: Version, release: Release) -> EvaluationReport:
    """Return the report a release is judged by: the package's, or the one made anew for it.

    Raises:
        ArtefactError: it is missing, altered or cannot be read.
    """
    if release.evaluation_uri is None:
        return load_report(store, version)
    return load_evaluation(store, release.evaluation_uri)


def evidence(version: Version, manifest: Manifest, report: EvaluationReport) -> str:
    """Return what there is to know before saying yes: figures, gates, data and code."""
    return "\n\n".join(
        (
            f"# {version.model} {version.version}",
            _origin(version, manifest),
            "## Metrics\n\n"
            f"{report.test_rows:,} rows of [{report.test_start:%Y-%m-%d}, {report.test_end:%Y-%m-%d}), "
            f"which the model has not seen.\n\n{_metrics(report)}",
            f"## Gates\n\n{_gates(report)}",
        )
    )


def _origin(version: Version, manifest: Manifest) -> str:
    snapshot, code = manifest.snapshot, manifest.code
    dirty = " with **uncommitted changes**" if code.dirty else ""
    lines = (
        f"artefact `{version.artefact_sha256[:_DIGITS]}`, trained {manifest.trained_at:%Y-%m-%d %H:%M} UTC, "
        f"requested by {version.requested_by}",
        f"data [{snapshot.start:%Y-%m-%d}, {snapshot.end:%Y-%m-%d}), {snapshot.rows:,} rows, as of "
        f"{snapshot.as_of:%Y-%m-%d}, hash `{snapshot.sha256[:_DIGITS]}`",
        f"features `{snapshot.feature_service}`",
        f"code at commit `{code.commit[:_DIGITS]}`{dirty}",
        f"MLflow run `{version.run_id}`, which holds the report as a page with plots",
    )
    return "\n".join(f"- {line}" for line in lines)


def _metrics(report: EvaluationReport) -> str:
    champion = report.champion_version or "none yet"
    rows = [f"| metric | candidate | baseline | champion ({champion}) |", "|---|---|---|---|"]
    for name, value in sorted(report.metrics.items()):
        others = (
            _figure(figures.get(name)) for figures in (report.baseline_metrics, report.champion_metrics)
        )
        rows.append(f"| {name} | {_figure(value)} | {' | '.join(others)} |")
    return "\n".join(rows)


def _gates(report: EvaluationReport) -> str:
    rows = ["| gate | verdict | figures |", "|---|---|---|"]
    for gate in report.gates:
        rows.append(f"| {gate.kind.value} {gate.metric} | {gate.verdict.value} | {gate.detail} |")
    return "\n".join(rows)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"  # noqa: RUF001 - an en dash stands for no figure
