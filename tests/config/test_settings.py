import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from include.config.settings import REPOSITORY_ROOT, Settings


def test_every_setting_is_documented():
    """docs/settings.md names each variable, and none that does not exist."""
    text = (REPOSITORY_ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `NINETY_(\w+)` \|", text, flags=re.M))
    assert {name.upper() for name in Settings.model_fields} == documented


def test_variables_override_defaults(monkeypatch, tmp_path):
    """The environment decides."""
    monkeypatch.setenv("NINETY_HOME", str(tmp_path))
    monkeypatch.setenv("NINETY_GATEWAY_PORT", "18000")
    settings = Settings()
    assert (f"sqlite:///{tmp_path / 'ledger' / 'ledger.sqlite3'}", "http://127.0.0.1:18000") == (
        settings.ledger_uri,
        settings.gateway_url,
    )


def test_every_triton_that_serves_is_named(monkeypatch):
    """The platform's own unless others are listed, each as host:port."""
    assert ("127.0.0.1:8001",) == Settings().serving_endpoints
    monkeypatch.setenv("NINETY_TRITON_ENDPOINTS", '["a:1", "b.example:8001"]')
    assert ("a:1", "b.example:8001") == Settings().serving_endpoints
    monkeypatch.setenv("NINETY_TRITON_ENDPOINTS", '["http://a:1"]')
    with pytest.raises(ValidationError, match="triton_endpoints"):
        Settings()


def test_a_wrong_value_is_refused(monkeypatch):
    """A port is a port."""
    monkeypatch.setenv("NINETY_GATEWAY_PORT", "many")
    with pytest.raises(ValidationError, match="gateway_port"):
        Settings()


def test_an_unknown_variable_is_refused(monkeypatch):
    """A misspelt setting must not be silently without effect."""
    monkeypatch.setenv("NINETY_GATEWAY_PROT", "18000")
    with pytest.raises(ValidationError, match="NINETY_GATEWAY_PROT"):
        Settings()


def test_settings_touch_no_disk(monkeypatch, tmp_path):
    """Reading settings creates nothing."""
    monkeypatch.setenv("NINETY_HOME", str(tmp_path / "home"))
    assert not Path(Settings().secrets_folder).parent.exists()


def test_a_queue_needs_a_database_on_a_server(monkeypatch):
    """Workers elsewhere cannot report into a file of this machine."""
    monkeypatch.setenv("NINETY_CELERY_BROKER_URL", "redis://h/2")
    with pytest.raises(ValidationError, match="needs airflow_database_url"):
        Settings()
    monkeypatch.setenv("NINETY_AIRFLOW_DATABASE_URL", "sqlite:///airflow.db")
    with pytest.raises(ValidationError, match="airflow_database_url"):
        Settings()
    monkeypatch.setenv("NINETY_AIRFLOW_DATABASE_URL", "postgresql+psycopg://u:p@h/airflow")
    assert "redis://h/2" == Settings().celery_broker_url
