"""Setting up: what is redone, what is left alone, and what a missing prerequisite says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from include.commands import setup
from include.commands.setup import PLATFORM, TRITON, Work, check_python, pinned_block, stamp_of, work_needed
from include.config.settings import REPOSITORY_ROOT
from include.contracts.errors import PlatformError


@pytest.fixture
def root(tmp_path):
    """Return a checkout with one lock and an environment made from it."""
    (tmp_path / "requirements.lock").write_text("a==1\n")
    (tmp_path / ".venv").mkdir()
    setup.write_stamp(tmp_path / ".venv", stamp_of(tmp_path / "requirements.lock"))
    return tmp_path


def test_an_environment_of_this_lock_is_left_alone(root):
    """Nothing changed, nothing is done."""
    assert work_needed(root, PLATFORM) is Work.NOTHING


def test_a_changed_lock_is_an_update(root):
    """Another lock, the same interpreter: the environment is brought to it in place."""
    (root / "requirements.lock").write_text("a==2\n")

    assert work_needed(root, PLATFORM) is Work.UPDATE


def test_another_interpreter_builds_anew(root):
    """An environment of another interpreter is of no use."""
    stamp = stamp_of(root / "requirements.lock") | {"interpreter": "/elsewhere 3.11.0"}
    setup.write_stamp(root / ".venv", stamp)

    assert work_needed(root, PLATFORM) is Work.BUILD


@pytest.mark.parametrize("left", [None, "", '{"lock"'])
def test_an_interrupted_installation_is_redone(root, left):
    """No stamp, or half of one: the environment is built anew."""
    stamp = root / ".venv" / setup.STAMP
    stamp.unlink() if left is None else stamp.write_text(left)

    assert work_needed(root, PLATFORM) is Work.BUILD


@pytest.mark.parametrize("version", [(3, 10), (3, 12), (2, 7)])
def test_another_python_is_one_clear_line(version):
    """The message says which Python is needed and which was found."""
    with pytest.raises(
        PlatformError, match=rf"Python 3\.11 is needed and this is {version[0]}\.{version[1]}"
    ):
        check_python(version)


def test_only_the_pinned_package_and_its_hashes_are_taken():
    """One block of the lock, and nothing of its neighbours."""
    expected = "uv==0.1 \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\n"
    before, after = "ujson==1 \\\n    --hash=sha256:aa\n", "    # via x\nv==2\n"

    assert expected == pinned_block(before + expected + after, "uv")


def test_an_unreachable_index_is_one_line_without_a_traceback(tmp_path):
    """A checkout elsewhere, an index nobody answers at: exit 1, one line that names it."""
    for name in ("include/contracts", "include/commands"):
        (tmp_path / name).mkdir(parents=True)
    modules = ["include/__init__.py", "include/contracts/__init__.py", "include/contracts/errors.py"]
    modules += [f"include/commands/{name}.py" for name in ("__init__", "setup", "package_index")]
    for name in modules:
        (tmp_path / name).write_text((REPOSITORY_ROOT / name).read_text())
    for environment in setup.ENVIRONMENTS:
        (tmp_path / environment.lock).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / environment.lock).write_text("uv==0.0.1 --hash=sha256:00\n")
    told = {
        name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "PYTHON"))
    }

    answer = subprocess.run(
        [sys.executable, "-m", "include.commands.setup"],
        cwd=tmp_path,
        env=told | {"PIP_INDEX_URL": "http://127.0.0.1:9/simple"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert answer.returncode == 1
    assert len(answer.stderr.splitlines()) == 1
    assert answer.stderr.startswith("setup: the package index http://127.0.0.1:9/simple cannot be reached")
    assert work_needed(tmp_path, PLATFORM) is Work.BUILD


def test_triton_gets_the_stub_of_our_python(tmp_path):
    """The backend folder holds the backend and, beside it, the stub built for Python 3.11."""
    server = tmp_path / "lib/python3.11/site-packages/pytriton/tritonserver"
    stub = server / "python_backend_stubs/3.11/triton_python_backend_stub"
    for path in (server / "backends/python/libtriton_python.so", stub):
        path.parent.mkdir(parents=True)
        path.write_text(path.name)

    backends = setup.prepare_backend(tmp_path)

    expected = ["libtriton_python.so", "triton_python_backend_stub"]
    assert expected == sorted(path.name for path in (backends / "python").iterdir())
    assert os.access(backends / "python" / stub.name, os.X_OK)


def test_a_bare_python_can_run_it():
    """Neither setting up nor locking imports anything outside the standard library."""
    script = "import sys; import include.commands.setup, include.commands.lock; print(*sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-S", "-E", "-c", script],
        cwd=REPOSITORY_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    loaded = {name.partition(".")[0] for name in answer.stdout.split()}
    assert loaded <= set(sys.stdlib_module_names) | {"__main__", "include"}


def test_every_environment_has_a_lock():
    """The three locks lie where setting up looks for them."""
    missing = [item.lock for item in setup.ENVIRONMENTS if not Path(REPOSITORY_ROOT / item.lock).exists()]

    assert missing == []
    assert TRITON in setup.ENVIRONMENTS
