"""`make stop`: end what runs, tasks first; nothing stays behind."""

from include.commands.processes import stop
from include.commands.terminal import run_command
from include.config.settings import settings


def main() -> None:
    """Stop the platform and say whether there was anything to stop."""
    run_command(lambda: print("stopped" if stop(settings()) else "nothing was running"))


if __name__ == "__main__":
    main()
