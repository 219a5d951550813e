"""The way of a prediction, back to data, code, evaluation and person; each link by its own page."""

from math import fsum

from pydantic import BaseModel, ConfigDict

from include.adapters.ledger.routes import RouteChange
from include.adapters.prediction_log import find
from include.config.settings import Settings
from include.contracts.errors import ArtefactError, ModelError
from include.contracts.moments import UtcDatetime
from include.contracts.packages import Manifest, Version
from include.contracts.predictions import FeatureValue, PredictionRow, Status
from include.contracts.releases import Approval
from include.contracts.reports import GateResult
from include.pages.airflow_facts import STRICT
from include.pages.explanation import Explained, Reason
from include.pages.provenance import Origin, Provenance, Provenances
from include.pages.reports import worst_first

_SHOWN = 12


class TracedPrediction(BaseModel):
    """The logged row, less who asked: the entity's key is shown to nobody who only has a prediction's id."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prediction_id: str
    model: str
    status: str
    source: str
    predicted_at: UtcDatetime
    recorded_at: UtcDatetime
    served_version: str | None
    assigned_variant: str | None
    outputs: tuple[float, ...] | None
    fallback_reason: str | None
    error: str | None
    latency_seconds: float
    route_snapshot_id: str
    release_or_experiment_id: str | None
    bucket: float | None
    share: float | None
    features: dict[str, FeatureValue]
    """What the model was given."""
    feature_timestamps: dict[str, UtcDatetime | None]
    """By view."""


class TracedChange(BaseModel):
    """A change of the model's traffic."""

    model_config = STRICT

    at: UtcDatetime
    actor: str
    reason: str | None
    champion: str | None
    challenger: str | None
    """The version beside the champion; in an experiment of several arms, all of them."""
    share: float
    """Of the versions beside the champion together."""
    change_id: str | None
    is_the_one: bool
    """Whether the prediction was answered under it."""


class TracePage(BaseModel):
    """The whole chain behind one prediction."""

    model_config = STRICT

    prediction: TracedPrediction
    version: Version | None
    manifest: Manifest | None
    gates: tuple[GateResult, ...]
    answers: tuple[Approval, ...]
    changes: tuple[TracedChange, ...]
    """The latest first."""
    gaps: tuple[str, ...]
    """What of the chain is missing; none means it is complete."""


class Tracer:
    """Traces predictions of one platform; a version's chain is read and proven once.

    Args:
        settings: where log, ledger and artefacts are.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._provenances = Provenances(settings)

    def row(self, prediction_id: str) -> PredictionRow:
        """Return a prediction's row.

        Raises:
            ArtefactError: there is none of this id, or the id is none.
        """
        try:
            row = find(self._settings.predictions_folder, prediction_id)
        except ValueError as error:
            raise ArtefactError(str(error)) from None
        if row is None:
            raise ArtefactError(f"no prediction {prediction_id!r} is logged")
        return row

    def page(self, row: PredictionRow) -> TracePage:
        """Return the chain behind a row.

        Raises:
            ArtefactError: the package of the version that answered was altered.
        """
        found = self._provenances.of(row)
        origin = found.origin
        return TracePage(
            prediction=_traced(row),
            version=origin.version if origin else None,
            manifest=origin.manifest if origin else None,
            gates=worst_first(origin.report.gates) if origin else (),
            answers=tuple(answer.approval for answer in origin.answers) if origin else (),
            changes=tuple(_change(each, found) for each in reversed(found.changes)),
            gaps=found.gaps,
        )

    def explanation(self, row: PredictionRow) -> Explained | None:
        """Return why the score is what it is; None where the model gave none.

        Raises:
            ArtefactError: it cannot be taken apart; says why.
        """
        origin = self._provenances.of(row).origin
        if origin is None or row.outputs is None or row.status not in {Status.OK, Status.FALLBACK}:
            return None
        return _explained(origin, row)


def _explained(origin: Origin, row: PredictionRow) -> Explained:
    try:
        found = origin.explainer.explain(row.features | row.request_features, row.outputs or ())
    except (KeyError, ModelError) as error:
        raise ArtefactError(f"{row.prediction_id} cannot be taken apart: {error}") from error
    shown, rest = found.shares[:_SHOWN], found.shares[_SHOWN:]
    return Explained(
        method=found.method,
        score=found.score,
        base=found.base,
        adds_up=found.adds_up,
        reasons=tuple(
            Reason(feature=each.feature, value=each.value, contribution=each.contribution, error=each.error)
            for each in shown
        ),
        rest=sum(each.contribution for each in rest),
    )


def _traced(row: PredictionRow) -> TracedPrediction:
    return TracedPrediction(
        prediction_id=row.prediction_id,
        model=row.model,
        status=row.status.value,
        source=row.source.value,
        predicted_at=row.predicted_at,
        recorded_at=row.recorded_at,
        served_version=row.served_version,
        assigned_variant=row.assigned_variant,
        outputs=row.outputs,
        fallback_reason=row.fallback_reason.value if row.fallback_reason else None,
        error=row.error,
        latency_seconds=row.latency_seconds,
        route_snapshot_id=row.route_snapshot_id,
        release_or_experiment_id=row.release_or_experiment_id,
        bucket=row.bucket,
        share=row.share,
        features=row.features | row.request_features,
        feature_timestamps=row.feature_timestamps,
    )


def _change(change: RouteChange, found: Provenance) -> TracedChange:
    route = change.route
    beside = route.challengers if route else ()
    return TracedChange(
        at=change.recorded_at,
        actor=change.actor,
        reason=change.reason,
        champion=route.champion.version if route else None,
        challenger=", ".join(arm.version.version for arm in beside) or None,
        share=fsum(arm.share for arm in beside),
        change_id=route.change_id if route else None,
        is_the_one=change == found.routed_by,
    )
