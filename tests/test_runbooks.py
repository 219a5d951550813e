"""Whoever is woken by an alert finds a page that says what to do."""

from pathlib import Path

import pytest
import yaml

from include.contracts.alerts import AlertKind

ROOT = Path(__file__).parents[1]
RULES = ROOT / "docker" / "prometheus" / "ninety.rules.yml"


@pytest.mark.parametrize("kind", AlertKind)
def test_every_kind_of_alert_has_a_runbook(kind: AlertKind) -> None:
    """It is called as the kind is, has steps, and says what ends the alert."""
    page = ROOT / kind.runbook
    assert page.is_file(), f"write {kind.runbook}"
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {kind.value}\n")
    assert "\n1. " in text
    assert "resolve" in text


def named_by_rules() -> set[str]:
    """Return the runbooks that Prometheus' rules name."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["annotations"]["runbook"] for group in groups for rule in group["rules"]}


def test_no_runbook_is_of_nothing() -> None:
    """A page whose alert is gone only misleads; every page is of a kind, or named by a rule of Prometheus."""
    pages = {f"docs/runbooks/{path.name}" for path in (ROOT / "docs" / "runbooks").glob("*.md")}
    assert pages == {kind.runbook for kind in AlertKind} | named_by_rules()


@pytest.mark.parametrize("kind", AlertKind)
def test_every_kind_is_raised_by_something(kind: AlertKind) -> None:
    """A kind nobody raises is a page nobody needs."""
    sources = [path for room in ("include", "plugins", "dags") for path in (ROOT / room).rglob("*.py")]
    assert any(f"AlertKind.{kind.name}" in path.read_text(encoding="utf-8") for path in sources)
