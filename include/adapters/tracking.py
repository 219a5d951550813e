"""MLflow: runs, registered versions and aliases. A projection of the ledger, never its truth."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from include.config.settings import Settings
from include.contracts.errors import RegistryError
from include.contracts.packages import Version

PACKAGE_PATH = "package"
"""Folder of a run's artefacts that holds the package."""

_MOST_METRICS = 1000
_LONGEST_DESCRIPTION = 5000
"""Characters that MLflow's column has room for; PostgreSQL refuses more, SQLite never minds."""
_CUT = "\n\n… cut for MLflow; the whole card is on the version's page and in the artefact store."
"""MLflow takes no more in one call."""

_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
"""MLflow's own switches: silent, and a server that is down is told of in seconds, not minutes."""


class Tracking:
    """Client of an MLflow server.

    Args:
        settings: names the server.
        uri: a tracking URI to use instead, such as `sqlite:///…`.
    """

    def __init__(self, settings: Settings, uri: str | None = None) -> None:
        self._uri = uri or settings.tracking_uri
        self._client = _client(self._uri)

    def start_run(self, model: str, name: str, tags: Mapping[str, str]) -> str:
        """Start a run in the model's experiment and return its id.

        A run still open under the same name and tags is of a process that was killed, and ends as such.
        """
        with self._speaking("start a run"):
            experiment = self._experiment(model)
            self._end_killed(experiment, name, tags)
            return str(self._client.create_run(experiment, run_name=name, tags=dict(tags)).info.run_id)

    def log_parameters(self, run_id: str, parameters: Mapping[str, object]) -> None:
        """Add parameters to a run."""
        from mlflow.entities import Param  # noqa: PLC0415 - as in _client

        with self._speaking("log parameters"):
            entries = [Param(name, str(value)) for name, value in parameters.items()]
            self._client.log_batch(run_id, params=entries)

    def log_metrics(self, run_id: str, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add metrics to a run, at a step of its training if there is one."""
        from mlflow.entities import Metric  # noqa: PLC0415 - as in _client
        from mlflow.utils.time import get_current_time_millis  # noqa: PLC0415

        with self._speaking("log metrics"):
            now = get_current_time_millis()
            entries = [Metric(name, float(value), now, step or 0) for name, value in metrics.items()]
            for start in range(0, len(entries), _MOST_METRICS):
                self._client.log_batch(run_id, metrics=entries[start : start + _MOST_METRICS])

    def log_folder(self, run_id: str, folder: Path, path: str) -> None:
        """Upload a folder's files to a run's artefacts under a path."""
        with self._speaking(f"upload {folder}"):
            self._client.log_artifacts(run_id, str(folder), path)

    def log_file(self, run_id: str, path: Path) -> None:
        """Upload one file to the root of a run's artefacts."""
        with self._speaking(f"upload {path}"):
            self._client.log_artifact(run_id, str(path))

    def end_run(self, run_id: str, failed: bool = False) -> None:
        """End a run."""
        with self._speaking("end a run"):
            self._client.set_terminated(run_id, "FAILED" if failed else "FINISHED")

    def register(self, version: Version, package: Path, tags: Mapping[str, str], description: str) -> None:
        """Register a version with its package; one that is there only gets the description it lacks.

        Raises:
            RegistryError: MLflow has the number with another artefact, lacks the run, or is down.
        """
        if self._has(version):
            self._describe(version, description)
            return
        self.log_folder(version.run_id, package, PACKAGE_PATH)
        with self._speaking(f"register {version.model} {version.version}"):
            self._client.create_model_version(
                version.model,
                source=f"runs:/{version.run_id}/{PACKAGE_PATH}",
                run_id=version.run_id,
                description=_fitting(description),
                tags={
                    **tags,
                    "semver": version.version,
                    "artefact_sha256": version.artefact_sha256,
                },
            )

    def versions(self, model: str) -> dict[str, str]:
        """Return MLflow's version number by semantic version; the model is created where it is new."""
        with self._speaking(f"list versions of {model}"):
            self._ensure_model(model)
            return {item.tags["semver"]: str(item.version) for item in self._registered(model)}

    def set_alias(self, model: str, alias: str, semver: str) -> None:
        """Point an alias at a version.

        Raises:
            RegistryError: MLflow does not have the version yet.
        """
        number = self.versions(model).get(semver)
        if number is None:
            raise RegistryError(
                f"MLflow at {self._uri} has no {model} {semver}; reconcile the registry first"
            )
        with self._speaking(f"set alias {alias}"):
            self._client.set_registered_model_alias(model, alias, number)

    def delete_alias(self, model: str, alias: str) -> None:
        """Take an alias away; where there is none, do nothing."""
        with self._speaking(f"delete alias {alias}"):
            self._client.delete_registered_model_alias(model, alias)

    def alias(self, model: str, alias: str) -> str | None:
        """Return the semantic version an alias points at; None where it points at nothing."""
        with self._speaking(f"read alias {alias}"):
            self._ensure_model(model)
            # A number or its text, depending on the store behind MLflow.
            number = str(self._client.get_registered_model(model).aliases.get(alias))
            found = (item for item in self._registered(model) if str(item.version) == number)
            return next((item.tags["semver"] for item in found), None)

    def _has(self, version: Version) -> bool:
        with self._speaking(f"list versions of {version.model}"):
            self._ensure_model(version.model)
            tags = [item.tags for item in self._registered(version.model)]
        known = [tag["artefact_sha256"] for tag in tags if tag["semver"] == version.version]
        if known and version.artefact_sha256 not in known:
            raise RegistryError(
                f"MLflow at {self._uri} has {version.model} {version.version} with artefact "
                f"{known[0][:12]}, the ledger with {version.artefact_sha256[:12]}; remove MLflow's and "
                "reconcile"
            )
        return bool(known)

    def _describe(self, version: Version, description: str) -> None:
        """Give a version its description where it was registered before there was one."""
        with self._speaking(f"describe {version.model} {version.version}"):
            for item in self._registered(version.model):
                if item.tags["semver"] == version.version and description and not item.description:
                    self._client.update_model_version(version.model, str(item.version), _fitting(description))

    def _registered(self, model: str) -> Iterator[Any]:
        token = None
        while True:
            page = self._client.search_model_versions(f"name = '{model}'", page_token=token)
            yield from (item for item in page if "semver" in item.tags)
            token = page.token
            if not token:
                return

    def _ensure_model(self, model: str) -> None:
        if not self._client.search_registered_models(f"name = '{model}'"):
            with _already_there_is_fine():
                self._client.create_registered_model(model)

    def _experiment(self, model: str) -> str:
        if self._client.get_experiment_by_name(model) is None:
            with _already_there_is_fine():
                self._client.create_experiment(model, artifact_location=_artefacts_beside(self._uri, model))
        return str(self._client.get_experiment_by_name(model).experiment_id)

    def _end_killed(self, experiment: str, name: str, tags: Mapping[str, str]) -> None:
        for run in self._client.search_runs([experiment], "attributes.status = 'RUNNING'"):
            if run.info.run_name == name and tags.items() <= run.data.tags.items():
                self._client.set_terminated(run.info.run_id, "KILLED")

    @contextmanager
    def _speaking(self, purpose: str) -> Iterator[None]:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - as in _client

        try:
            yield
        except MlflowException as error:
            raise RegistryError(f"MLflow at {self._uri} could not {purpose}: {error}") from error


def _artefacts_beside(uri: str, model: str) -> str | None:
    """Return where a SQLite store's artefacts go; a server decides for itself.

    MLflow's own default is a folder of wherever the process stands.
    """
    path = uri.removeprefix("sqlite:///")
    return None if path == uri else str(Path(path).resolve().with_suffix(".artefacts") / model)


def _client(uri: str) -> Any:  # noqa: ANN401 - MLflow carries no types here
    # MLflow reads its switches when it is imported, so they are set first.
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient  # noqa: PLC0415

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


@contextmanager
def _already_there_is_fine() -> Iterator[None]:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - as in _client

    try:
        yield
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _fitting(description: str) -> str:
    """Return a description as MLflow can hold it."""
    if len(description) <= _LONGEST_DESCRIPTION:
        return description
    return description[: _LONGEST_DESCRIPTION - len(_CUT)] + _CUT
