"""What a model takes and gives: the same object in contract, package, route and gateway."""

from collections import Counter
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Task(StrEnum):
    """What a model predicts."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


FEWEST_CLASSES = 2


class FeatureKind(StrEnum):
    """How a feature enters the network."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"


MOMENT = "event_at"
"""What a request brings to transforms by itself: its event time, in seconds since 1970 UTC."""


class TransformInput(BaseModel):
    """One column a request-time transform reads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """Name of a view's feature, or `event_at`."""
    view: str | None = None
    """Feature view it comes from; none for what the request brings."""

    @model_validator(mode="after")
    def _known(self) -> "TransformInput":
        if self.view is None and self.name != MOMENT:
            raise ValueError(f"{self.name!r}: name its 'view'; a request brings only {MOMENT!r}")
        return self


class FeatureInput(BaseModel):
    """One input of a model: a feature of a view, or a request-time transform."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """Name of the view's feature, or of what the transform gives."""
    kind: FeatureKind
    """Number or category."""
    view: str | None = None
    """Feature view it comes from."""
    transform: str | None = None
    """Function of include/transforms/ (or of the model folder) that computes it at request time."""
    reads: tuple[TransformInput, ...] = ()
    """What the transform reads."""
    minimum: float | None = None
    """Smallest value the model accepts; a smaller one is refused before the model."""
    maximum: float | None = None
    """Largest value the model accepts."""
    nullable: bool = True
    """Whether a missing value is the model's business; if not, it is refused."""

    @property
    def origin(self) -> str:
        """Where its values come from: `<view>.<feature>`, or `<transform>(<view>.<feature>, event_at)`."""
        if self.transform is None:
            return f"{self.view}.{self.name}"
        read = [item.name if item.view is None else f"{item.view}.{item.name}" for item in self.reads]
        return f"{self.transform}({', '.join(read)})"

    @property
    def frozen_as(self) -> str:
        """Name of its column in the training set of a model that does not read it; no feature can have it."""
        return f"champion:{self.origin}"

    @model_validator(mode="after")
    def _one_origin(self) -> "FeatureInput":
        if (self.view is None) == (self.transform is None):
            raise ValueError(f"feature {self.name!r} needs exactly one of 'view' and 'transform'")
        if (self.transform is None) != (not self.reads):
            raise ValueError(f"feature {self.name!r}: a 'transform' and its 'reads' go together")
        if self.kind is FeatureKind.CATEGORICAL and (self.minimum, self.maximum) != (None, None):
            raise ValueError(f"feature {self.name!r} is categorical: 'minimum' and 'maximum' do not apply")
        return self


class Signature(BaseModel):
    """Inputs in order, and the shape of the output.

    The serving tensors are `numeric` FP32 [batch, len(numeric)] with NaN for a missing value,
    `categorical` BYTES [batch, len(categorical)] with the empty string for a missing one (a tensor
    with no columns is left out), and the output `score` FP32 [batch, outputs].
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: Task
    inputs: tuple[FeatureInput, ...] = Field(min_length=1)
    classes: tuple[str, ...] = ()
    """Class names of a multiclass model, in output order."""

    @model_validator(mode="after")
    def _consistent(self) -> "Signature":
        names = [feature.name for feature in self.inputs]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"inputs named more than once: {', '.join(doubled)}")
        origins = {*self._origins(), *((item.name, None) for item in self.transformed)}
        unclear = {name for name, count in Counter(name for name, _ in origins).items() if count > 1}
        if unclear:
            places = sorted(f"{view or 'transform'}:{name}" for name, view in origins if name in unclear)
            raise ValueError(f"names that stand for more than one feature: {', '.join(places)}")
        if (self.task is Task.MULTICLASS) != (len(self.classes) >= FEWEST_CLASSES):
            raise ValueError("'classes' names at least two classes for a multiclass model and none otherwise")
        return self

    @property
    def numeric(self) -> tuple[str, ...]:
        """Names of the numeric inputs, in tensor order."""
        return tuple(item.name for item in self.inputs if item.kind is FeatureKind.NUMERIC)

    @property
    def categorical(self) -> tuple[str, ...]:
        """Names of the categorical inputs, in tensor order."""
        return tuple(item.name for item in self.inputs if item.kind is FeatureKind.CATEGORICAL)

    @property
    def outputs(self) -> int:
        """Width of the output tensor."""
        return len(self.classes) if self.task is Task.MULTICLASS else 1

    @property
    def views(self) -> dict[str, tuple[str, ...]]:
        """Feature names by view, in input order; what only transforms read comes after it."""
        grouped: dict[str, tuple[str, ...]] = {}
        for name, view in self._origins():
            grouped[view] = (*grouped.get(view, ()), name)
        return grouped

    @property
    def transformed(self) -> tuple[FeatureInput, ...]:
        """Inputs computed at request time, in input order."""
        return tuple(item for item in self.inputs if item.transform is not None)

    def beyond(self, other: "Signature") -> tuple[FeatureInput, ...]:
        """Return the inputs another model does not read: not by this name, or of another kind or origin."""
        read = {(item.name, item.kind, item.origin) for item in other.inputs}
        return tuple(item for item in self.inputs if (item.name, item.kind, item.origin) not in read)

    def _origins(self) -> list[tuple[str, str]]:
        """Return (feature, view) of all that is read from views, each once."""
        own = [(item.name, item.view) for item in self.inputs]
        read = [(column.name, column.view) for item in self.transformed for column in item.reads]
        return list(dict.fromkeys((name, view) for name, view in [*own, *read] if view is not None))
