"""The drill of the monitors: quiet weeks stay quiet, and four troubles are found by the right one.

A real champion, trained on the data of 2017, scores in process; log, labels, ledger and monitors are the real
ones, and every monitor looks at its contract's schedule, at default settings. Airflow is not needed.
"""

import logging
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta
from itertools import count, islice, repeat
from multiprocessing import get_context
from time import monotonic

import pandas as pd

from include.commands.drill_monitoring.champion import TRAINED_AS_OF, released_champion
from include.commands.drill_monitoring.findings import Found, Quiet, as_expected, weeks_of, write_page
from include.commands.drill_monitoring.monitors import monitors_of
from include.commands.drill_monitoring.real import Real, real_days
from include.commands.drill_monitoring.troubles import TROUBLES
from include.commands.drill_monitoring.weeks import Healthy, Spoil, as_they_are
from include.commands.drill_monitoring.world import DAY, World
from include.config.settings import Settings, settings

log = logging.getLogger(__name__)

WARM_UP_DAYS = 47
"""Days before anybody looks: thirty to compare with, and the label's delay."""
FIRST_LOOK = TRAINED_AS_OF + WARM_UP_DAYS * DAY
QUIET_WEEKS = 8
REAL_WEEKS = 8
QUIET_DAYS = 3
"""Days that pass quietly before a trouble begins."""
AT_ONCE = 2
DRAWN = "drawn"
"""The world of drawn days, before anybody looks; quiet weeks and troubles go on from it."""
LONGEST_DAYS = {False: 7, True: 35}
"""How long a trouble may go on before it counts as missed; where labels must come first, longer."""
SEED = 7


def drill() -> None:
    """Train, let quiet and troubled and real weeks pass, and write the page."""
    began = monotonic()
    own = settings().model_copy(update={"home": settings().home / "drill-monitoring", "ledger_url": ""})
    champion = released_champion(own)
    healthy = Healthy(champion.training_rows())
    warm_up(World.new(champion, own.home / "worlds" / DRAWN), lambda moment: healthy.day(moment, SEED))
    as_it_was = real_days(champion)
    # Worlds share nothing that is written, so two of them pass at once.
    with ProcessPoolExecutor(AT_ONCE, mp_context=get_context("spawn")) as pool:
        quiet, real = pool.submit(quiet_weeks, own), pool.submit(real_weeks, own, as_it_was)
        found = list(pool.map(troubled, repeat(own), range(len(TROUBLES))))
        page = write_page(champion, quiet.result(), found, real.result(), monotonic() - began)
    log.info("wrote %s", page)
    if problems := as_expected(quiet.result(), found):
        print("\n".join(problems), file=sys.stderr)
        sys.exit(1)


def warm_up(world: World, rows: Callable[[datetime], pd.DataFrame]) -> None:
    """Let the days pass before anybody looks."""
    log.info("%s: %d days before anybody looks", world.settings.home.name, WARM_UP_DAYS)
    for moment in islice(days(TRAINED_AS_OF), WARM_UP_DAYS):
        world.live(moment, rows(moment))


def days(start: datetime) -> Iterator[datetime]:
    """Yield midnights, the first one first."""
    return (start + number * DAY for number in count())


def quiet_weeks(own: Settings) -> Quiet:
    """Return what monitors said of weeks drawn anew from the healthy period."""
    world, healthy = _after_warm_up(own, "quiet")
    for moment in islice(days(FIRST_LOOK), QUIET_WEEKS * 7):
        world.live(moment, healthy.day(moment, SEED))
    return weeks_of(world.raised, FIRST_LOOK, QUIET_WEEKS)


def troubled(own: Settings, number: int) -> Found:
    """Return how a trouble was found, or that it was not."""
    trouble = TROUBLES[number]
    world, healthy = _after_warm_up(own, trouble.name)
    began = FIRST_LOOK + QUIET_DAYS * DAY
    for moment in islice(days(FIRST_LOOK), QUIET_DAYS + LONGEST_DAYS[trouble.waits_for_labels]):
        spoil: Spoil = trouble.spoil if moment >= began else as_they_are
        world.live(moment, spoil(healthy.day(moment, SEED)))
        if any(each.at > began and each.content.kind in trouble.found_by for each in world.raised):
            break
    return Found(trouble, began, tuple(each for each in world.raised if each.at > began))


def real_weeks(own: Settings, real: Real) -> Quiet:
    """Return what monitors said of the weeks as they were."""
    champion = released_champion(own)
    before = World.new(champion, own.home / "worlds" / "real")
    warm_up(before, lambda moment: real.day(moment, SEED))
    world = before.copy(own.home / "worlds" / "real-watched", monitors_of(champion.folder.contract))
    weeks = min((real.last + DAY - FIRST_LOOK) // timedelta(days=7), REAL_WEEKS)
    for moment in islice(days(FIRST_LOOK), weeks * 7):
        world.live(moment, real.day(moment, SEED))
    return weeks_of(world.raised, FIRST_LOOK, weeks)


def _after_warm_up(own: Settings, name: str) -> tuple[World, Healthy]:
    champion = released_champion(own)
    home = own.model_copy(update={"home": own.home / "worlds" / DRAWN})
    world = World(champion, home, {}).copy(own.home / "worlds" / name, monitors_of(champion.folder.contract))
    return world, Healthy(champion.training_rows())
