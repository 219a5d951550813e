import json

import pytest

from include.commands import bench_scale
from include.commands.scaling import PAGE, Demand, needs, page, read_records, simulate


def test_the_page_tells_of_every_part():
    """In the order of the records of today; its figures are those of the day it was written."""
    written, now = PAGE.read_text(encoding="utf-8"), page(read_records(), Demand())
    for need in needs(read_records(), Demand()):
        assert f"\n| {need.part} | " in written
        assert need.figure in now


def test_needs_grow_with_the_demand():
    """Twice the requests are twice the gateways and twice the log, and no more of anything else."""
    records = read_records()
    once = {need.part: need.share for need in needs(records, Demand())}
    twice = {need.part: need.share for need in needs(records, Demand(requests=100e3))}
    grown = {part for part in once if twice[part] > once[part]}
    assert {"gateways", "Triton", "segments of the log", "compacted log"} == grown
    assert {2.0} == {round(twice[part] / once[part], 6) for part in grown}


def test_what_saturates_first_comes_first():
    """In order of the share of one machine."""
    shares = [need.share for need in needs(read_records(), Demand())]
    assert sorted(shares, reverse=True) == shares


def test_an_idle_gateway_answers_as_fast_as_one_request_alone():
    """And a busier one never faster."""
    quiet = simulate(1.0, 0.002, 0.0002)
    assert quiet == pytest.approx(0.002, rel=0.01)
    latencies = [simulate(rate, 0.002, 0.0002) for rate in (100, 1_000, 3_000, 4_500)]
    assert sorted(latencies) == latencies
    assert latencies[-1] > 2 * quiet


@pytest.mark.slow
def test_costs_are_measured_and_written_down(tmp_path, monkeypatch):
    """A few entities, models and rows; the record has its page and its picture."""
    for name, count in (("ENTITIES", 2_000), ("MODELS", 2), ("ROWS", 100)):
        monkeypatch.setattr(bench_scale, name, count)
    bench_scale.record(tmp_path)
    record = json.loads((tmp_path / "scale.json").read_text())
    assert record["redis_bytes_per_entity"] > 100
    assert record["dags_per_model"] >= 8
    assert record["segment_bytes_per_row"] > 100
    assert {"scale.json", "scale.md", "scale.png"} == {path.name for path in tmp_path.iterdir()}
