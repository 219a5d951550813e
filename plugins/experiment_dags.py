"""DAGs generated from experiments' files: a broken plan breaks only its own."""

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import lru_cache

from airflow.sdk import DAG

from include.adapters.ledger.ledger import Ledger
from include.config.experiments import ExperimentFile, experiment_files
from include.config.models import model_folders
from include.config.settings import settings
from include.contracts.errors import ContractError, LedgerError
from model_dags import broken_dag
from page_links import link_pages

_log = logging.getLogger(__name__)


def experiment_dags(stage: str, build: Callable[[ExperimentFile], DAG]) -> dict[str, DAG]:
    """Return one DAG an experiment, `<experiment>_<stage>`, by its id.

    One whose plan or contract does not load, or whose name another model's experiment has, gets a DAG in its
    place that shows the error.
    """
    files = [
        file
        for folder in model_folders(settings().model_folders).values()
        for file in experiment_files(folder).values()
    ]
    found = {}
    for file in files:
        dag_id = f"{file.name}_{stage}"
        try:
            _check_named_once(file, files)
            found[dag_id] = link_pages(build(file))
        except ContractError as error:
            found[dag_id] = broken_dag(dag_id, file.folder.name, str(error), "experiment")
    return found


def _check_named_once(file: ExperimentFile, files: Sequence[ExperimentFile]) -> None:
    places = [str(each.path) for each in files if each.name == file.name]
    if len(places) > 1:
        raise ContractError(f"several experiments are named {file.name!r}: {', '.join(places)}")


def cron_while_running(file: ExperimentFile) -> str | None:
    """Return an experiment's schedule while it runs; before and after it has none."""
    return file.plan.schedule if (file.folder.name, file.name) in _running() else None


@lru_cache(maxsize=1)  # one look a parsing process, however many DAGs it builds
def _running() -> frozenset[tuple[str, str]]:
    """Return model and name of every running experiment; without a ledger there is none yet."""
    try:
        with closing(Ledger(settings().ledger_uri)) as ledger:
            held = [ledger.open_experiment_of(name) for name in model_folders(settings().model_folders)]
    except LedgerError as error:
        _log.info("whether experiments run is unknown: %s", error)
        return frozenset()
    return frozenset((each.model, each.name) for each in held if each is not None)
