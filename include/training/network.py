"""The network a model folder brings: found, built and tried on two rows before anything is trained."""

import importlib.util
from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import nn

from include.config.models import NETWORK_NAME, ModelFolder
from include.contracts.errors import ContractError
from include.contracts.networks import NetworkSignature

Hyperparameters = Mapping[str, float | int | str | bool]

_TRIAL_ROWS = 2


def load_network(
    folder: ModelFolder, signature: NetworkSignature, hyperparameters: Hyperparameters
) -> nn.Module:
    """Return the untrained network of a model folder's `build`.

    Raises:
        ContractError: network.py cannot be imported, has no `build`, or builds what does not turn the
            signature's inputs into logits [B, outputs].
    """
    path = folder.path / NETWORK_NAME
    try:
        network = _build_function(folder)(signature, hyperparameters)
    except ContractError:
        raise
    except Exception as error:
        raise ContractError(f"{path}: build failed: {type(error).__name__}: {error}") from error
    if not isinstance(network, nn.Module):
        raise ContractError(f"{path}: build returned a {type(network).__name__}, not a torch.nn.Module")
    _try_out(network, signature, str(path))
    return network


def _build_function(folder: ModelFolder) -> Callable[[NetworkSignature, Hyperparameters], nn.Module]:
    path = folder.path / NETWORK_NAME
    spec = importlib.util.spec_from_file_location(f"ninety_network_{folder.name}", path)
    if spec is None or spec.loader is None:
        raise ContractError(f"{path} is no Python module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    build = getattr(module, "build", None)
    if not callable(build):
        raise ContractError(f"{path} defines no function build(signature, hyperparameters)")
    return cast("Callable[[NetworkSignature, Hyperparameters], nn.Module]", build)


def _try_out(network: nn.Module, signature: NetworkSignature, path: str) -> None:
    numeric = torch.zeros(_TRIAL_ROWS, 2 * signature.numeric)
    categorical = torch.zeros(_TRIAL_ROWS, len(signature.vocabularies), dtype=torch.int64)
    expected = (_TRIAL_ROWS, signature.outputs)
    network.eval()
    try:
        with torch.no_grad():
            found = tuple(network(numeric, categorical).shape)
    except Exception as error:
        raise ContractError(
            f"{path}: forward failed on numeric {tuple(numeric.shape)} and categorical "
            f"{tuple(categorical.shape)}: {type(error).__name__}: {error}"
        ) from error
    if found != expected:
        raise ContractError(f"{path}: forward returned shape {found} for {expected}: [batch, outputs]")
