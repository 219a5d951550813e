"""What pages are read from, opened once a process."""

from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import TypeVar, cast

from include.adapters.artefact_home import artefact_store
from include.adapters.artefacts import ArtefactStore
from include.adapters.ledger.ledger import Ledger
from include.adapters.measured_history import MeasuredHistory
from include.adapters.measurements import MeasurementStore
from include.config.models import ModelFolder, model_folders
from include.config.settings import Settings
from include.contracts.errors import ContractError
from include.contracts.model import ModelContract

Stamp = tuple[tuple[str, int], ...]
"""Files and when each was last written."""

_Kept = TypeVar("_Kept")


class Desk:
    """Ledger, measurements, artefacts and contracts of one platform; reads only.

    Args:
        settings: where they are.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._kept: dict[str, tuple[Stamp, object]] = {}

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
        return tuple(sorted({*self.folders(), *self.ledger.models()}))

    def folders(self) -> dict[str, ModelFolder]:
        """Return the model folders there are, by name."""
        roots = self.settings.model_folders
        places = (place for root in roots if root.is_dir() for place in (root, *root.iterdir()))
        return self.kept("folders", stamp(places), lambda: model_folders(roots))

    def contract(self, model: str) -> ModelContract | None:
        """Return a model's contract; None where it has no folder or its contract is broken."""
        found = self._contract(model)
        return found if isinstance(found, ModelContract) else None

    def contract_problem(self, model: str) -> str | None:
        """Return why a model's contract does not load; None where it does, or there is no folder."""
        found = self._contract(model)
        return found if isinstance(found, str) else None

    def _contract(self, model: str) -> ModelContract | str | None:
        folder = self.folders().get(model)
        if folder is None:
            return None
        files = (path for path in folder.path.iterdir() if path.is_file())
        return self.kept(f"contract {model}", stamp(files), lambda: _parsed(folder))

    def kept(self, name: str, state: Stamp, make: Callable[[], _Kept]) -> _Kept:
        """Return what was made under a name while its files are as they were, else make it."""
        known = self._kept.get(name)
        if known is None or known[0] != state:
            known = self._kept[name] = (state, make())
        return cast("_Kept", known[1])


def stamp(files: Iterable[Path]) -> Stamp:
    """Return the state of some files."""
    return tuple(sorted((str(path), path.stat().st_mtime_ns) for path in files))


def _parsed(folder: ModelFolder) -> ModelContract | str:
    try:
        return folder.contract
    except ContractError as error:
        return str(error)
