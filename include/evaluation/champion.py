"""Candidate against champion: the same rows, and an interval for every metric's difference."""

from dataclasses import dataclass

from include.adapters.artefacts import ArtefactStore
from include.adapters.onnx_model import OnnxModel
from include.adapters.packages import load_manifest
from include.adapters.snapshots import UNIT
from include.contracts.errors import ArtefactError
from include.contracts.model import Metric
from include.contracts.packages import MODEL_NAME, Version
from include.contracts.reports import Comparison, GateResult
from include.evaluation.gates import champion_gate, incomparable_champion, no_champion
from include.evaluation.scored import Scored, scored
from include.stats.bootstrap import PairedDifference, paired_difference
from include.stats.metrics import weighted_metric


@dataclass(frozen=True)
class Champion:
    """The version in production, ready to be asked."""

    version: Version
    model: OnnxModel
    features: tuple[str, ...]
    outputs: int


@dataclass(frozen=True)
class AgainstChampion:
    """What the comparison gave."""

    scored: Scored | None
    """None where there is no champion, or the rows lack what it reads."""
    comparisons: tuple[Comparison, ...]
    gate: GateResult


def open_champion(store: ArtefactStore, version: Version) -> Champion:
    """Prove a version's package and load its graph.

    Raises:
        ArtefactError: the package is damaged.
    """
    signature = load_manifest(store, version).signature
    model = OnnxModel(store.path(f"{version.package_uri}/{MODEL_NAME}"), signature)
    return Champion(version, model, tuple(item.name for item in signature.inputs), signature.outputs)


def against_champion(candidate: Scored, champion: Champion | None) -> AgainstChampion:
    """Score the champion on the candidate's rows and compare them in every metric of the task.

    Raises:
        ArtefactError: the two give outputs of different width.
        DataError: the champion's scores cannot be judged.
    """
    gate = candidate.contract.gates.champion
    if champion is None:
        return AgainstChampion(None, (), no_champion(gate))
    version = champion.version.version
    lacking = tuple(name for name in champion.features if name not in candidate.rows)
    if lacking:
        return AgainstChampion(None, (), incomparable_champion(gate, version, lacking))
    if champion.outputs != candidate.scores.shape[1]:
        raise ArtefactError(
            f"champion {version} gives {champion.outputs} outputs, the candidate {candidate.scores.shape[1]}"
        )
    theirs = scored(candidate.contract, champion.model, candidate.rows, f"champion {version}")
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
