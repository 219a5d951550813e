import pytest

from include.contracts.trace_context import LONGEST_STATE, MOST_MEMBERS, TraceContext, parse_trace_context

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"  # the specification's example


def test_the_specifications_example_is_read_and_written_alike():
    """Section 3.2.3: version 00, trace id, parent id, flags."""
    text = f"00-{TRACE}-{SPAN}-01"
    context = parse_trace_context(text, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")

    assert TraceContext(TRACE, SPAN, 1, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE") == context
    assert text == context.traceparent
    assert context.is_sampled


@pytest.mark.parametrize(
    "text",
    [
        "",
        TRACE,
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\n",
        f"cc-{TRACE}-{SPAN}-01.more",
    ],
)
def test_what_is_not_valid_is_no_trace(text):
    """As if it had not been sent."""
    assert parse_trace_context(text) is None


def test_a_later_version_is_read_as_far_as_it_is_known():
    """Section 3.2.4: what follows a dash is another version's; it is passed on as version 00."""
    context = parse_trace_context(f"cc-{TRACE}-{SPAN}-03-what-the-future-brings")
    assert f"00-{TRACE}-{SPAN}-01" == context.traceparent


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        (" a=1 ,\tb@vendor=2 , ", None),
        ("a=1,a=2", ""),
        ("A=1", ""),
        ("a", ""),
        ("a=", ""),
        ("a=b=c", ""),
        (",".join(f"k{number}=1" for number in range(MOST_MEMBERS + 1)), ""),
        ("a=" + "1" * LONGEST_STATE, ""),
    ],
)
def test_an_invalid_state_is_dropped_alone(state, kept):
    """The trace goes on without it."""
    context = parse_trace_context(f"00-{TRACE}-{SPAN}-00", state)
    assert ("a=1,b@vendor=2" if kept is None else kept, False) == (context.state, context.is_sampled)
