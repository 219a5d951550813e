"""Candidate against champion: the same rows, and an interval for every metric's difference."""

from dataclasses import dataclass

import pandas as pd

from include.adapters.artefacts import ArtefactStore
from include.adapters.onnx_model import OnnxModel
from include.adapters.packages import load_manifest
from include.adapters.snapshots import UNIT
from include.contracts.model import Metric
from include.contracts.packages import MODEL_NAME, Version
from include.contracts.reports import Comparison, GateResult
from include.contracts.signatures import Signature
from include.evaluation.gates import champion_gate, incomparable_champion, no_champion
from include.evaluation.scored import Scored, scored
from include.stats.bootstrap import PairedDifference, paired_difference
from include.stats.metrics import weighted_metric


@dataclass(frozen=True)
class Champion:
    """The version in production, ready to be asked."""

    version: Version
    model: OnnxModel
    signature: Signature


@dataclass(frozen=True)
class AgainstChampion:
    """What the comparison gave."""

    scored: Scored | None
    """None where there is no champion, or none that can be compared."""
    comparisons: tuple[Comparison, ...]
    gate: GateResult


def open_champion(store: ArtefactStore, version: Version) -> Champion:
    """Prove a version's package and load its graph.

    Raises:
        ArtefactError: the package is damaged.
    """
    signature = load_manifest(store, version).signature
    model = OnnxModel(store.path(f"{version.package_uri}/{MODEL_NAME}"), signature)
    return Champion(version, model, signature)


def against_champion(candidate: Scored, champion: Champion | None) -> AgainstChampion:
    """Score the champion on the candidate's rows and compare them in every metric of the task.

    Raises:
        DataError: the champion's scores cannot be judged.
    """
    gate = candidate.contract.gates.champion
    if champion is None:
        return AgainstChampion(None, (), no_champion(gate))
    version = champion.version.version
    hindrance = _hindrance(candidate, champion.signature)
    if hindrance is not None:
        return AgainstChampion(None, (), incomparable_champion(gate, version, hindrance))
    rows = _rows_for(champion.signature, candidate)
    theirs = scored(candidate.contract, champion.model, rows, f"champion {version}")
    paired = {name: _paired(Metric(name), candidate, theirs) for name in candidate.metrics}
    return AgainstChampion(
        theirs,
        tuple(_comparison(name, candidate, theirs, each) for name, each in paired.items()),
        champion_gate(
            gate,
            paired[gate.metric.value],
            value=candidate.metrics[gate.metric.value],
            champion_value=theirs.metrics[gate.metric.value],
            champion=version,
            rows=len(candidate.rows),
        ),
    )


def _hindrance(candidate: Scored, champion: Signature) -> str | None:
    """Say why the two cannot be compared, and the way out."""
    own = candidate.contract.signature
    if (own.task, own.classes) != (champion.task, champion.classes):
        return (
            f"it gives {_told(champion)}, the candidate {_told(own)}; give the new model a name of its own, "
            "or retire the champion first"
        )
    columns = _columns(champion, candidate)
    lacking = [item.origin for item in champion.inputs if columns[item.name] not in candidate.rows]
    if lacking:
        return (
            f"the rows lack {', '.join(lacking)}: train again, which freezes what the champion reads; if the "
            "feature store no longer has it, bring it back or retire the champion first"
        )
    return None


def _columns(champion: Signature, candidate: Scored) -> dict[str, str]:
    """Return the column of the rows that holds each of the champion's inputs, by the input's name."""
    shared = {item.name: item.name for item in champion.inputs}
    return shared | {item.name: item.frozen_as for item in champion.beyond(candidate.contract.signature)}


def _rows_for(champion: Signature, candidate: Scored) -> pd.DataFrame:
    columns = _columns(champion, candidate)
    return candidate.rows.assign(**{name: candidate.rows[column] for name, column in columns.items()})


def _told(signature: Signature) -> str:
    classes = f" of {', '.join(signature.classes)}" if signature.classes else ""
    return f"{signature.task.value} scores{classes}"


def _paired(metric: Metric, candidate: Scored, champion: Scored) -> PairedDifference:
    task = candidate.contract.task
    return paired_difference(
        weighted_metric(metric, task, candidate.labels, candidate.scores),
        weighted_metric(metric, task, candidate.labels, champion.scores),
        candidate.rows[UNIT].to_numpy(object),
        seed=candidate.contract.training.seed,
    )


def _comparison(name: str, candidate: Scored, champion: Scored, paired: PairedDifference) -> Comparison:
    return Comparison(
        metric=name,
        candidate=candidate.metrics[name],
        champion=champion.metrics[name],
        difference=paired.difference,
        lower=paired.lower,
        upper=paired.upper,
        confidence=paired.confidence,
    )
