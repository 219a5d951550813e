"""Why a score is what it is: which inputs moved it, from the logged values and the same artefact."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.adapters.artefacts import ArtefactStore
from include.adapters.onnx_model import OnnxModel, feature_arrays
from include.adapters.snapshots import read_snapshot
from include.contracts.packages import MODEL_NAME, Manifest, Version
from include.contracts.predictions import FeatureValue
from include.contracts.signatures import Task
from include.stats.shapley import PERMUTATIONS, attribute

METHOD = "Shapley values by permutation sampling, against rows of the training set"
BACKGROUND = 64
"""Rows of the training set that stand for what is usual."""
TOLERANCE = 1e-4
"""How far the sum may be from the logged score, relative to scores beyond 1: float32 and two servers."""


@dataclass(frozen=True)
class Share:
    """What one input did."""

    feature: str
    value: FeatureValue
    contribution: float
    """By how much it moved the score from what is usual."""
    error: float
    """Standard error of the contribution."""


@dataclass(frozen=True)
class Explanation:
    """One score taken apart."""

    method: str
    output: str
    """Which output is explained: a class's name, or `score`."""
    score: float
    """As it was logged."""
    base: float
    """Mean score of the background."""
    shares: tuple[Share, ...]
    """Largest first."""

    @property
    def gap(self) -> float:
        """How far base and contributions together are from the logged score, relative to scores beyond 1."""
        total = self.base + sum(share.contribution for share in self.shares)
        return abs(total - self.score) / max(1.0, abs(self.score))

    @property
    def adds_up(self) -> bool:
        """Whether they add up to the logged score: if not, it was not this artefact that gave it."""
        return self.gap <= TOLERANCE


class Explainer:
    """Explains scores of one version.

    Args:
        store: holds package and training set.
        version: the version.
        manifest: its manifest, proven.
    """

    def __init__(self, store: ArtefactStore, version: Version, manifest: Manifest) -> None:
        """Open graph and background.

        Raises:
            ArtefactError: package or training set are missing, altered or unreadable.
        """
        self._signature = manifest.signature
        self._model = OnnxModel(store.path(f"{version.package_uri}/{MODEL_NAME}"), manifest.signature)
        rows = read_snapshot(store, manifest.snapshot)
        chosen = rows.sample(min(BACKGROUND, len(rows)), random_state=manifest.seed)
        self._background = feature_arrays(chosen, manifest.signature)
        self._seed = manifest.seed

    def explain(
        self,
        features: Mapping[str, FeatureValue],
        outputs: tuple[float, ...],
        permutations: int = PERMUTATIONS,
    ) -> Explanation:
        """Return what each input did to a score; for several classes, to that of the likeliest one.

        Args:
            features: what the model was given, by name.
            outputs: what it answered.
            permutations: how many orders of the inputs are tried.

        Raises:
            KeyError: a feature of the signature is missing among those given.
            ModelError: the graph fails on a mixture of these values with usual ones.
        """
        names = (*self._signature.numeric, *self._signature.categorical)
        place = int(np.argmax(outputs)) if self._signature.task is Task.MULTICLASS else 0
        row = feature_arrays(pd.DataFrame([dict(features)], dtype=object), self._signature)
        found = attribute(
            lambda taken, rows: self._scores(row, taken, rows)[:, place],
            len(names),
            len(self._background[0]),
            seed=self._seed,
            permutations=permutations,
        )
        shares = [
            Share(name, features[name], float(value), float(error))
            for name, value, error in zip(names, found.values, found.errors, strict=True)
        ]
        return Explanation(
            method=METHOD,
            output=self._signature.classes[place] if self._signature.classes else "score",
            score=outputs[place],
            base=found.base,
            shares=tuple(sorted(shares, key=lambda share: -abs(share.contribution))),
        )

    def _scores(
        self,
        row: tuple[npt.NDArray[np.float32], npt.NDArray[np.object_]],
        taken: npt.NDArray[np.bool_],
        rows: npt.NDArray[np.intp],
    ) -> npt.NDArray[np.float64]:
        width = row[0].shape[1]
        numeric = np.where(taken[:, :width], row[0], self._background[0][rows])
        categorical = np.where(taken[:, width:], row[1], self._background[1][rows])
        return self._model.predict_arrays(numeric, categorical).astype(np.float64)
