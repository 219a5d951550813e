import subprocess

import pytest
import yaml

from include.config.code import TRAINING_CODE, code_state, fingerprint
from include.config.models import ModelFolder
from include.config.settings import REPOSITORY_ROOT, Settings
from include.contracts.errors import PlatformError

CHURN = yaml.safe_load((REPOSITORY_ROOT / "include/models/churn/contract.yaml").read_text(encoding="utf-8"))


def write_tree(tmp_path):
    """Write a small repository's files, a model folder among them."""
    files = {
        "include/models/toy/network.py": "layers = 2\n",
        "include/models/toy/label.sql": "SELECT 1\n",
        "include/models/toy/runbook.md": "toy\n",
        "include/models/toy/contract.yaml": yaml.safe_dump(CHURN | {"name": "toy"}),
        "include/features/views/customer_spending.sql": "SELECT 1\n",
        "include/training/loop.py": "pass\n",
        "include/stats/metrics.py": "pass\n",
        "requirements.lock": "torch==1\n",
        "README.md": "toy\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)


@pytest.fixture
def root(tmp_path):
    """A small repository with one commit."""
    write_tree(tmp_path)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    author = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    git(tmp_path, *author, "commit", "--quiet", "--message", "toy")
    return tmp_path


def git(root, *arguments):
    """Run git in a folder and return what it says."""
    answer = subprocess.run(["git", "-C", root, *arguments], check=True, capture_output=True, text=True)
    return answer.stdout.strip()


def state(root, **settings):
    """Return the toy model's code state."""
    return code_state(Settings(**settings), ModelFolder(root / "include/models/toy"), root)


def test_a_clean_tree_is_its_commit(root):
    """The commit is git's and nothing is dirty."""
    found = state(root)
    assert (git(root, "rev-parse", "HEAD"), False) == (found.commit, found.dirty)


@pytest.mark.parametrize(
    ("name", "dirty"),
    [
        ("include/training/loop.py", True),
        ("include/models/toy/new.py", True),
        ("dags/train.py", True),
        ("plugins/page.py", True),
        ("serving/gateway/requirements.lock", True),
        ("requirements.lock", True),
        ("README.md", False),
        ("var/state.db", False),
        ("docs/page.md", False),
    ],
)
def test_only_what_runs_makes_the_tree_dirty(root, name, dirty):
    """Changed and new files count where code, DAGs, serving or locks are, and nowhere else."""
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("changed\n")
    assert dirty == state(root).dirty


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("include/models/toy/network.py", True),
        ("include/features/views/customer_spending.sql", True),
        ("include/features/views/customer_spending.yaml", True),
        ("include/transforms/hours_since_last_purchase.py", True),
        ("include/features/views/customer_demographics.sql", False),
        ("include/features/views/of_another_model.sql", False),
        ("include/transforms/of_another_model.py", False),
        ("include/training/loop.py", True),
        ("include/stats/metrics.py", True),
        ("include/models/toy/new.sql", True),
        ("include/models/toy/runbook.md", False),
        ("include/models/toy/experiments/notes.md", False),
        ("include/models/toy/experiments/offers.yaml", False),
        ("include/data/labels.py", True),
        ("include/adapters/label_store.py", True),
        ("include/features/training_set.py", True),
        ("include/features/asof_store.py", True),
        ("include/features/definitions.py", True),
        ("include/features/store.py", False),
        ("include/models/toy/__pycache__/network.pyc", False),
        ("README.md", False),
    ],
)
def test_the_fingerprint_follows_what_decides_a_training(root, name, changes):
    """Model folder, feature SQL, labelling, joining and training enter; caches and prose do not."""
    folder = ModelFolder(root / "include/models/toy")
    before = fingerprint(folder, root)
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("changed\n")
    assert changes == (before != fingerprint(folder, root))


SOURCES = "include/models/toy/sources"
DEFINITIONS = {
    f"{SOURCES}/readings.yaml": "uri: readings.parquet\n",
    f"{SOURCES}/days.yaml": "uri: ../days/*/*.csv\n",
    f"{SOURCES}/stored.yaml": "uri: package:shop/orders.parquet\n",
    f"{SOURCES}/greedy.yaml": "uri: ../*\n",
}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        (f"{SOURCES}/readings.parquet", False),
        ("include/models/toy/days/2017/05.csv", False),
        (f"{SOURCES}/readings.yaml", True),
        (f"{SOURCES}/others.parquet", True),
        ("include/models/toy/network.py", True),
        ("include/models/toy/label.sql", True),
    ],
)
def test_data_a_source_names_is_no_code(root, name, changes):
    """New rows beside their definition are no change of code; what decides a training always is."""
    folder = ModelFolder(root / "include/models/toy")
    for path, text in DEFINITIONS.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    before = fingerprint(folder, root)
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("uri: other.parquet\n")
    assert changes == (before != fingerprint(folder, root))


def test_all_that_the_fingerprint_names_is_there():
    """A module that moved would silently leave it."""
    assert [] == [name for name in TRAINING_CODE if not (REPOSITORY_ROOT / name).exists()]


def test_a_deployed_commit_is_taken_where_there_is_no_repository(tmp_path):
    """In an image without git the setting names the commit."""
    write_tree(tmp_path)
    found = state(tmp_path, commit="abc")
    assert ("abc", False) == (found.commit, found.dirty)


def test_no_repository_and_no_setting_is_refused(tmp_path):
    """The message names the setting that helps."""
    with pytest.raises(PlatformError, match="set NINETY_COMMIT"):
        state(tmp_path)


def test_a_repository_without_commits_is_refused(tmp_path):
    """Git's own words and the way out are in the message."""
    (tmp_path / "requirements.lock").write_text("torch==1\n")
    git(tmp_path, "init", "--quiet")
    with pytest.raises(PlatformError, match="commit once, or set NINETY_COMMIT"):
        state(tmp_path)


def test_without_git_the_message_says_so(root, monkeypatch):
    """A machine without git gets told what to install or set."""
    monkeypatch.setenv("PATH", str(root))
    with pytest.raises(PlatformError, match="git is not installed"):
        state(root)
