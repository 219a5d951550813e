"""Who may see and do what: Airflow's own answer, for every route."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_view
from airflow.models.dag import DagModel
from fastapi import Depends, HTTPException, status

from include.pages.desk import Desk
from operator_pages.places import desk

READ_DAG = "release"
"""Whoever may read `<model>_release` may see the model."""


@dataclass(frozen=True)
class Reader:
    """Somebody whom Airflow knows, and the models they may see."""

    user: BaseUser
    models: tuple[str, ...]

    @property
    def name(self) -> str:
        """Their name, as the ledger writes it."""
        return str(self.user.get_name())

    def see(self, model: str) -> str:
        """Return the model's name.

        Raises:
            HTTPException: there is no such model (404), or it is not theirs to see (403).
        """
        if model in self.models:
            return model
        if model not in desk().models():
            raise HTTPException(status.HTTP_404_NOT_FOUND, f"there is no model {model!r}")
        raise HTTPException(status.HTTP_403_FORBIDDEN, f"you may not see {model!r}")

    def may_edit(self, dag_id: str) -> bool:
        """Say whether they may edit a DAG and start its runs: whether its actions are open to them."""
        return _allowed(self.user, "PUT", dag_id) and _allowed(self.user, "POST", dag_id, DagAccessEntity.RUN)

    def must_edit(self, dag_id: str) -> None:
        """Refuse somebody who may not edit a DAG.

        Raises:
            HTTPException: 403.
        """
        if not self.may_edit(dag_id):
            raise HTTPException(status.HTTP_403_FORBIDDEN, f"you may not edit {dag_id}")


def _reader(
    user: GetUserDep,
    _: Annotated[None, Depends(requires_access_view(AccessView.PLUGINS))],
    found: Annotated[Desk, Depends(desk)],
) -> Reader:
    return Reader(user, tuple(_readable(user, found.models())))


ReaderDep = Annotated[Reader, Depends(_reader)]


def _readable(user: BaseUser, models: Iterable[str]) -> Iterable[str]:
    by_dag = {f"{model}_{READ_DAG}": model for model in models}
    teams = DagModel.get_dag_id_to_team_name_mapping(list(by_dag))
    for dag_id, model in by_dag.items():
        details = DagDetails(id=dag_id, team_name=teams.get(dag_id))
        if get_auth_manager().is_authorized_dag(method="GET", details=details, user=user):
            yield model


def _allowed(user: BaseUser, method: str, dag_id: str, entity: DagAccessEntity | None = None) -> bool:
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return bool(
        get_auth_manager().is_authorized_dag(method=method, access_entity=entity, details=details, user=user)
    )
