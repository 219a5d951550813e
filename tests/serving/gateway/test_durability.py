import subprocess
from collections.abc import Iterator
from errno import EIO
from pathlib import Path

import pytest

from include.adapters.file_system import FileSystem
from include.adapters.prediction_log import recover
from tests.serving.gateway.conftest import Stage, serving

ONE = {"entity": {"customer_id": 1}}
DISK = {"log_durability": "disk"}
LENIENT = {"log_policy": "lenient"}
DROPPED = "gateway_log_dropped_total"


def figure(stage: Stage, name: str) -> float:
    """Return a metric without labels."""
    lines = stage.client.get("/metrics").text.splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))


def refused(stage: Stage) -> bool:
    """Ask for a prediction; say whether it was refused for the log, with a time to come back."""
    response = stage.predict(ONE)
    is_refused = (503, "/docs#log-unavailable") == (response.status_code, response.json()["type"])
    return is_refused and response.headers["retry-after"].isdigit()


def test_an_answer_waits_for_the_disk(start, monkeypatch):
    """Under `disk` every answered row was synced, and then nothing is behind."""
    synced = []
    sync = FileSystem.sync
    monkeypatch.setattr(FileSystem, "sync", lambda *given: (synced.append(given), sync(*given)))
    stage = start(settings=DISK)

    assert [200, 200] == [stage.predict(ONE).status_code for _ in range(2)]
    assert 2 == len(synced) == len(stage.rows())
    assert 0 == figure(stage, "gateway_log_lag_rows") == figure(stage, "gateway_log_lag_bytes")


def test_under_os_nothing_is_synced(start, monkeypatch):
    """The default leaves the disk alone."""
    monkeypatch.setattr(FileSystem, "sync", None)

    assert 200 == start().predict(ONE).status_code


def test_what_could_not_be_synced_is_not_answered(start, monkeypatch, caplog):
    """503 where the sync failed, and no row in the log; the next one goes to a new segment."""
    stage = start(settings=DISK)
    with monkeypatch.context() as failing:
        failing.setattr(FileSystem, "sync", failed)
        assert refused(stage)
        assert refused(stage)
    assert [] == stage.rows()

    assert 200 == stage.predict(ONE).status_code
    assert 1 == len(stage.rows())
    assert ["prediction log unavailable", "prediction log available again"] == [
        record.message for record in caplog.records if record.message.startswith("prediction log")
    ]


def failed(*_: object) -> None:
    """Fail as a broken disk does."""
    raise OSError(EIO, "the disk failed")


def test_a_tensor_call_waits_for_the_disk_as_well(start, monkeypatch):
    """The Open Inference Protocol answers under the same promise."""
    stage = start(settings=DISK)
    tensors = [
        {"name": "numeric", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]},
        {"name": "categorical", "shape": [1, 1], "datatype": "BYTES", "data": ["GROCERY"]},
    ]
    assert 200 == stage.client.post("/v2/models/churn/infer", json={"inputs": tensors}).status_code
    monkeypatch.setattr(FileSystem, "sync", failed)

    assert 503 == stage.client.post("/v2/models/churn/infer", json={"inputs": tensors}).status_code


@pytest.mark.parametrize("durability", ["os", "disk"])
def test_a_lenient_gateway_answers_and_counts_what_it_lost(start, monkeypatch, durability):
    """A log that fails costs rows, not answers; a warning tells of it once."""
    stage = start(settings=LENIENT | {"log_durability": durability})
    with monkeypatch.context() as failing:
        failing.setattr(FileSystem, "sync" if durability == "disk" else "write", failed)
        assert [200, 200] == [stage.predict(ONE).status_code for _ in range(2)]
    assert 2 == figure(stage, DROPPED)
    assert 200 == stage.predict(ONE).status_code

    assert 2 == figure(stage, DROPPED)
    assert 1 == len(stage.rows())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one mebibyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=False)
    if mounted.returncode:
        pytest.skip("mounting takes rights this user does not have")
    yield folder
    subprocess.run(["umount", folder], check=True)


def filled(folder: Path) -> Path:
    """Take all the room there is; return the file that has it."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 512):
                pass
        except OSError:
            return path


@pytest.mark.faults
@pytest.mark.parametrize("durability", ["os", "disk"])
@pytest.mark.parametrize("policy", ["strict", "lenient"])
def test_a_full_disk(small_disk, tmp_path, triton, policy, durability):
    """Full: `strict` refuses, `lenient` answers and counts. With room again both log, and nothing is torn."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "predictions").symlink_to(small_disk)
    settings = {"log_policy": policy, "log_durability": durability}
    with serving(tmp_path / "home", triton, settings=settings) as stage:
        assert 200 == stage.predict(ONE).status_code
        filler = filled(small_disk)
        answered = 1
        while stage.predict(ONE).status_code == 200 and not figure(stage, DROPPED):
            answered += 1  # what is left of the segment's last page
        if policy == "strict":
            assert all(refused(stage) for _ in range(20))
        assert 1 == len(list(small_disk.rglob("*.log")))
        filler.unlink()
        assert 200 == stage.predict(ONE).status_code
        assert answered + 1 == len(stage.rows())
        assert (0 if policy == "strict" else 1) == figure(stage, DROPPED)
    assert (0, ()) == (recover(small_disk).torn_tails, recover(small_disk).damaged)
