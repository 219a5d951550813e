"""A registered version compared with whoever is champion now."""

import logging
from datetime import datetime
from pathlib import PurePosixPath

from include.adapters.artefact_home import artefact_store
from include.adapters.packages import load_manifest, load_report, publish_evaluation
from include.config.models import ModelFolder
from include.config.settings import Settings
from include.contracts.errors import GateError
from include.contracts.packages import Version
from include.contracts.reports import Assessment
from include.evaluation.evaluate import judge_candidate, open_candidate
from include.evaluation.page import report_page
from include.evaluation.skew_replay import logged_answers
from include.evaluation.triton import measure_in_triton

log = logging.getLogger(__name__)


def reassess(
    settings: Settings, folder: ModelFolder, version: Version, champion: Version | None, moment: datetime
) -> Assessment:
    """Return the report that compares a version with the present champion, evaluating it again if need be.

    The report in the package compares with whoever was champion at training. Where that is no longer so the
    version is judged anew, on the same frozen rows, and the new report is kept beside the old one. What
    Triton showed of the package still stands; where it was not measured, it is now.

    Args:
        settings: where artefact store, Triton and prediction log are.
        folder: the model's folder.
        version: the registered version.
        champion: the version in production, if there is one.
        moment: when the release was asked for; what the champion answered until then is scored again. A new
            champion has answered little before the version was trained.

    Raises:
        GateError: against this champion the version misses a gate, or one was not measured; each is named
            with its figures.
        ContractError: what the contract judges by has changed since the version was trained; train again.
        ArtefactError: version, champion or training set are missing, altered or unreadable.
    """
    store = artefact_store(settings)
    manifest = load_manifest(store, version)
    name = None if champion is None else champion.version
    packaged = load_report(store, version)
    if packaged.champion_version == name:
        return Assessment(champion_version=name, evaluation_uri=None)
    before = packaged.champion_version
    log.info("%s %s was compared with %s; now with %s", version.model, version.version, before, name)
    candidate = open_candidate(store, folder.contract, version.package_uri, manifest)
    served = packaged.triton or measure_in_triton(settings, candidate.scored, manifest, candidate.graph)
    logged = logged_answers(settings, champion, manifest.snapshot.as_of, until=moment) if champion else []
    report = judge_candidate(store, candidate, champion, served, logged)
    if not report.passed:
        missed = (*report.failures, *report.unmeasured)
        gates = "; ".join(f"{gate.kind.value} {gate.metric}: {gate.detail}" for gate in missed)
        raise GateError(f"{version.model} {version.version} against champion {name}: {gates}")
    uri = publish_evaluation(store, report)
    store.write(str(PurePosixPath(uri).with_suffix(".html")), report_page(report).encode())
    return Assessment(champion_version=name, evaluation_uri=uri)
