"""A version's evaluation: the gates first, failed ones on top; then what lies behind them."""

from collections.abc import Sequence

from pydantic import BaseModel

from include.adapters.packages import load_evaluation, load_report, read_manifest
from include.contracts.errors import ArtefactError, RegistryError
from include.contracts.moments import UtcDatetime
from include.contracts.packages import EVALUATION_NAME, Manifest, Version
from include.contracts.releases import Approval, Release
from include.contracts.reports import EvaluationReport, GateResult, Verdict
from include.pages.airflow_facts import STRICT
from include.pages.desk import Desk
from include.registry.model_card import card_uri

_FIRST = (Verdict.FAIL, Verdict.NOT_MEASURED, Verdict.PASS, Verdict.NOT_APPLICABLE)


class VersionPage(BaseModel):
    """One version: where it comes from, how it was judged, who answered for it."""

    model_config = STRICT

    version: Version
    serves: bool
    manifest: Manifest | None
    report: EvaluationReport | None
    gates: tuple[GateResult, ...]
    """Those that failed first."""
    card: str | None
    """The model card, Markdown."""
    releases: tuple[Release, ...]
    answers: tuple[Approval, ...]
    damage: str | None
    """Why its package cannot be read."""


class TrainingPage(BaseModel):
    """One run of a training, and what came of it."""

    model_config = STRICT

    model: str
    dag_run: str
    """`<dag>:<run>`."""
    ended: bool
    """Whether the ledger tells of a verdict; a run that broke off has none."""
    version: str | None
    as_of: UtcDatetime | None
    recorded_at: UtcDatetime | None
    report: EvaluationReport | None
    gates: tuple[GateResult, ...]
    damage: str | None


def version_page(desk: Desk, model: str, version: str) -> VersionPage:
    """Return a version's page.

    Raises:
        RegistryError: there is no such version.
    """
    found = desk.ledger.version(model, version)
    if found is None:
        raise RegistryError(f"{model} has no version {version}")
    manifest, report, damage = _package(desk, found)
    route = desk.ledger.route(model)
    uri = card_uri(model, version)
    return VersionPage(
        version=found,
        serves=route is not None and route.champion.version == version,
        manifest=manifest,
        report=report,
        gates=worst_first(report.gates) if report else (),
        card=desk.artefacts.read(uri).decode() if desk.artefacts.exists(uri) else None,
        releases=tuple(each for each in desk.ledger.releases(model) if each.version == version),
        answers=tuple(each for each in desk.ledger.answers(model) if each.version == version),
        damage=damage,
    )


def training_page(desk: Desk, model: str, dag_run: str) -> TrainingPage:
    """Return what the ledger knows of a training's run."""
    found = desk.ledger.training_of(model, dag_run)
    if found is None:
        return TrainingPage(
            model=model,
            dag_run=dag_run,
            ended=False,
            version=None,
            as_of=None,
            recorded_at=None,
            report=None,
            gates=(),
            damage=None,
        )
    training, recorded_at = found
    report, damage = _candidate(desk, training.candidate_uri)
    return TrainingPage(
        model=model,
        dag_run=dag_run,
        ended=True,
        version=training.version,
        as_of=training.as_of,
        recorded_at=recorded_at,
        report=report,
        gates=worst_first(report.gates) if report else (),
        damage=damage,
    )


def worst_first(gates: Sequence[GateResult]) -> tuple[GateResult, ...]:
    """Return gates with what failed on top."""
    return tuple(sorted(gates, key=lambda gate: _FIRST.index(gate.verdict)))


def shown_report(desk: Desk, release: Release) -> EvaluationReport | None:
    """Return the report that a release's approvers are shown; None where it cannot be read."""
    version = desk.ledger.version(release.model, release.version)
    try:
        if release.evaluation_uri:
            return load_evaluation(desk.artefacts, release.evaluation_uri)
        return None if version is None else load_report(desk.artefacts, version)
    except ArtefactError:
        return None


def _package(desk: Desk, version: Version) -> tuple[Manifest | None, EvaluationReport | None, str | None]:
    try:
        return read_manifest(desk.artefacts, version), load_report(desk.artefacts, version), None
    except ArtefactError as error:
        return None, None, str(error)


def _candidate(desk: Desk, uri: str) -> tuple[EvaluationReport | None, str | None]:
    try:
        return EvaluationReport.model_validate_json(desk.artefacts.read(f"{uri}/{EVALUATION_NAME}")), None
    except (ArtefactError, ValueError) as error:
        return None, str(error)
