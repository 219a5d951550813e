"""The gateway killed twenty times under load, same port, same home: every acknowledged row is there once."""

import json
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.adapters.prediction_log import read
from include.adapters.segments import unsealed
from include.config.settings import Settings
from include.monitoring.compaction import compact_predictions
from tests.faults.gateways import Load, running_gateway
from tests.faults.served import served

pytestmark = pytest.mark.faults

KILLS = 20
ANSWERS_BEFORE_A_KILL = 100
COMPACTED_AT = 10
TORN_AT = (3, 12)
"""Kills after which half a record is put where a write would have been cut off: a kill seldom hits one."""
TAIL = b"half a record"
CUT_OFF = {"ConnectError", "ReadError", "RemoteProtocolError", "WriteError"}


def tear(settings: Settings) -> None:
    """Leave a torn tail, as a kill in the middle of a write does."""
    with unsealed(settings.predictions_folder)[-1].open("ab") as segment:
        segment.write(TAIL)


def recoveries(settings: Settings) -> list[dict]:
    """Return what each start said it found of the prediction log, in order."""
    texts = [(settings.home / f"{number}.log").read_text() for number in range(KILLS + 1)]
    lines = [json.loads(line) for text in texts for line in text.splitlines()]
    return [line for line in lines if line["message"] == "log recovered" and line["log"] == "predictions"]


def kill_over_and_over(settings: Settings, load: Load) -> None:
    """Kill the gateway while it answers and start it again; rows are compacted once beneath it."""
    for number in range(KILLS):
        with running_gateway(settings, str(number)) as gateway:
            load.answered_again(ANSWERS_BEFORE_A_KILL)
            if number == COMPACTED_AT:
                assert compact_predictions(settings, datetime.now(UTC) + timedelta(minutes=11)).rows > 0
            gateway.process.send_signal(signal.SIGKILL)
            assert -signal.SIGKILL == gateway.process.wait()
        if number in TORN_AT:
            tear(settings)
    with running_gateway(settings, str(KILLS)):
        load.answered_again(ANSWERS_BEFORE_A_KILL)


def test_no_acknowledged_row_is_lost_and_none_is_there_twice(tmp_path: Path) -> None:
    """After twenty kills every answer has its row, once; torn tails are counted, and nothing is damaged."""
    with served(tmp_path) as (settings, load), load.running():
        kill_over_and_over(settings, load)

    rows = Counter(row.prediction_id for row in read(settings.predictions_folder))
    answered = [str(answer["prediction_id"]) for answer in load.answers]
    assert {1} == set(rows.values())
    assert len(answered) == len(set(answered)) > KILLS * ANSWERS_BEFORE_A_KILL
    assert set() == set(answered) - rows.keys()
    assert len(rows) - len(answered) <= (KILLS + 1) * load.callers  # in flight when it was killed
    assert set() == {failure.partition("(")[0] for failure in load.failures} - CUT_OFF
    check_recoveries(settings)


def check_recoveries(settings: Settings) -> None:
    """Every start sealed what the kill before it left, cut its torn tail off, and found no damage."""
    found = recoveries(settings)
    torn = {number for number, line in enumerate(found) if line["torn_tails"]}
    assert [0] + [1] * KILLS == [line["segments"] for line in found]
    assert {number + 1 for number in TORN_AT} <= torn
    assert len(torn) == len(list(settings.predictions_folder.rglob("*.torn")))
    assert [] == [line["damaged"] for line in found if line["damaged"]]
