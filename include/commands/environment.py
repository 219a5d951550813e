"""The environment of the platform's processes: settings, Airflow's configuration, no telemetry.

It carries no secret: Airflow reads its keys through commands, so that only its own processes hold them.
"""

import json
import os
import shlex

from include.commands.secrets import API_SECRET, FERNET_KEY, JWT_SECRET, PASSWORDS, USERS
from include.config.libraries import TASK_LIBRARIES
from include.config.settings import REPOSITORY_ROOT, AirflowAuth, Settings

NO_TELEMETRY = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "SCARF_ANALYTICS": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


def process_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of every process: the caller's, our settings, and Airflow's."""
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "VIRTUAL_ENV")
    }
    ours = {
        "PATH": os.pathsep.join([str(REPOSITORY_ROOT / ".venv" / "bin"), inherited.get("PATH", os.defpath)]),
        "PYTHONPATH": str(REPOSITORY_ROOT),
        "PYTHONUNBUFFERED": "1",
        "TZ": "UTC",
        "MLFLOW_BACKEND_STORE_URI": settings.mlflow_database_uri,
        "MLFLOW_ARTIFACTS_DESTINATION": settings.mlflow_artefacts,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # we use none; it costs a third of MLflow's start
    }
    return inherited | settings_environment(settings) | airflow_environment(settings) | NO_TELEMETRY | ours


def settings_environment(settings: Settings) -> dict[str, str]:
    """Return settings as the NINETY_… variables that read back as the same settings."""
    return {
        f"NINETY_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in settings.model_dump(mode="json").items()
    }


def airflow_environment(settings: Settings) -> dict[str, str]:
    """Return AIRFLOW_HOME and Airflow's configuration as AIRFLOW__… variables."""
    options = {
        **_core(settings),
        **_executor(settings),
        **_api(settings),
        **_scheduling(),
        **_logging(settings),
    }
    return {"AIRFLOW_HOME": str(settings.airflow_home)} | {
        f"AIRFLOW__{name}": value for name, value in options.items()
    }


def _core(settings: Settings) -> dict[str, str]:
    bundle = {
        "name": "repository",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(REPOSITORY_ROOT), "refresh_interval": 5},
    }
    return {
        "CORE__PARALLELISM": str(settings.parallelism),
        "CORE__FERNET_KEY_CMD": _read(settings, FERNET_KEY),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__PLUGINS_FOLDER": str(REPOSITORY_ROOT / "plugins"),
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__EXECUTION_API_SERVER_URL": f"{settings.airflow_url}/execution/",
        **_auth(settings),
        "DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        # On a busy machine a DAG that was not parsed for a minute is late, not gone.
        "CORE__DAGBAG_IMPORT_TIMEOUT": "120",
        "DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "300",
        "DAG_PROCESSOR__STALE_DAG_THRESHOLD": "600",
    }


def _auth(settings: Settings) -> dict[str, str]:
    if settings.airflow_auth is AirflowAuth.FAB:
        return {"CORE__AUTH_MANAGER": "named_users.NamedUsersAuthManager"}
    return {
        "CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in USERS.items()),
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(settings.secrets_folder / PASSWORDS),
    }


def _executor(settings: Settings) -> dict[str, str]:
    """Where Airflow keeps its state, and who runs its tasks: workers behind a queue, if there is one."""
    url = settings.airflow_database_url
    database = {"DATABASE__SQL_ALCHEMY_CONN": url} if url else {}
    if not settings.celery_broker_url:
        return {**database, "CORE__EXECUTOR": "preloaded_executor.PreloadedLocalExecutor"}
    return {
        **database,
        "CORE__EXECUTOR": "CeleryExecutor",
        "CELERY__BROKER_URL": settings.celery_broker_url,
        "CELERY__WORKER_CONCURRENCY": str(settings.parallelism),
        # Celery imports them before it forks its processes, as our own executor does.
        "CELERY__EXTRA_CELERY_CONFIG": json.dumps({"imports": TASK_LIBRARIES}),
    }


def _api(settings: Settings) -> dict[str, str]:
    return {
        "API__HOST": settings.host,
        "API__PORT": str(settings.airflow_port),
        "API__WORKERS": "1",
        "API__BASE_URL": settings.airflow_page_url,
        "API__SECRET_KEY_CMD": _read(settings, API_SECRET),
        "API_AUTH__JWT_SECRET_CMD": _read(settings, JWT_SECRET),
    }


def _scheduling() -> dict[str, str]:
    return {
        "SCHEDULER__ENABLE_HEALTH_CHECK": "False",  # it listens on every interface
        "SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "2",
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
    }


def _logging(settings: Settings) -> dict[str, str]:
    return {
        "LOGGING__BASE_LOG_FOLDER": str(settings.logs_folder / "airflow"),
        "LOGGING__COLORED_CONSOLE_LOG": "False",
    }


def _read(settings: Settings, secret: str) -> str:
    return f"cat {shlex.quote(str(settings.secrets_folder / secret))}"
