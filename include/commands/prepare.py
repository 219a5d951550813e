"""What must be there before the first process: secrets, the ledger's tables, Airflow's database and users.

`make start` does it by itself. Where each process is a container of its own, one runs this and the others
wait for it; it may run any number of times.
"""

from include.adapters.ledger.migrate import upgrade
from include.commands.environment import process_environment
from include.commands.processes import make_users, migrate
from include.commands.secrets import ensure_secrets
from include.commands.terminal import run_command
from include.config.settings import AirflowAuth, Settings, settings


def main() -> None:
    """Prepare what settings name."""
    run_command(lambda: prepare(settings()))


def prepare(settings: Settings) -> None:
    """Make what is missing.

    Raises:
        PlatformError: Airflow's database cannot be migrated.
    """
    for folder in (settings.logs_folder, settings.airflow_home, settings.triton_repository):
        folder.mkdir(parents=True, exist_ok=True)
    ensure_secrets(settings)
    upgrade(settings.ledger_uri)
    environment = process_environment(settings)
    migrate(settings, environment)
    if settings.airflow_auth is AirflowAuth.FAB:
        make_users(settings, environment)


if __name__ == "__main__":
    main()
