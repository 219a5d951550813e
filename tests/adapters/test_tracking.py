from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mlflow import MlflowClient

from include.adapters.tracking import Tracking
from include.config.settings import Settings
from include.contracts.errors import RegistryError
from include.contracts.packages import Version
from tests.buckets import keys_of, new_bucket
from tests.databases import new_database
from tests.servers import running_mlflow

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy"  # SQLAlchemy's word to MLflow
)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("server", marks=pytest.mark.services)])
def uri(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the URI of a fresh MLflow: in a file, and as a server on PostgreSQL and a bucket."""
    if request.param == "server":
        return str(request.getfixturevalue("mlflow_server"))
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.sqlite3'}"


@pytest.fixture(scope="module")
def mlflow_server(
    postgres: str, s3: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Run the server as `Procfile` does; give its URL."""
    bucket = new_bucket()
    with running_mlflow(
        new_database(postgres), f"s3://{bucket}/runs", tmp_path_factory.mktemp("server")
    ) as url:
        yield url
        assert any(key.endswith("package/model.onnx") for key in keys_of(bucket))


@pytest.fixture
def tracking(uri: str) -> Tracking:
    """Give a client."""
    return Tracking(Settings(), uri=uri)


def version_of(run_id: str, number: str = "1.0.0", model: str = "churn") -> Version:
    """Return a version of a run."""
    return Version(
        model=model,
        version=number,
        artefact_sha256=f"sha-{number}",
        package_uri=f"packages/{model}/{number}",
        run_id=run_id,
        requested_by="ada",
        registered_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_run_keeps_what_was_logged(tracking: Tracking, uri: str) -> None:
    """Tags, parameters, metrics by step and the end of a run are there to be read."""
    run_id = tracking.start_run("churn", "first", {"commit": "abc"})
    tracking.log_parameters(run_id, {"hidden": 32, "service": "churn_v1"})
    tracking.log_metrics(run_id, {"loss": 0.5}, step=1)
    tracking.log_metrics(run_id, {"loss": 0.4}, step=2)
    tracking.end_run(run_id)
    client = MlflowClient(tracking_uri=uri)
    run = client.get_run(run_id)
    assert ("abc", "32", 0.4) == (
        run.data.tags["commit"],
        run.data.params["hidden"],
        run.data.metrics["loss"],
    )
    assert [1, 2] == [point.step for point in client.get_metric_history(run_id, "loss")]
    assert run.info.status == "FINISHED"


def test_failed_run_says_so(tracking: Tracking, uri: str) -> None:
    """A run that failed is not told as finished."""
    run_id = tracking.start_run("churn", "second", {})
    tracking.end_run(run_id, failed=True)
    assert MlflowClient(tracking_uri=uri).get_run(run_id).info.status == "FAILED"


def test_a_killed_run_does_not_stay_running(tracking: Tracking, uri: str) -> None:
    """The same training begun again ends the run its killed process left open; others go on."""
    killed = tracking.start_run("killed", "as of May", {"commit": "abc"})
    other = tracking.start_run("killed", "as of May", {"commit": "def"})
    again = tracking.start_run("killed", "as of May", {"commit": "abc"})
    client = MlflowClient(tracking_uri=uri)
    assert ["KILLED", "RUNNING", "RUNNING"] == [
        client.get_run(run).info.status for run in (killed, other, again)
    ]


def test_version_is_registered_once(tracking: Tracking, uri: str, tmp_path: Path) -> None:
    """Registering twice makes one version, tagged, ready, its package beside it."""
    (tmp_path / "model.onnx").write_bytes(b"graph")
    run_id = tracking.start_run("churn", "third", {})
    for _ in range(2):
        tracking.register(version_of(run_id), tmp_path, {"commit": "abc"}, "# card")
    (found,) = MlflowClient(tracking_uri=uri, registry_uri=uri).search_model_versions("name = 'churn'")
    assert {"semver": "1.0.0", "artefact_sha256": "sha-1.0.0", "commit": "abc"} == found.tags
    assert ("READY", "# card") == (found.status, found.description)
    assert f"runs:/{run_id}/package" == found.source
    assert ["package/model.onnx"] == [
        item.path for item in MlflowClient(tracking_uri=uri).list_artifacts(run_id, "package")
    ]


def test_a_long_description_is_cut_to_what_mlflow_holds(tracking: Tracking, uri: str, tmp_path: Path) -> None:
    """A model's card may be longer than MLflow's column; registering it fails nowhere, and it says so."""
    (tmp_path / "model.onnx").write_bytes(b"model")
    version = version_of(tracking.start_run("wordy", "wordy", {}), model="wordy")
    tracking.register(version, tmp_path, {}, "é" * 6000)
    (found,) = MlflowClient(tracking_uri=uri).search_model_versions("name = 'wordy'")
    assert 5000 == len(found.description)
    assert found.description.startswith("é" * 4900)
    assert "the whole card is on the version's page" in found.description


def test_alias_follows_semantic_versions(tracking: Tracking, tmp_path: Path) -> None:
    """An alias is set and read by semantic version, and moves."""
    run_id = tracking.start_run("spend", "first", {})
    assert tracking.alias("spend", "champion") is None
    for number in ("1.0.0", "1.1.0"):
        tracking.register(version_of(run_id, number, "spend"), tmp_path, {}, "")
        tracking.set_alias("spend", "champion", number)
        assert number == tracking.alias("spend", "champion")
    tracking.delete_alias("spend", "champion")
    tracking.delete_alias("spend", "champion")
    assert tracking.alias("spend", "champion") is None


def test_unknown_version_gets_no_alias(tracking: Tracking) -> None:
    """An alias needs a version that MLflow has."""
    with pytest.raises(RegistryError, match=r"has no churn 9\.9\.9; reconcile"):
        tracking.set_alias("churn", "champion", "9.9.9")


@pytest.mark.parametrize("uri", ["sqlite"], indirect=True)
def test_artefacts_lie_beside_the_database(tracking: Tracking, uri: str, tmp_path: Path) -> None:
    """A store in SQLite leaves nothing where the process happens to stand."""
    (tmp_path / "note.txt").write_text("kept")
    tracking.log_folder(tracking.start_run("churn", "notes", {}), tmp_path, "notes")
    database = Path(uri.removeprefix("sqlite:///"))
    assert ["kept"] == [path.read_text() for path in database.parent.rglob("note.txt")]


def test_number_belongs_to_one_package(tracking: Tracking, tmp_path: Path) -> None:
    """A number MLflow knows under another artefact hash is a conflict, never passed over."""
    run_id = tracking.start_run("basket", "first", {})
    version = version_of(run_id, model="basket")
    tracking.register(version, tmp_path, {}, "")
    with pytest.raises(RegistryError, match=r"has basket 1\.0\.0 with artefact sha-1\.0\.0"):
        tracking.register(version.model_copy(update={"artefact_sha256": "other"}), tmp_path, {}, "")


def test_server_that_is_down_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing listens, the error names the URL."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RegistryError, match=r"MLflow at http://127\.0\.0\.1:9 could not start a run"):
        Tracking(Settings(), uri="http://127.0.0.1:9").start_run("churn", "run", {})
