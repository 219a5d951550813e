"""What the data plane needs from outside, as protocols: a test or another store brings its own."""

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import numpy as np
import numpy.typing as npt

from include.adapters.tensors import Tensors
from include.contracts.keys import ApiKey
from include.contracts.predictions import FeatureValue, PredictionRow
from include.contracts.routes import EntityKey, RouteSnapshot, VersionRoute


class OnlineRow(Protocol):
    """An entity's features, and the timestamp of each view; None where a view has no row of it."""

    @property
    def features(self) -> Mapping[str, Mapping[str, FeatureValue]]:
        """Values by view and feature name: two versions may read one name from different views."""

    @property
    def timestamps(self) -> Mapping[str, datetime | None]:
        """Event timestamp by view."""


class FeatureReader(Protocol):
    """The online feature store."""

    async def fetch(
        self, entity_key: EntityKey, values: Sequence[int | str], views: Mapping[str, Sequence[str]]
    ) -> Sequence[OnlineRow]:
        """Return one row per key value, in order.

        Raises:
            ServingError: the store cannot be read, or was never materialised.
        """

    async def close(self) -> None:
        """Close what is open."""


class TritonWire(Protocol):
    """One call to one Triton."""

    async def infer(
        self, endpoint: str, triton_model: str, tensors: Tensors, outputs: int, timeout_seconds: float
    ) -> npt.NDArray[np.float32]:
        """Return the score float32 [B, outputs].

        Raises:
            ServingError: ModelUnavailableError, DeadlineError or ModelError.
        """

    async def is_ready(self, endpoint: str, triton_model: str, timeout_seconds: float = 1.0) -> bool:
        """Say whether a model is loaded and ready."""

    async def close(self) -> None:
        """Close all connections."""


class Inference(Protocol):
    """Versions of models, wherever they are served."""

    async def infer(
        self, model: str, version: VersionRoute, tensors: Tensors, timeout_seconds: float
    ) -> npt.NDArray[np.float32]:
        """Return the score float32 [B, outputs].

        Raises:
            ServingError: ModelUnavailableError, DeadlineError or ModelError.
        """

    async def faults(self, model: str, version: VersionRoute) -> Mapping[str, str | None]:
        """Return by endpoint what is wrong with a version there; None where it answers as it must."""

    def keep(self, versions: Iterable[tuple[str, VersionRoute]]) -> None:
        """Forget every version of a model but these."""


class RowLog(Protocol):
    """The prediction log."""

    def append(self, rows: Sequence[PredictionRow]) -> int:
        """Append rows and return the bytes written.

        Raises:
            LogWriteError: they could not be written.
        """

    def settling(self) -> Awaitable[None] | None:
        """Return what to wait for before the rows just appended are answered for; None for nothing.

        To be called in the same step of the event loop as the append. It raises LogWriteError.
        """


class LedgerReader(Protocol):
    """The part of the ledger the gateway reads; it never writes."""

    def snapshot_id(self) -> str | None:
        """Return the id of the routes in force, None before the first."""

    def route_snapshot(self) -> RouteSnapshot | None:
        """Return the routes in force, None before the first."""

    def api_keys(self) -> tuple[ApiKey, ...]:
        """Return all keys, the revoked ones too."""

    def close(self) -> None:
        """Close its connections."""
