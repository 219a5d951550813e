"""`make airflow`: Airflow's own command line, on the platform's database and with its configuration."""

import os
import sys

from include.commands.environment import process_environment
from include.config.settings import settings


def main() -> None:
    """Become `airflow` with the arguments given; its status is the command's."""
    command = [sys.executable, "-m", "airflow", *sys.argv[1:]]
    os.execve(sys.executable, command, process_environment(settings()))  # noqa: S606 - ours, no shell


if __name__ == "__main__":
    main()
