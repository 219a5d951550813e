"""The operators' seat: pages about every model inside Airflow's UI (docs/operator-pages.md)."""

from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin

PREFIX = "/ninety"
"""Where the pages lie on the API server."""
ROUTE = "ninety"
"""Where Airflow's frame around them lies: `/plugin/<route>`."""


class OperatorsSeat(AirflowPlugin):
    """Pages in the navigation and beside every DAG, run and task of ours."""

    name = "operators_seat"
    external_views = (
        {"name": "Ninety", "href": f"{PREFIX}/models", "destination": "nav", "url_route": ROUTE},
        {
            "name": "Model",
            "href": f"{PREFIX}/of/{{DAG_ID}}",
            "destination": "dag",
            "url_route": "ninety-model",
        },
        {
            "name": "What came of it",
            "href": f"{PREFIX}/of/{{DAG_ID}}/{{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "ninety-run",
        },
        {
            "name": "Why",
            "href": f"{PREFIX}/of/{{DAG_ID}}/{{RUN_ID}}",
            "destination": "task_instance",
            "url_route": "ninety-task",
        },
    )

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        """The pages; only the API server asks, so that no other process imports them."""
        from operator_pages.app import pages_app
        from operator_pages.warm_up import warm_up

        warm_up()
        return [{"app": pages_app(), "url_prefix": PREFIX, "name": "Ninety's pages"}]
