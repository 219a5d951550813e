"""`make backfill`: compute the features of a range of days, one Airflow run a day, and wait for them."""

import argparse
from datetime import date

from include.commands.airflow_api import AirflowApi
from include.commands.platform import OPERATOR
from include.commands.secrets import passwords
from include.commands.terminal import run_command
from include.config.settings import settings

DAG_ID = "features_materialize"
_SECONDS_A_RUN = 120.0


def main() -> None:
    """Backfill the days named on the command line."""
    parser = argparse.ArgumentParser(prog="make backfill", description=__doc__)
    parser.add_argument("first", metavar="FROM", type=date.fromisoformat, help="first day, 2017-06-01")
    parser.add_argument("last", metavar="TO", type=date.fromisoformat, help="last day, included")
    arguments = parser.parse_args()
    run_command(lambda: backfill(arguments.first, arguments.last))


def backfill(first: date, last: date) -> None:
    """Ask Airflow for a run of each day, print each as it ends, and return when all have succeeded.

    Raises:
        PlatformError: nothing runs, Airflow refused the backfill, or a run failed.
    """
    current = settings()
    airflow = AirflowApi(current.airflow_url, OPERATOR, passwords(current).get(OPERATOR, ""))
    airflow.backfill(DAG_ID, first, last)
    days = (last - first).days + 1
    airflow.wait_for_backfill(
        DAG_ID, first, last, lambda day, state: print(f"{day}: {state}"), days * _SECONDS_A_RUN
    )


if __name__ == "__main__":
    main()
