"""The model card of a version, written from its evidence: nothing in it is typed by hand.

Its sections are those of Mitchell et al. 2019, "Model Cards for Model Reporting".
"""

from collections.abc import Iterable, Iterator, Sequence

from include.adapters.artefacts import ArtefactStore
from include.contracts.model import ModelContract
from include.contracts.moments import format_duration
from include.contracts.packages import Manifest, Version
from include.contracts.reports import EvaluationReport, SliceFigures, SliceStatus

CARDS = "cards"
"""Folder of the model cards in the artefact store."""

_DIGITS = 12
_WORST = 3


def card_uri(model: str, version: str) -> str:
    """Return where the card of a version lies in the artefact store."""
    return f"{CARDS}/{model}/{version}.md"


def write_card(
    store: ArtefactStore,
    contract: ModelContract,
    version: Version,
    manifest: Manifest,
    report: EvaluationReport,
) -> str:
    """Write the card of a version and return its URI; written again, it is the same."""
    uri = card_uri(version.model, version.version)
    store.write(uri, model_card(contract, version, manifest, report).encode())
    return uri


def model_card(
    contract: ModelContract, version: Version, manifest: Manifest, report: EvaluationReport
) -> str:
    """Return the card as Markdown."""
    sections = {
        f"# {version.model} {version.version}": _details(contract, version, manifest),
        "## Intended use": _use(contract),
        "## Inputs": _inputs(contract),
        "## Metrics": _metrics(report),
        "## Evaluation data": _evaluation_data(report),
        "## Training data": _training_data(manifest),
        "## Slices": _slices(report),
        "## Limits": _limits(contract, report),
        "## Provenance": _provenance(version, manifest),
    }
    return "\n\n".join(f"{title}\n\n" + "\n".join(lines) for title, lines in sections.items()) + "\n"


def _details(contract: ModelContract, version: Version, manifest: Manifest) -> Iterator[str]:
    yield contract.description
    yield ""
    yield f"- task: {contract.task.value}; one row per `{contract.entity.name}`"
    yield f"- owner: {contract.owner.team} ({contract.owner.email}), on call: {contract.owner.on_call}"
    yield f"- trained {manifest.trained_at:%Y-%m-%d %H:%M} UTC, requested by {version.requested_by}"
    yield f"- registered {version.registered_at:%Y-%m-%d %H:%M} UTC, artefact `{version.artefact_sha256}`"


def _use(contract: ModelContract) -> Iterator[str]:
    known = format_duration(contract.label.delay)
    yield f"Predicts: {contract.label.description} Known {known} after the moment."
    yield ""
    yield f"- approvers: {', '.join(contract.approvers.users)}; {contract.approvers.quorum} must agree"
    objectives = contract.objectives
    rows = objectives.batch_rows_per_second
    yield (
        f"- promises: p99 below {objectives.latency_p99_ms:g} ms, {objectives.availability:.3%} available"
        f"{f', {rows:,.0f} rows/s in batches' if rows else ''}"
    )
    yield f"- when it cannot answer: {', '.join(each.value for each in contract.serving.fallbacks)}"


def _inputs(contract: ModelContract) -> Iterator[str]:
    rows = [
        (
            item.name,
            item.kind.value,
            item.view or f"request: {item.transform}",
            _range(item.minimum, item.maximum),
        )
        for item in contract.signature.inputs
    ]
    return _table(("feature", "kind", "from", "range"), rows)


def _metrics(report: EvaluationReport) -> Iterator[str]:
    champion = f"champion {report.champion_version}" if report.champion_version else "champion (none yet)"
    rows = [
        (
            name,
            _figure(value),
            _figure(report.baseline_metrics.get(name)),
            _figure(report.champion_metrics.get(name)),
        )
        for name, value in sorted(report.metrics.items())
    ]
    yield from _table(("metric", "this version", "baseline", champion), rows)
    yield ""
    yield from _table(
        ("gate", "verdict", "figures"),
        [(f"{gate.kind.value} {gate.metric}", gate.verdict.value, gate.detail) for gate in report.gates],
    )


