"""The walk through every route of the operators' pages, with users in Airflow's database."""

from collections.abc import Iterator

import pytest

from include.commands.environment import process_environment
from include.commands.processes import make_users, migrate
from include.config.settings import AirflowAuth
from tests.plugins.operator_pages.conftest import Seat, seated, settings_at
from tests.plugins.operator_pages.test_on_a_server import (
    routes,
    test_a_forged_request_does_nothing,
    test_a_forged_token_opens_nothing,
    test_a_rollback_is_a_run_in_the_name_of_who_asked,
    test_a_viewer_changes_nothing,
    test_a_viewer_is_shown_no_action,
    test_every_answer_tells_the_browser_what_it_may_do,
    test_everybody_known_reads_everything,
    test_nobody_gets_nothing,
    test_there_is_no_description_of_the_application,
)

pytestmark = pytest.mark.services
__all__ = [
    "routes",
    "test_a_forged_request_does_nothing",
    "test_a_forged_token_opens_nothing",
    "test_a_rollback_is_a_run_in_the_name_of_who_asked",
    "test_a_viewer_changes_nothing",
    "test_a_viewer_is_shown_no_action",
    "test_every_answer_tells_the_browser_what_it_may_do",
    "test_everybody_known_reads_everything",
    "test_nobody_gets_nothing",
    "test_there_is_no_description_of_the_application",
]


@pytest.fixture(scope="module")
def seat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seat]:
    """The pages on a server whose users FAB keeps."""
    home = tmp_path_factory.mktemp("seat")
    settings = settings_at(home, airflow_auth=AirflowAuth.FAB)
    environment = process_environment(settings)
    migrate(settings, environment)
    make_users(settings, environment)
    with seated(settings, home) as found:
        yield found
