"""The platform's training loop: Adam, early stopping on validation loss, the same result for a seed."""

import copy
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import nn

from include.contracts.errors import ContractError, DataError
from include.contracts.signatures import Task
from include.training.pipeline import Pipeline
from include.training.preprocessing import UNKNOWN

log = logging.getLogger(__name__)

MASKED_RATIO = 0.02
"""Share of inputs hidden at random while training: so the network knows missing values and unknown
categories even where the training rows have none."""

Progress = Callable[[int, Mapping[str, float]], None]
"""Told of each epoch: its number from 1, and its losses."""


class LoopSettings(BaseModel):
    """What the loop reads of a contract's hyperparameters; the others are the network's own."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    batch_size: int = Field(default=512, ge=1)
    epochs: int = Field(default=30, ge=1)
    patience: int = Field(default=5, ge=1)
    """Epochs without a better validation loss before training stops."""

    @classmethod
    def of(cls, hyperparameters: Mapping[str, float | int | str | bool]) -> "LoopSettings":
        """Read the loop's hyperparameters.

        Raises:
            ContractError: one of them has a value that cannot be.
        """
        try:
            return cls.model_validate(dict(hyperparameters))
        except ValidationError as error:
            lines = (f"training.hyperparameters.{e['loc'][0]}: {e['msg']}" for e in error.errors())
            raise ContractError("\n".join(lines)) from error


@dataclass(frozen=True)
class Examples:
    """Rows the network learns from or is stopped by."""

    numeric: npt.NDArray[np.float32]
    """Raw numbers [n, N], NaN for missing."""
    codes: npt.NDArray[np.int64]
    """Category codes [n, M]."""
    targets: npt.NDArray[np.float64]
    """0 and 1, class indices, or standardised targets [n]."""


@dataclass(frozen=True)
class Fit:
    """How a fit ended; the pipeline holds the weights of its best epoch."""

    best_epoch: int
    epochs: int
    train_loss: float
    validation_loss: float


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Make torch deterministic inside: seeded, one thread, no algorithm that varies; undone after."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(strict)
            torch.set_num_threads(threads)


def fit(
    pipeline: Pipeline,
    task: Task,
    *,
    train: Examples,
    validation: Examples,
    settings: LoopSettings,
    progress: Progress,
) -> Fit:
    """Train a pipeline's network in place; call it inside `reproducible`.

    Raises:
        DataError: the loss is not finite: the learning rate is too high, or a target is extreme.
    """
    optimiser = torch.optim.Adam(
        pipeline.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    best, best_weights = Fit(0, 0, np.inf, np.inf), copy.deepcopy(pipeline.state_dict())
    for epoch in range(1, settings.epochs + 1):
        train_loss = _epoch(pipeline, task, train, optimiser, settings.batch_size)
        validation_loss = _mean_loss(pipeline, task, validation)
        _report(epoch, train_loss, validation_loss, settings, progress)
        if validation_loss < best.validation_loss:
            best = Fit(epoch, epoch, train_loss, validation_loss)
            best_weights = copy.deepcopy(pipeline.state_dict())
        if epoch - best.best_epoch >= settings.patience:
            break
    pipeline.load_state_dict(best_weights)
    pipeline.eval()
    return Fit(best.best_epoch, epoch, best.train_loss, best.validation_loss)


def _report(
    epoch: int, train_loss: float, validation_loss: float, settings: LoopSettings, progress: Progress
) -> None:
    log.info(
        "epoch %d of at most %d: training loss %.5f, validation loss %.5f",
        epoch,
        settings.epochs,
        train_loss,
        validation_loss,
    )
    if not np.isfinite([train_loss, validation_loss]).all():
        raise DataError(
            f"epoch {epoch}: training loss {train_loss}, validation loss {validation_loss}; lower "
            "training.hyperparameters.learning_rate, or look for extreme targets"
        )
    progress(epoch, {"train_loss": train_loss, "validation_loss": validation_loss})


def _epoch(
    pipeline: Pipeline, task: Task, rows: Examples, optimiser: torch.optim.Optimizer, batch_size: int
) -> float:
    pipeline.train()
    numeric, codes, targets = _tensors(rows)
    total = 0.0
    for batch in torch.randperm(len(targets)).split(batch_size):
        hidden, unknown = _masked(numeric[batch], codes[batch])
        loss = _loss(task, pipeline.logits(hidden, unknown), targets[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        total += float(loss.detach()) * len(batch)
    return total / len(targets)


def _mean_loss(pipeline: Pipeline, task: Task, rows: Examples) -> float:
    pipeline.eval()
    numeric, codes, targets = _tensors(rows)
    with torch.no_grad():
        return float(_loss(task, pipeline.logits(numeric, codes), targets))


def _tensors(rows: Examples) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.from_numpy(rows.numeric), torch.from_numpy(rows.codes), torch.from_numpy(rows.targets)


def _masked(numeric: torch.Tensor, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    hide = torch.rand(numeric.shape) < MASKED_RATIO
    forget = torch.rand(codes.shape) < MASKED_RATIO
    return numeric.masked_fill(hide, torch.nan), codes.masked_fill(forget, UNKNOWN)


def _loss(task: Task, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    if task is Task.MULTICLASS:
        return nn.functional.cross_entropy(logits, targets.long())
    if task is Task.BINARY:
        return nn.functional.binary_cross_entropy_with_logits(logits[:, 0], targets.float())
    return nn.functional.mse_loss(logits[:, 0], targets.float())
