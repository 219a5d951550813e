"""The environment of every process."""

from pathlib import Path

from include.commands.environment import airflow_environment, process_environment, settings_environment
from include.commands.secrets import ensure_secrets
from include.config.settings import REPOSITORY_ROOT, Settings


def test_settings_read_back_as_they_were(tmp_path, monkeypatch):
    """A process started with this environment has the same settings."""
    settings = Settings(home=tmp_path, sources={"a": "/b"}, model_folders=(Path("/m"),), replay=True)

    for name, value in settings_environment(settings).items():
        monkeypatch.setenv(name, value)

    assert settings == Settings()


def test_no_secret_is_in_the_environment(tmp_path):
    """Keys and passwords stay in their files; the environment says only where they are."""
    settings = Settings(home=tmp_path)
    ensure_secrets(settings)
    secrets = {path.read_text() for path in settings.secrets_folder.iterdir()}

    values = "\n".join(process_environment(settings).values())

    assert [secret for secret in secrets if secret in values] == []


def test_airflow_listens_where_the_settings_say(tmp_path):
    """Host and port come from the settings; nothing else may listen."""
    environment = airflow_environment(Settings(home=tmp_path, airflow_port=18080))

    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert environment["AIRFLOW__API__PORT"] == "18080"
    assert environment["AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK"] == "False"
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:18080/execution/"


def test_our_packages_and_tools_come_first(tmp_path, monkeypatch):
    """PYTHONPATH is the repository, PATH begins with its environment, times are UTC."""
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("TZ", "Europe/Berlin")

    environment = process_environment(Settings(home=tmp_path))

    assert environment["PYTHONPATH"] == str(REPOSITORY_ROOT)
    assert environment["PATH"].startswith(str(REPOSITORY_ROOT / ".venv" / "bin") + ":")
    assert environment["TZ"] == "UTC"


def test_no_library_phones_home(tmp_path):
    """Each library's switch is set."""
    environment = process_environment(Settings(home=tmp_path))

    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert environment["DO_NOT_TRACK"] == "true"
    assert environment["GX_ANALYTICS_ENABLED"] == "false"
