import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from include.contracts.assignment import bucket, is_assigned

# Digests by another tool: printf 'release-1\n12345' | sha256sum | cut -c1-16
VECTORS = [
    ("release-1", "12345", "94631695ecd50471"),
    ("release-1", "1", "8bae729c8ac069bb"),
    ("exp", "ünïcode", "a491e109f02456b6"),
    ("", "", "01ba4719c80b6fe9"),
    ("release-2", "12345", "1ccf765a31eb1e7c"),
]
UNITS = st.text(max_size=20)
SHARES = st.floats(min_value=0, max_value=1)


@pytest.mark.parametrize(("salt", "unit", "digest"), VECTORS)
def test_bucket_is_the_upper_53_bits_of_the_digest(salt, unit, digest):
    """Any language gets the same bucket from the first 64 bits of SHA-256."""
    assert (int(digest, 16) >> 11) / 2**53 == bucket(salt, unit)


def test_documented_vectors_are_the_tested_ones():
    """The table in docs/assignment.md is what other languages implement against."""
    text = (Path(__file__).parents[2] / "docs" / "assignment.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `(.*)` \| `(.*)` \| `(\w{16})` \| (\S+) \|$", text, flags=re.M)
    assert [(s, u, d, repr(bucket(s, u))) for s, u, d in VECTORS] == documented


@given(salt=UNITS, unit=UNITS, shares=st.tuples(SHARES, SHARES))
def test_a_growing_share_never_takes_a_unit_back(salt, unit, shares):
    """Ramps are monotone."""
    smaller, larger = sorted(shares)
    assert not is_assigned(salt, unit, smaller) or is_assigned(salt, unit, larger)


@given(salt=UNITS, unit=UNITS)
def test_share_zero_is_nobody_and_one_is_everybody(salt, unit):
    """Buckets lie in [0, 1)."""
    assert (False, True) == (is_assigned(salt, unit, 0.0), is_assigned(salt, unit, 1.0))


def test_buckets_are_uniform():
    """Chi-squared over 100 cells on 100,000 units finds nothing."""
    cells = [0] * 100
    for unit in range(100_000):
        cells[int(bucket("uniform", str(unit)) * 100)] += 1
    assert chisquare(cells).pvalue > 0.001


def test_salts_are_independent():
    """Half of those on under one salt are on under another."""
    both = sum(is_assigned("a", str(u), 0.5) and is_assigned("b", str(u), 0.5) for u in range(100_000))
    assert abs(both - 25_000) < 5 * (100_000 * 0.25 * 0.75) ** 0.5
