from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import pytest

from tests.monitoring.world import World, world


@pytest.fixture
def place(tmp_path: Path) -> World:
    """A model's place with nothing in production yet."""
    return world(tmp_path)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A place with a champion, made once; MLflow does not run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        made = world(tmp_path_factory.mktemp("world"))
        made.release()
        yield made


@pytest.fixture
def served(template: World, tmp_path: Path) -> World:
    """A place of the test's own with a champion."""
    copytree(template.home, tmp_path, dirs_exist_ok=True)
    return World(tmp_path, template.settings.model_copy(update={"home": tmp_path}))
