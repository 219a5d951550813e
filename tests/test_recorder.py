"""What is kept of a run of tests."""

import json
import subprocess
import sys

import pytest

from include.config.settings import REPOSITORY_ROOT

pytestmark = pytest.mark.slow

TESTS = """
import pytest
def test_good(): pass
def test_bad(): assert False
@pytest.mark.skip(reason="not today")
def test_skipped(): pass
@pytest.fixture
def broken(): raise KeyError
def test_error(broken): pass
"""


def recorded(folder, *arguments):
    """Run tests in a process of its own with the recorder; return what the file then holds."""
    path = folder / "runs.json"
    common = ["-p", "tests.recorder", "--record", "test-some", "--record-file", path]
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", folder, "-c", "/dev/null", *common]
    subprocess.run([*command, *arguments], cwd=REPOSITORY_ROOT, check=False, capture_output=True)
    return json.loads(path.read_text())


@pytest.fixture
def folder(tmp_path):
    """Tests of every end, and the record of an earlier run and of another target."""
    (tmp_path / "test_ends.py").write_text(TESTS)
    (tmp_path / "runs.json").write_text(json.dumps({"test-some": {"passed": 9}, "test-other": {"passed": 3}}))
    return tmp_path


def test_the_newest_run_of_a_target_is_kept(folder):
    """Counts of all workers, commit and duration replace the entry; a broken fixture is a failure."""
    found = recorded(folder, "-n", "2", folder / "test_ends.py")
    entry = found["test-some"]
    assert {"passed": 3} == found["test-other"]
    assert (1, 2, 1) == (entry["passed"], entry["failed"], entry["skipped"])
    assert 40 == len(entry["commit"])
    assert 0 < entry["duration_seconds"]


def test_a_run_of_nothing_is_not_kept(folder):
    """Where no test was chosen the record stays as it was."""
    found = recorded(folder, "-n", "0", "-k", "nobody", folder / "test_ends.py")
    assert {"passed": 9} == found["test-some"]
