"""What a retry budget allows."""

from hypothesis import given
from hypothesis import strategies as st

from serving.gateway.retry_budget import RetryBudget

STEPS = st.lists(
    st.tuples(st.floats(0.0, 5.0), st.booleans()), max_size=200
)  # seconds since the step before, whether it fails


@given(STEPS)
def test_retries_never_multiply_the_load(steps):
    """However calls and failures fall, retries stay within the share, the floor and the bucket."""
    budget, now, retries = RetryBudget(0.0), 0.0, 0
    for seconds, fails in steps:
        now += seconds
        budget.deposit(now)
        retries += fails and budget.withdraw()

    assert retries <= 10 + 0.1 * len(steps) + 2.0 * now + 1e-6


def test_an_empty_bucket_refuses_until_time_fills_it():
    """Ten at once, then no more; half a second later one again."""
    budget = RetryBudget(0.0)

    assert [True] * 10 + [False] == [budget.withdraw() for _ in range(11)]
    budget.deposit(0.5)
    assert [True, False] == [budget.withdraw(), budget.withdraw()]
