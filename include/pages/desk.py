"""What pages are read from, opened once a process."""

from dataclasses import dataclass
from functools import cached_property

from include.adapters.artefact_home import artefact_store
from include.adapters.artefacts import ArtefactStore
from include.adapters.ledger.ledger import Ledger
from include.adapters.measured_history import MeasuredHistory
from include.adapters.measurements import MeasurementStore
from include.config.models import ModelFolder, model_folders
from include.config.settings import Settings
from include.contracts.errors import ContractError
from include.contracts.model import ModelContract

_Stamp = tuple[tuple[str, int], ...]


@dataclass
class _Read:
    """A contract as it was read, and the state of the folder it was read from."""

    stamp: _Stamp
    contract: ModelContract | str


class Desk:
    """Ledger, measurements, artefacts and contracts of one platform; reads only.

    Args:
        settings: where they are.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._read: dict[str, _Read] = {}

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger."""
        return Ledger(self.settings.ledger_uri)

    @cached_property
    def measurements(self) -> MeasurementStore:
        """What monitors measured."""
        return MeasurementStore(self.settings.ledger_uri)

    @cached_property
    def measured(self) -> MeasuredHistory:
        """What monitors measured over a long time."""
        return MeasuredHistory(self.settings.ledger_uri)

    @cached_property
    def artefacts(self) -> ArtefactStore:
        """Packages, reports, model cards."""
        return artefact_store(self.settings)

    def models(self) -> tuple[str, ...]:
        """Return every model there is a folder or a version of, in order."""
        return tuple(sorted({*model_folders(self.settings.model_folders), *self.ledger.models()}))

    def contract(self, model: str) -> ModelContract | None:
        """Return a model's contract; None where it has no folder or its contract is broken."""
        found = self._contract(model)
        return found if isinstance(found, ModelContract) else None

    def contract_problem(self, model: str) -> str | None:
        """Return why a model's contract does not load; None where it does, or there is no folder."""
        found = self._contract(model)
        return found if isinstance(found, str) else None

    def _contract(self, model: str) -> ModelContract | str | None:
        folder = model_folders(self.settings.model_folders).get(model)
        if folder is None:
            return None
        stamp = _stamp(folder)
        known = self._read.get(model)
        if known is None or known.stamp != stamp:
            known = self._read[model] = _Read(stamp, _parsed(folder))
        return known.contract


def _stamp(folder: ModelFolder) -> _Stamp:
    return tuple(
        sorted((path.name, path.stat().st_mtime_ns) for path in folder.path.iterdir() if path.is_file())
    )


def _parsed(folder: ModelFolder) -> ModelContract | str:
    try:
        return folder.contract
    except ContractError as error:
        return str(error)
