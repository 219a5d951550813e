"""Skew replay: what was answered in production, scored again from the features that were logged.

Whether logged features equal those of the offline store is the skew audit's question. This one is about
what comes after them: evaluation scores in process, requests are scored behind gateway and Triton, and a
gate's figures hold for production only if both give the same. So the champion's package must reproduce the
champion's own answers; and the candidate must bear every request that the champion has met.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from include.adapters.onnx_model import OnnxModel
from include.adapters.prediction_log import latest
from include.config.settings import Settings
from include.contracts.errors import ModelError
from include.contracts.packages import PARITY_TOLERANCE, Version
from include.contracts.predictions import PredictionRow, Source, Status
from include.contracts.reports import GateKind, GateReason, GateResult, SkewReplay, Verdict
from include.contracts.signatures import Signature
from include.evaluation.champion import Champion
from include.evaluation.scored import FAR_OFF

ROWS = 2_000
LOOKED_AT = 200_000
REACH = timedelta(days=7)
METRIC = "replay_difference"
_ANSWERED = frozenset({Source.LIVE, Source.OIP, Source.BATCH})


def logged_answers(
    settings: Settings, champion: Version, as_of: datetime, until: datetime | None = None
) -> list[PredictionRow]:
    """Return the last answers of a version's own package, a bounded number.

    Args:
        settings: where the prediction log is.
        champion: the version.
        as_of: the moment of the evaluation; answers of the week before it are read.
        until: up to when later answers are read, too; none are where it is not after `as_of`.

    Raises:
        DataError: a segment of the log is damaged.
    """
    return latest(
        settings.predictions_folder,
        as_of - REACH,
        as_of if until is None else max(as_of, until),
        lambda row: (
            row.artefact_sha256 == champion.artefact_sha256
            and row.status is Status.OK
            and row.source in _ANSWERED
            and row.outputs is not None
        ),
        most=ROWS,
        looked_at=LOOKED_AT,
    )


def replay(
    champion: Champion, candidate: OnnxModel, signature: Signature, rows: Sequence[PredictionRow]
) -> SkewReplay | None:
    """Score logged rows again; None where there are none."""
    if not rows:
        return None
    answered = np.array([row.outputs for row in rows], np.float64)
    differences = _differences(_scores(champion.model, _names(champion.signature), rows), answered)
    names = _names(signature)
    complete = [place for place, row in enumerate(rows) if row.features.keys() >= set(names)]
    scores = _scores(candidate, names, [rows[place] for place in complete])
    finite = np.isfinite(scores).all(axis=1)
    changes = np.zeros(0)
    if (signature.task, signature.classes) == (champion.signature.task, champion.signature.classes):
        changes = np.abs(scores[finite] - answered[np.array(complete, np.int64)][finite])
    return SkewReplay(
        version=champion.version.version,
        rows=len(rows),
        first=min(row.predicted_at for row in rows),
        last=max(row.predicted_at for row in rows),
        differing_rows=int((differences > PARITY_TOLERANCE).sum()),
        largest_difference=float(differences.max()),
        candidate_rows=len(complete),
        candidate_not_finite=int((~finite).sum()),
        candidate_mean_change=float(changes.mean()) if changes.size else None,
    )


def replay_gate(found: SkewReplay | None) -> GateResult:
    """Ask that no logged answer differs and the candidate bears every logged request."""
    if found is None:
        return _gate(Verdict.NOT_APPLICABLE, GateReason.NO_TRAFFIC, None, "no logged answer to score again")
    reason = GateReason.REACHED
    if found.candidate_not_finite:
        reason = GateReason.NOT_FINITE
    if found.differing_rows:
        reason = GateReason.OUTPUTS_DIFFER
    verdict = Verdict.PASS if reason is GateReason.REACHED else Verdict.FAIL
    detail = (
        f"{found.rows} answers of champion {found.version} scored again from their logged features: "
        f"{found.differing_rows} differ, by at most {found.largest_difference:.1e}; the candidate gives no "
        f"finite score for {found.candidate_not_finite} of {found.candidate_rows}"
    )
    return _gate(verdict, reason, found.largest_difference, detail)


def _differences(
    scores: npt.NDArray[np.float64], answered: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return each row's largest difference, relative to outputs beyond 1; huge where it has no score."""
    gaps = np.abs(scores - answered).max(axis=1) / np.maximum(1.0, np.abs(answered).max(axis=1))
    return np.where(np.isfinite(gaps), gaps, FAR_OFF)


def _names(signature: Signature) -> tuple[str, ...]:
    return tuple(item.name for item in signature.inputs)


def _scores(model: OnnxModel, names: Sequence[str], rows: Sequence[PredictionRow]) -> npt.NDArray[np.float64]:
    """Return scores [n, outputs]; NaN for all where the graph fails."""
    if not rows:
        return np.zeros((0, 1))
    columns = {name: [row.features.get(name) for row in rows] for name in names}
    try:
        return model.predict(columns).astype(np.float64)
    except ModelError:
        return np.full((len(rows), 1), np.nan)


def _gate(verdict: Verdict, reason: GateReason, value: float | None, detail: str) -> GateResult:
    return GateResult(
        kind=GateKind.SKEW_REPLAY,
        metric=METRIC,
        verdict=verdict,
        reason=reason,
        value=value,
        bound=PARITY_TOLERANCE,
        detail=detail,
    )