def _evaluation_data(report: EvaluationReport) -> Iterator[str]:
    yield (
        f"{report.test_rows:,} rows of [{report.test_start:%Y-%m-%d}, {report.test_end:%Y-%m-%d}), which the "
        "model has not seen."
    )
    if report.benchmark:
        definition, rows = report.benchmark.definition_sha256, report.benchmark.rows_sha256
        yield (
            f"In {report.benchmark.windows} windows; definition `{definition[:_DIGITS]}`, "
            f"rows `{rows[:_DIGITS]}`."
        )


def _training_data(manifest: Manifest) -> Iterator[str]:
    snapshot = manifest.snapshot
    yield (
        f"{snapshot.rows:,} rows of [{snapshot.start:%Y-%m-%d}, {snapshot.end:%Y-%m-%d}) as of "
        f"{snapshot.as_of:%Y-%m-%d}, features `{snapshot.feature_service}`, hash `{snapshot.sha256}`."
    )


def _slices(report: EvaluationReport) -> Iterator[str]:
    if not report.slices:
        yield "None were evaluated."
        return
    names = sorted({name for each in report.slices for name in each.intervals})
    yield from _table(
        ("slice", "rows", *names),
        [(each.name, f"{each.rows:,}", *(_interval(each, name) for name in names)) for each in report.slices],
    )


def _limits(contract: ModelContract, report: EvaluationReport) -> Iterator[str]:
    unjudged = [each for each in report.slices if each.status is not SliceStatus.JUDGED]
    if unjudged:
        yield f"- nothing is claimed for {', '.join(each.name for each in unjudged)}: {_reasons(unjudged)}"
    measured = [(each.degradation, each) for each in report.robustness if each.degradation is not None]
    for degradation, each in sorted(measured, key=lambda pair: -pair[0])[:_WORST]:
        yield (
            f"- with `{each.feature}` {each.perturbation.value.replace('_', ' ')} in {each.affected_rows:,} "
            f"rows, {each.metric} is {100 * degradation:.1f} % worse"
        )
    yield f"- a feature older than its view's time to live: {contract.features.stale_policy.value}"
    if report.calibration:
        yield (
            f"- expected calibration error {report.calibration.expected_calibration_error:.4f}, of which "
            f"{report.calibration.expected_by_chance:.4f} by chance"
        )


def _provenance(version: Version, manifest: Manifest) -> Iterator[str]:
    code = manifest.code
    settings = ", ".join(f"{name} {value}" for name, value in sorted(manifest.hyperparameters.items()))
    yield f"- code at commit `{code.commit}`{' with **uncommitted changes**' if code.dirty else ''}"
    yield f"- code fingerprint `{code.fingerprint[:_DIGITS]}`, lock `{code.lock_sha256[:_DIGITS]}`"
    yield f"- seed {manifest.seed}; {settings or 'no hyperparameters'}"
    yield f"- {manifest.duration_seconds:.0f} s on {manifest.hardware}"
    yield f"- MLflow run `{version.run_id}`, package `{version.package_uri}`"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def _reasons(slices: Sequence[SliceFigures]) -> str:
    return ", ".join(sorted({each.status.value.replace("_", " ") for each in slices}))


def _interval(each: SliceFigures, metric: str) -> str:
    interval = each.intervals.get(metric)
    if interval is None:
        return each.status.value.replace("_", " ")
    return f"{interval.value:.4f} ({interval.low:.4f} to {interval.high:.4f})"


def _range(minimum: float | None, maximum: float | None) -> str:
    if minimum is None and maximum is None:
        return "any"
    if maximum is None:
        return f"at least {minimum:g}"
    return f"at most {maximum:g}" if minimum is None else f"{minimum:g} to {maximum:g}"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"  # noqa: RUF001 - an en dash stands for no figure
