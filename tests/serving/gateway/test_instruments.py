import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from serving.gateway.instruments import Counts, Distributions

VALUES = [0.0, 0.5, 0.5, 1.0, 1.5, 2.0, 7.25]


def exposed(registry):
    """Return the samples of a page of metrics, but for creation times."""
    lines = generate_latest(registry).decode().splitlines()
    return sorted(line for line in lines if "_created" not in line)


def test_a_distribution_reads_like_the_client_librarys_histogram():
    """Buckets include their upper bound; one by one and many at once come to the same."""
    theirs, ours, joined = CollectorRegistry(), CollectorRegistry(), CollectorRegistry()
    expected = Histogram("seconds", "Some.", ("stage",), buckets=(0.5, 1, 2), registry=theirs).labels("a")
    single = Distributions("seconds", "Some.", ("stage",), (0.5, 1, 2), ours)
    for value in VALUES:
        expected.observe(value)
        single.of("a").observe(value)
    Distributions("seconds", "Some.", ("stage",), (0.5, 1, 2), joined).of("a").observe_many(VALUES)

    assert exposed(theirs) == exposed(ours) == exposed(joined)


def test_counts_are_kept_by_labels():
    """Each combination of labels counts for itself."""
    registry = CollectorRegistry()
    counts = Counts("answers", "Some.", ("route", "status"), registry)
    counts.add("/v2", "200")
    counts.add("/v2", "200", amount=2)
    counts.add("/v2", "503")

    assert 3 == registry.get_sample_value("answers_total", {"route": "/v2", "status": "200"})
    assert 1 == registry.get_sample_value("answers_total", {"route": "/v2", "status": "503"})


def test_a_failing_block_is_timed_too():
    """What fails takes its time as well."""
    registry = CollectorRegistry()
    distribution = Distributions("seconds", "Some.", (), (1,), registry).of()
    with pytest.raises(ZeroDivisionError), distribution.time():
        1 / 0  # noqa: B018

    assert 1 == registry.get_sample_value("seconds_count")
