"""`make start`: every process with live schedules, and nothing replayed; `make stop` ends it."""

from include.commands.platform import Platform
from include.commands.processes import is_running
from include.commands.progress import Progress
from include.commands.run import MODEL
from include.commands.showing import show_passwords
from include.commands.terminal import run_command
from include.config.settings import settings


def main() -> None:
    """Start what does not run yet."""
    run_command(start)


def start() -> None:
    """Bring every process up and return once each one answers; what runs already is left as it is.

    Raises:
        PlatformError: a port is taken, a process ended at once or does not get ready, or an earlier start
            left processes behind.
    """
    if is_running(settings()):
        print(f"already running from {settings().home}; `make stop` ends it")
        return
    platform = Platform(settings(), MODEL, Progress(1))
    with platform.progress.step("start every process"):
        platform.start()
    show_passwords(platform)
    print(f"\n  Airflow    {settings().airflow_url}   schedules are live\n  `make stop` ends it.")


if __name__ == "__main__":
    main()
