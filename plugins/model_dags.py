"""DAGs generated from contracts: a model's folder is all it takes, and a broken one breaks only its own."""

from collections.abc import Callable

from airflow.sdk import DAG, task
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
