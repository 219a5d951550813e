import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare

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
    """Chi-squared over 1,000 cells on a million ids finds nothing."""
    cells = [0] * 1_000
    for unit in range(1_000_000):
        cells[int(bucket("uniform", str(unit)) * 1_000)] += 1
    assert chisquare(cells).pvalue > 0.001


def test_salts_are_independent():
    """Chi-squared over ten by ten cells: where a unit lies under one salt says nothing about another's."""
    cells = np.zeros((10, 10))
    for unit in range(200_000):
        cells[int(bucket("a", str(unit)) * 10), int(bucket("b", str(unit)) * 10)] += 1
    assert chi2_contingency(cells).pvalue > 0.001


def test_every_process_assigns_alike():
    """Another process, with hashes seeded otherwise, puts every unit where this one does."""
    script = (
        "from include.contracts.assignment import bucket; print([bucket('s', str(u)) for u in range(50)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [bucket("s", str(unit)) for unit in range(50)] == json.loads(done.stdout)
