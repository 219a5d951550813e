"""Where a prediction came from: the whole chain behind it, and what is missing of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from include.adapters.artefact_home import artefact_store
from include.adapters.artefacts import ArtefactStore
from include.adapters.evidence import load_evidence
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.routes import RouteChange
from include.adapters.packages import load_evaluation, load_manifest, load_report
from include.adapters.snapshots import current_place, read_snapshot_table
from include.config.settings import Settings
from include.contracts.assignment import bucket
from include.contracts.errors import ArtefactError
from include.contracts.experiments import Experiment, ExperimentAnswer
from include.contracts.packages import Manifest, Version
from include.contracts.predictions import PredictionRow, Source
from include.contracts.releases import Approval, Release, is_granted
from include.contracts.reports import EvaluationReport
from include.evaluation.attribution import Explainer


@dataclass(frozen=True)
class Answered:
    """An approver's answer to a release, and the report that was shown for it."""

    release: Release
    approval: Approval
    report: EvaluationReport
    gap: str | None
    """Why the text that was shown cannot be read again by its hash; None where it can."""


@dataclass(frozen=True)
class Tried:
    """An approver's yes to giving the version the traffic of an experiment."""

    experiment: Experiment
    answer: ExperimentAnswer
    gap: str | None
    """Why the text that was shown cannot be read again by its hash; None where it can."""


class Origin:
    """How a version came to be; read and proven once, however many predictions it gave.

    Args:
        ledger: what the platform knows.
        store: holds packages, training sets and reports.
        version: the version.
    """

    def __init__(self, ledger: Ledger, store: ArtefactStore, version: Version) -> None:
        """Read and prove the package.

        Raises:
            ArtefactError: it was altered.
        """
        self._ledger = ledger
        self._store = store
        self.version = version
        self.manifest: Manifest = load_manifest(store, version)
        self.report: EvaluationReport = load_report(store, version)
        self.answers: tuple[Answered, ...] = tuple(_answers(ledger, store, version, self.report))
        self.trials: tuple[Tried, ...] = tuple(_trials(ledger, store, version))

    @cached_property
    def data_gap(self) -> str | None:
        """Why the training set cannot be read again by its hash; None where it can."""
        snapshot = self.manifest.snapshot
        try:
            read_snapshot_table(self._store, snapshot)
            _, found = current_place(self._store, snapshot)
        except ArtefactError as error:
            return str(error)
        if found != self._ledger.successor_of(snapshot.sha256):
            return f"training set {snapshot.uri} was replaced, and no erasure in the ledger tells of it"
        return None

    @cached_property
    def explainer(self) -> Explainer:
        """Takes the version's scores apart.

        Raises:
            ArtefactError: package or training set are missing or altered.
        """
        return Explainer(self._store, self.version, self.manifest)

    def gaps(self, moment: datetime | None, change_id: str | None = None) -> Iterator[str]:
        """Yield what of the version's own chain is missing.

        Args:
            moment: wall time by which somebody must have approved it; None asks for no approval.
            change_id: release or experiment under way then: the yes to an experiment counts in it alone.
        """
        if self.data_gap:
            yield self.data_gap
        if not self.manifest.code.commit:
            yield "the commit is unknown"
        if moment is None:
            return
        tried = [trial for trial in self.trials if trial.experiment.experiment_id == change_id]
        granted = self.granted_by(moment) or [each for each in tried if each.answer.decided_at <= moment]
        if not granted:
            yield f"{self.version.version} was not approved by then"
        yield from (answer.gap for answer in granted if answer.gap)

    def granted_by(self, moment: datetime) -> tuple[Answered, ...]:
        """Return the answers of the first release that had all it needs by a moment of wall time."""
        given: dict[str, list[Answered]] = {}
        for answer in self.answers:
            if answer.approval.decided_at <= moment:
                given.setdefault(answer.release.release_id, []).append(answer)
        for answers in given.values():
            if is_granted(answers[0].release.quorum, [answer.approval for answer in answers]):
                return tuple(answers)
        return ()


@dataclass(frozen=True)
class Provenance:
    """Everything behind one prediction."""

    row: PredictionRow
    changes: tuple[RouteChange, ...]
    """Every change of the model's traffic, oldest first."""
    routed_by: RouteChange | None
    """The change under which it was answered."""
    origin: Origin | None
    """Of the version that answered; None where none did."""
    gaps: tuple[str, ...]
    """What of the chain is missing or does not fit; none means it is complete."""


