"""`make run`: everything up, the model in production, some traffic, one prediction traced; stays up."""

import argparse

from include.commands import processes
from include.commands.platform import Platform, Replay, bring_to_production, champion_of, running
from include.commands.progress import Progress
from include.commands.showing import show_passwords, show_prediction, show_urls
from include.commands.terminal import end_on_signals, run_command
from include.commands.traffic import replay
from include.config.settings import settings

MODEL = "churn"
_REQUESTS = 600
_SECONDS = 60.0
_COLD_STEPS, _WARM_STEPS = 6, 2


def main() -> None:
    """Run the platform until Ctrl-C or `make stop`."""
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument(
        "--approve", metavar="USER", help="answer the approval as this user, through Airflow's API"
    )
    arguments = parser.parse_args()
    run_command(lambda: run(arguments.approve))


def run(approver: str | None) -> None:
    """Start, bring the model to production where it is not there yet, show that it serves, and stay up.

    Args:
        approver: answers the approval; None waits for a person in the browser.
    """
    warm = champion_of(settings(), MODEL) is not None
    platform = Platform(settings(), MODEL, Progress(_WARM_STEPS if warm else _COLD_STEPS))
    end_on_signals()
    with running(platform):
        show_passwords(platform)
        if not warm:
            bring_to_production(platform, Replay(), approver)
        with platform.progress.step("replay traffic through the gateway"):
            requests, seconds = (1, 0.0) if warm else (_REQUESTS, _SECONDS)
            traffic = replay(platform, Replay().as_of, requests, seconds)
        show_prediction(platform, traffic)
        show_urls(platform, Replay().as_of, traffic)
        processes.wait_until_stopped(platform.settings)


if __name__ == "__main__":
    main()
