"""Users in Airflow's database, with passwords, roles and the means of FAB: LDAP, OAuth, OpenID.

FAB numbers its users; the platform's contracts, its ledger and its approvals name them. Who may answer an
approval is compared by name, which only an administrator can change.
"""

import json
import sys
from typing import Any

from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager
from airflow.providers.fab.auth_manager.models import User
from airflow.providers.fab.www.security.permissions import ACTION_CAN_READ, RESOURCE_PLUGIN


class NamedUsersAuthManager(FabAuthManager):
    """FAB's auth manager, in which a task's assigned users are names."""

    def is_authorized_hitl_task(self, *, assigned_users: set[str], user: User) -> bool:
        """Say whether a user is one of those who are asked."""
        return user.get_name() in assigned_users


def make_users() -> None:
    """Make the users on standard input, `{name: {"role": …, "password": …}}`; those there are stay."""
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        _let_read_pages(builder.sm)
        for name, user in json.load(sys.stdin).items():
            if builder.sm.find_user(username=name) is None:
                role = builder.sm.find_role(user["role"])
                builder.sm.add_user(name, name, name, f"{name}@localhost", role, password=user["password"])


def _let_read_pages(security: Any) -> None:
    """Let approvers and viewers read the operators' pages: FAB shows plugins to operators alone."""
    seen = security.create_permission(ACTION_CAN_READ, RESOURCE_PLUGIN)
    for name in ("Viewer", "User"):
        security.add_permission_to_role(security.find_role(name), seen)


if __name__ == "__main__":
    make_users()
