"""Locks agree with what we chose."""

import pytest

from include.commands.lock import check_lock, differences, pins, without_torch_build
from include.commands.setup import LOCKED
from include.config.settings import REPOSITORY_ROOT


@pytest.mark.parametrize("environment", LOCKED, ids=lambda item: item.folder)
def test_every_version_we_chose_is_locked(environment):
    """requirements.txt and its lock name the same versions."""
    check_lock(REPOSITORY_ROOT, environment)


def test_a_difference_is_named():
    """Another version, or none at all: both are said."""
    chosen = "a==1\nB_c[x]==2\nfree\nd==4\n"

    expected = [
        "a is 1 in requirements.txt and 9 in the lock",
        "d is 4 in requirements.txt and absent in the lock",
    ]
    assert expected == differences(chosen, "a==9 \\\n    --hash=sha256:00\nb-c==2\n")


def test_any_build_of_torch_fits_the_lock():
    """Hashes, local version and CUDA libraries go; neighbours keep theirs."""
    lock = (
        "nvidia-nccl==2 \\\n    --hash=sha256:aa\n    # via torch\n"
        "nvidia-pytriton==0.7 \\\n    --hash=sha256:bb\n"
        "torch==2.13.0+cpu \\\n    --hash=sha256:cc \\\n    --hash=sha256:dd\n    # via -r requirements.txt\n"
        "tqdm==4 \\\n    --hash=sha256:ee\n"
    )

    expected = (
        "nvidia-pytriton==0.7 \\\n    --hash=sha256:bb\n"
        "torch==2.13.0\n    # via -r requirements.txt\n"
        "tqdm==4 \\\n    --hash=sha256:ee\n"
    )
    assert expected == without_torch_build(lock)


def test_everything_but_torch_is_hashed():
    """Each package of each lock carries hashes, torch excepted."""
    for environment in LOCKED:
        text = (REPOSITORY_ROOT / environment.lock).read_text()
        bare = [line for line in text.splitlines() if "==" in line and not line.endswith("\\")]
        expected = ["torch"] if environment is LOCKED[0] else []
        assert expected == list(pins("\n".join(line for line in bare if not line.startswith(" "))))
