"""How an experiment stands, for whoever asks."""

from datetime import datetime
from typing import Any

from include.adapters.ledger.ledger import Ledger
from include.config.experiments import ExperimentFile
from include.config.settings import Settings
from include.contracts.errors import ExperimentError
from include.contracts.experiments import Experiment
from include.experiments.propose import propose


def standing(settings: Settings, ledger: Ledger, file: ExperimentFile, as_of: datetime) -> dict[str, Any]:
    """Return how an experiment stands with its last analysis; before its start, what it would take.

    Raises:
        ContractError, ExperimentError, DataError: as `propose`.
    """
    model = file.folder.name
    known = ledger.experiments(model, file.name)
    if known and (not known[-1].state.is_terminal or known[-1].experiment_id == file.plan.salt):
        analyses = ledger.analyses(model, known[-1].experiment_id)
        return {
            "experiment": known[-1].model_dump(mode="json"),
            "analysis": analyses[-1].model_dump(mode="json") if analyses else None,
        }
    proposal = propose(settings, ledger, file, as_of, underpowered=True)
    return {
        "control": proposal.control_version,
        "treatments": [each.version for each in proposal.treatments],
        "size": proposal.size.model_dump(mode="json"),
        "problem": proposal.problem,
    }


def last_experiment(ledger: Ledger, file: ExperimentFile) -> Experiment:
    """Return the last experiment of a file's name.

    Raises:
        ExperimentError: it was never started.
    """
    known = ledger.experiments(file.folder.name, file.name)
    if not known:
        raise ExperimentError(f"{file.name} was never started")
    return known[-1]


def open_experiment(ledger: Ledger, file: ExperimentFile) -> Experiment:
    """Return the running experiment of a file's name.

    Raises:
        ExperimentError: it does not run.
    """
    last = last_experiment(ledger, file)
    if last.state.is_terminal:
        raise ExperimentError(f"{last.experiment_id} is {last.state.value}")
    return last