class Provenances:
    """Finds the chain behind predictions.

    Args:
        settings: where ledger and artefact store are.
    """

    def __init__(self, settings: Settings) -> None:
        self._ledger = Ledger(settings.ledger_uri)
        self._store = artefact_store(settings)
        self._origins: dict[tuple[str, str], Origin | None] = {}
        self._changes: dict[str, tuple[RouteChange, ...]] = {}

    def close(self) -> None:
        """Close the ledger's connections."""
        self._ledger.close()

    def of(self, row: PredictionRow) -> Provenance:
        """Return the chain behind a row of the prediction log.

        Raises:
            ArtefactError: the package of the version that answered was altered.
        """
        changes = self._changes_of(row)
        routed_by = _routed_by(row, changes)
        origin = None if row.served_version is None else self._origin(row.model, row.served_version)
        return Provenance(row, changes, routed_by, origin, tuple(_gaps(row, routed_by, origin)))

    def _changes_of(self, row: PredictionRow) -> tuple[RouteChange, ...]:
        known = self._changes.get(row.model, ())
        if not any(change.snapshot_id == row.route_snapshot_id for change in known):
            self._changes[row.model] = self._ledger.route_history(row.model)
        return self._changes[row.model]

    def _origin(self, model: str, version: str) -> Origin | None:
        if (model, version) not in self._origins:
            found = self._ledger.version(model, version)
            self._origins[model, version] = (
                None if found is None else Origin(self._ledger, self._store, found)
            )
        return self._origins[model, version]


def _answers(
    ledger: Ledger, store: ArtefactStore, version: Version, own: EvaluationReport
) -> Iterator[Answered]:
    for release in ledger.releases(version.model):
        if release.version == version.version:
            report = load_evaluation(store, release.evaluation_uri) if release.evaluation_uri else own
            for approval in ledger.approvals(release.release_id):
                yield Answered(release, approval, report, _evidence_gap(store, approval))


def _trials(ledger: Ledger, store: ArtefactStore, version: Version) -> Iterator[Tried]:
    for experiment in ledger.experiments(version.model):
        if version.artefact_sha256 in {each.sha256 for each in experiment.treatments}:
            for answer in ledger.experiment_answers(version.model, experiment.experiment_id):
                asked = (answer.plan_sha256, answer.treatments)
                if asked == (experiment.plan_sha256, experiment.treatments) and (
                    answer.decided_by in experiment.approved_by
                ):
                    yield Tried(experiment, answer, _evidence_gap(store, answer))


def _evidence_gap(store: ArtefactStore, approval: Approval | ExperimentAnswer) -> str | None:
    try:
        load_evidence(store, approval.model, approval.evidence_sha256)
    except ArtefactError as error:
        return f"what {approval.decided_by or 'nobody'} was shown cannot be read again: {error}"
    return None


def _routed_by(row: PredictionRow, changes: tuple[RouteChange, ...]) -> RouteChange | None:
    """Return the model's last change up to the row's snapshot, which another model's may have made."""
    number = _number(row.route_snapshot_id)
    last = next((change for change in reversed(changes) if _number(change.snapshot_id) <= number), None)
    return None if last is None or last.route is None else last


def _number(snapshot_id: str) -> int:
    """Return a snapshot's place in their order, which its id starts with; 0 for what is no such id."""
    head = snapshot_id.partition("-")[0]
    return int(head) if head.isdecimal() else 0


def _gaps(row: PredictionRow, routed_by: RouteChange | None, origin: Origin | None) -> Iterator[str]:
    # A batch names its version, whatever has the traffic.
    if routed_by is None and row.source is not Source.BATCH:
        yield f"no change of traffic led to route {row.route_snapshot_id}"
    salt = row.release_or_experiment_id
    if salt is not None and row.bucket is not None and row.bucket != bucket(salt, row.unit):
        yield f"its bucket {row.bucket} is not that of its unit under {salt}"
    if row.served_version is None:
        return
    if origin is None:
        yield f"the ledger knows no {row.model} {row.served_version}"
        return
    if row.artefact_sha256 != origin.version.artefact_sha256:
        yield f"it was answered by another artefact than that of {row.served_version}"
    if not _routes_to(row, routed_by):
        yield f"{row.served_version} was not routed at the time"
    # What a shadow says reaches no caller, so that nobody approves it.
    moment = None if row.source is Source.SHADOW else row.recorded_at
    yield from origin.gaps(moment, row.release_or_experiment_id)


def _routes_to(row: PredictionRow, change: RouteChange | None) -> bool:
    if row.source is Source.BATCH or change is None or change.route is None:
        return True  # nothing to hold it against; a missing change is a gap of its own
    routed = (change.route.shadow,) if row.source is Source.SHADOW else change.route.versions
    return row.served_version in {item.version for item in routed if item is not None}
