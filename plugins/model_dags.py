"""DAGs generated from contracts: a model's folder is all it takes, and a broken one breaks only its own."""

from collections.abc import Callable
from datetime import timedelta

from airflow.sdk import DAG, Param, task
from airflow.sdk.exceptions import AirflowFailException

from include.config.models import ModelFolder, model_folders
from include.config.settings import settings
from include.contracts.errors import ContractError


def model_dags(stage: str, build: Callable[[ModelFolder], DAG]) -> dict[str, DAG]:
    """Return one DAG a model, `<model>_<stage>`, by its id.

    A model whose contract does not load gets a DAG in its place that shows the error and fails with it.
    """
    found = {}
    for name, folder in model_folders(settings().model_folders).items():
        dag_id = f"{name}_{stage}"
        try:
            found[dag_id] = build(folder)
        except ContractError as error:
            found[dag_id] = _broken(dag_id, name, str(error))
    return found


def model_dag(
    folder: ModelFolder,
    stage: str,
    *,
    room: str,
    doc: str,
    params: dict[str, Param],
    cron: str | None = None,
    at_once: int = 1,
) -> DAG:
    """Return the empty DAG `<model>_<stage>`, owned by the contract's team.

    Args:
        folder: the model's folder.
        stage: last part of the DAG's id.
        room: which part of the loop it belongs to; a tag.
        doc: Markdown of its page; the model's contract is summed up below it.
        params: what its runs may be given.
        cron: when it runs by itself, outside replays.
        at_once: how many of its runs may be under way.
    """
    contract = folder.contract
    return DAG(
        f"{folder.name}_{stage}",
        schedule=schedule(cron) if cron else None,
        catchup=False,
        max_active_runs=at_once,
        default_args={"retries": 1, "retry_delay": timedelta(seconds=10), "owner": contract.owner.team},
        params=params,
        tags=[f"model:{folder.name}", f"stage:{room}"],
        owner_links={contract.owner.team: f"mailto:{contract.owner.email}"},
        doc_md=f"{doc}\n**{folder.name}**: {contract.description} On call: {contract.owner.on_call}.",
    )


def schedule(expression: str) -> str | None:
    """Return a DAG's schedule: none while history is replayed, since runs then carry dates of the past."""
    return None if settings().replay else expression


def _broken(dag_id: str, model: str, message: str) -> DAG:
    with DAG(
        dag_id,
        schedule=None,
        catchup=False,
        tags=[f"model:{model}", "broken-contract"],
        doc_md=f"The contract of **{model}** does not load:\n\n```\n{message}\n```",
    ) as dag:

        @task
        def read_contract() -> None:
            raise AirflowFailException(message)

        read_contract()
    return dag
