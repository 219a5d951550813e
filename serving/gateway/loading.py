"""A feature store whose client takes seconds to import: the gateway listens while it loads."""

from collections.abc import Callable, Mapping, Sequence
from logging import getLogger

from include.contracts.errors import NinetyError, ServingError
from include.contracts.routes import EntityKey
from serving.gateway.ports import FeatureReader, OnlineRow

_log = getLogger(__name__)


class LoadedLater:
    """Reads from a store that is loaded in the thread which reads: what is asked before waits for it."""

    def __init__(self, load: Callable[[], FeatureReader]) -> None:
        self._load = load
        self._reader: FeatureReader | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether reads are answered at once."""
        return self._reader is not None

    def load(self) -> None:
        """Load the store ahead of the first read; a failure is logged, and tried again by each read."""
        try:
            self._loaded()
        except Exception:  # noqa: BLE001 - whatever it is, readiness tells it and reads raise it again
            _log.exception("feature store could not be loaded")

    def read(
        self, entity_key: EntityKey, values: Sequence[int | str], views: Mapping[str, Sequence[str]]
    ) -> Sequence[OnlineRow]:
        """Return one row per key value, in order.

        Raises:
            ServingError: the store cannot be loaded or read, or was never materialised.
        """
        return self._loaded().read(entity_key, values, views)

    def _loaded(self) -> FeatureReader:
        if self._reader is None:
            try:
                self._reader = self._load()
            except NinetyError as error:
                raise ServingError(f"the feature store cannot be loaded: {error}") from error
        return self._reader
