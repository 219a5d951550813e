"""DAGs generated from contracts: a model's folder is all it takes, and a broken one breaks only its own."""

import logging
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from functools import lru_cache
from typing import Any

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, CronTriggerTimetable, Param, task
from airflow.sdk.exceptions import AirflowFailException

from include.adapters.ledger.ledger import Ledger
from include.config.models import ModelFolder, model_folders
from include.config.settings import settings
from include.contracts.errors import ContractError, LedgerError
from include.contracts.measurements import Monitor
from include.contracts.monitor_health import watched_monitors
from include.contracts.schedules import cron_of
from page_links import link_pages, runbook
from stage_task import AS_OF

_log = logging.getLogger(__name__)


def model_dags(stage: str, build: Callable[[ModelFolder], DAG | None]) -> dict[str, DAG]:
    """Return one DAG a model, `<model>_<stage>`, by its id; none for a model that `build` returns None for.

    A model whose contract does not load gets a DAG in its place that shows the error and fails with it.
    """
    found = {}
    for name, folder in model_folders(settings().model_folders).items():
        dag_id = f"{name}_{stage}"
        try:
            dag = build(folder)
        except ContractError as error:
            dag = broken_dag(dag_id, name, str(error))
        if dag is not None:
            found[dag_id] = link_pages(dag)
    return found


def model_dag(
    folder: ModelFolder,
    stage: str,
    *,
    room: str,
    doc: str,
    params: dict[str, Param],
    cron: str | None = None,
    doorbells: tuple[Asset, ...] = (),
    at_once: int = 1,
    of: str | None = None,
) -> DAG:
    """Return the empty DAG `<model>_<stage>`, owned by the contract's team.

    Args:
        folder: the model's folder.
        stage: last part of the DAG's id.
        room: which part of the loop it belongs to; a tag.
        doc: Markdown of its page; the model's contract is summed up below it.
        params: what its runs may be given.
        cron: when it runs by itself, outside replays and while the model is not retired.
        doorbells: assets whose events start it besides.
        at_once: how many of its runs may be under way.
        of: what the DAG is named for, where that is not the model.
    """
    contract = folder.contract
    retired = _retired().get(folder.name)
    return DAG(
        f"{of or folder.name}_{stage}",
        schedule=None if retired is not None else schedule(cron, doorbells),
        catchup=False,
        max_active_runs=at_once,
        default_args={"retries": 1, "retry_delay": timedelta(seconds=10), "owner": contract.owner.team},
        params=params,
        tags=[f"model:{folder.name}", f"stage:{room}", *(["retired"] if retired is not None else [])],
        owner_links={contract.owner.team: f"mailto:{contract.owner.email}"},
        doc_md=_page(folder, doc, retired),
    )


def monitor_dag(folder: ModelFolder, monitor: Monitor, doc: str) -> DAG | None:
    """Return the empty DAG `<model>_<monitor>`; None where the model's contract does not ask for it."""
    asked = {each.monitor: each.schedule for each in watched_monitors(folder.contract.monitoring)}
    if (phrase := asked.get(monitor)) is None:
        return None
    params = {"as_of": AS_OF}
    return model_dag(folder, monitor.value, room="monitoring", doc=doc, params=params, cron=cron_of(phrase))


def schedule(expression: str | None, doorbells: tuple[Asset, ...] = ()) -> Any:
    """Return a DAG's schedule: none while history is replayed, since runs then carry dates of the past.

    Args:
        expression: cron, UTC; none means never by the clock.
        doorbells: assets whose events start a run, too. An event may be lost, so the clock backs them up.
    """
    if settings().replay or expression is None:
        return None
    if not doorbells:
        return expression
    return AssetOrTimeSchedule(timetable=CronTriggerTimetable(expression, timezone="UTC"), assets=doorbells)


def training_wanted(model: str) -> Asset:
    """Return the asset whose events wake a model's training; what to train is in the ledger."""
    return Asset(f"{model}_training_wanted")


def _page(folder: ModelFolder, doc: str, retired: str | None) -> str:
    contract = folder.contract
    last = (
        f"\n**{folder.name}**: {contract.description} On call: {contract.owner.on_call}, "
        f"[runbook]({runbook(folder.name)})."
    )
    return f"{doc}{last}" if retired is None else f"**Retired**: {retired}\n\n{doc}{last}"


@lru_cache(maxsize=1)  # one look a parsing process, however many DAGs it builds
def _retired() -> dict[str, str]:
    """Return why each retired model was retired; without a ledger there is none yet."""
    try:
        with closing(Ledger(settings().ledger_uri)) as ledger:
            return ledger.retired_models()
    except LedgerError as error:
        _log.info("whether models are retired is unknown: %s", error)
        return {}


def broken_dag(dag_id: str, model: str, message: str, what: str = "contract") -> DAG:
    """Return a DAG in the place of one that cannot be built: it shows the error, and fails with it."""
    with DAG(
        dag_id,
        schedule=None,
        catchup=False,
        tags=[f"model:{model}", f"broken-{what}"],
        doc_md=f"The {what} of **{model}** does not load:\n\n```\n{message}\n```",
    ) as dag:

        @task
        def read_contract() -> None:
            raise AirflowFailException(message)

        read_contract()
    return dag
