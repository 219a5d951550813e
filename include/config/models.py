"""Loader of model folders: one broken contract breaks only its own model."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from include.config.foreign_names import check_foreign_names
from include.config.problems import problems_of
from include.config.settings import settings
from include.config.strict_yaml import read_yaml
from include.config.transforms import load_transform
from include.config.views import check_views
from include.contracts.consistency import contradictions
from include.contracts.errors import ContractError
from include.contracts.model import ModelContract

CONTRACT_NAME = "contract.yaml"
LABEL_NAME = "label.sql"
NETWORK_NAME = "network.py"


@dataclass(frozen=True)
class ModelFolder:
    """What a data scientist brought, found on disk."""

    path: Path

    @property
    def name(self) -> str:
        """Folder name, which is the model's name."""
        return self.path.name

    @cached_property
    def written(self) -> ModelContract:
        """The contract by itself: held against neither the feature views nor the other files.

        What must go on while a view or a file is mended, such as computing what serves, asks this one.

        Raises:
            ContractError: it is no contract; one line per problem, each with the path of its key.
        """
        return _read_contract(self.path / CONTRACT_NAME)

    @cached_property
    def contract(self) -> ModelContract:
        """The model's contract.

        Raises:
            ContractError: the contract or a file it needs is missing or wrong; one line per problem,
                each with the path of its key.
        """
        contract = self.written
        if contract.name != self.name:
            raise ContractError(
                f"{self.path}: the contract's name {contract.name!r} must equal its folder's name"
            )
        for needed in (LABEL_NAME, NETWORK_NAME, contract.runbook):
            if not (self.path / needed).is_file():
                raise ContractError(f"{self.path}: {needed} is missing")
        _check_sense(contract, self.path)
        check_views(contract, self.path)
        _check_transforms(contract, self.path)
        check_foreign_names(contract, self.path, settings())
        return contract


def model_folders(roots: tuple[Path, ...]) -> dict[str, ModelFolder]:
    """Return the model folders under the roots by name; their contracts are not read yet.

    Raises:
        ContractError: two folders carry the same name.
    """
    found: dict[str, ModelFolder] = {}
    for contract in sorted(path for root in roots for path in root.glob(f"*/{CONTRACT_NAME}")):
        folder = ModelFolder(contract.parent)
        if folder.name in found:
            raise ContractError(
                f"two model folders are named {folder.name!r}: {found[folder.name].path}, {folder.path}"
            )
        found[folder.name] = folder
    return found


def model_folder(roots: tuple[Path, ...], name: str) -> ModelFolder:
    """Return one model's folder.

    Raises:
        ContractError: there is none of that name.
    """
    folders = model_folders(roots)
    if name not in folders:
        raise ContractError(f"no model {name!r}; there are: {', '.join(folders) or 'none'}")
    return folders[name]


def _read_contract(path: Path) -> ModelContract:
    try:
        return ModelContract.model_validate(read_yaml(path))
    except ValidationError as error:
        raise ContractError(problems_of(path, ModelContract, error)) from error


def _check_sense(contract: ModelContract, folder: Path) -> None:
    wrong = contradictions(contract)
    if wrong:
        raise ContractError("\n".join([f"{folder / CONTRACT_NAME}:", *(f"  {line}" for line in wrong)]))


def _check_transforms(contract: ModelContract, folder: Path) -> None:
    for index, item in enumerate(contract.features.inputs):
        if item.transform is not None:
            try:
                load_transform(item.transform, folder)
            except ContractError as error:
                raise ContractError(f"{folder}:\n  features.inputs.{index}.transform: {error}") from error
