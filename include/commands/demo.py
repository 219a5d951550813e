"""`make demo`: the whole loop unattended on traffic of 2017, in a folder of its own; ends with a summary."""

import shutil
from contextlib import closing
from datetime import timedelta

from include.adapters.ledger.ledger import Ledger
from include.adapters.prediction_log import read
from include.commands.platform import Platform, Replay, bring_to_production, running
from include.commands.processes import refuse_second_start
from include.commands.progress import Progress
from include.commands.showing import show_prediction
from include.commands.terminal import end_on_signals, run_command
from include.commands.traffic import Traffic, replay
from include.config.settings import settings
from include.contracts.errors import PlatformError
from include.pages.provenance import Provenances

MODEL = "churn"
APPROVER = "approver"
_DAYS = 3
_REQUESTS = 1_000
_STEPS = 6 + 2 * _DAYS


def main() -> None:
    """Run the demo; status 1 and the reason when something is not as it must be."""
    run_command(demo)


def demo() -> None:
    """Bring the model to production, replay some days of traffic, check every answer, print a summary.

    Raises:
        PlatformError: a step failed, or a request was not answered by the released version.
    """
    own = settings().model_copy(update={"home": settings().home / "demo", "ledger_url": ""})
    refuse_second_start(own)
    shutil.rmtree(own.home, ignore_errors=True)
    platform = Platform(own, MODEL, Progress(_STEPS))
    end_on_signals()
    with running(platform):
        bring_to_production(platform, Replay(), APPROVER)
        days = replay_days(platform)
        with platform.progress.step("trace every prediction back"):
            traced = trace_all(platform)
        show_prediction(platform, days[-1])
        with closing(Ledger(platform.settings.ledger_uri)) as ledger:
            events = ledger.verify()
    print_summary(platform, days, traced, events)


def trace_all(platform: Platform) -> int:
    """Follow the chain behind every prediction of the log; return how many there are.

    Raises:
        PlatformError: the chain of one is not complete.
    """
    traced = 0
    with closing(Provenances(platform.settings)) as found:
        for row in read(platform.settings.predictions_folder):
            gaps = found.of(row).gaps
            if gaps:
                raise PlatformError(f"prediction {row.prediction_id} cannot be traced: {'; '.join(gaps)}")
            traced += 1
    return traced


def replay_days(platform: Platform) -> list[Traffic]:
    """Materialise each day, then send that day's traffic, as production would have seen it."""
    days, cycle = [], platform.life_cycle()
    for day in (Replay().as_of + timedelta(days=number) for number in range(_DAYS)):
        with platform.progress.step(f"materialise {day}"):
            cycle.materialize(day)
        with platform.progress.step(f"send the traffic of {day}"):
            days.append(replay(platform, day, _REQUESTS, 0.0))
        if days[-1].ok != _REQUESTS:
            raise PlatformError(
                f"{day}: of {_REQUESTS} requests only {days[-1].ok} were answered: {days[-1].statuses}"
            )
    return days


def print_summary(platform: Platform, days: list[Traffic], traced: int, events: int) -> None:
    """Print what was done and how long it took."""
    print("\nsummary")
    for title, seconds in platform.progress.durations.items():
        print(f"  {seconds:7.1f} s  {title}")
    answered, slowest = sum(day.ok for day in days), max(day.p99_ms for day in days)
    print(f"  {answered} predictions, all answered; p99 {slowest:.0f} ms at worst")
    print(f"  {traced} logged, the chain behind each complete: data, code, evaluation, approval, traffic")
    print(f"  {events} ledger events, chain whole; {platform.progress.elapsed():.0f} s in all")


if __name__ == "__main__":
    main()
