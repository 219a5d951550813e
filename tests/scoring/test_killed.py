"""Batches killed at their worst moments: the next run completes them, each entity once."""

import os
import signal
import sys
from itertools import count

import pytest

from include.adapters.ledger.ledger import Ledger
from include.features.scoring_set import freeze_scoring_set
from include.scoring.publish import publish_scores, scores_path
from include.scoring.score import score_batch
from tests.features.test_killed import run_and_die, torn_at
from tests.scoring.conftest import CUSTOMERS, WALL

pytestmark = pytest.mark.faults

EVERYONE = sorted(str(value) for value in range(1, CUSTOMERS + 1))


def batch(settings, plan, frozen):
    """Score and publish, as the DAG's tasks do."""
    score_batch(settings, Ledger(settings.ledger_uri), plan, frozen, lambda: WALL)
    publish_scores(settings, plan)


def killed_before(event, function, *arguments):
    """Run a function that is killed just before its first audit event of a kind."""
    seen = count(1)

    def watch(name, _):
        if name == event and next(seen) == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    function(*arguments)


@pytest.mark.parametrize(
    ("death", "where", "logged"),
    [
        (torn_at, 5, 0),  # in a segment's header
        (torn_at, 700, 0),  # in the first chunk, after its first row was whole
        (torn_at, 2900, 3),  # in the second chunk
        (killed_before, "os.remove", CUSTOMERS),  # all appended, the segment not sealed
        (killed_before, "os.rename", CUSTOMERS),  # all logged, the Parquet about to take its place
    ],
)
def test_a_killed_batch_is_completed_and_doubles_nothing(stage, death, where, logged):
    """Whole chunks or single rows may be there; afterwards log and Parquet hold each entity once."""
    stage.released()
    plan = stage.plan()
    frozen = freeze_scoring_set(stage.settings, plan)
    assert 0 != run_and_die(death, where, batch, stage.settings, plan, frozen)
    left = len(stage.logged())
    assert logged <= left < logged + 3
    assert not scores_path(stage.settings, plan).exists()

    again = score_batch(stage.settings, stage.ledger, plan, frozen, lambda: WALL)
    assert (CUSTOMERS - left, left) == (sum(again.logged.values()), again.known)
    assert EVERYONE == sorted(row.unit for row in stage.logged())
    assert EVERYONE == sorted(row["unit"] for row in stage.published(plan))
