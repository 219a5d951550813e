"""Whoever is woken by an alert finds a page that says what to do."""

from pathlib import Path

import pytest

from include.contracts.alerts import AlertKind

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("kind", AlertKind)
def test_every_kind_of_alert_has_a_runbook(kind: AlertKind) -> None:
    """It is called as the kind is, has steps, and says what ends the alert."""
    page = ROOT / kind.runbook
    assert page.is_file(), f"write {kind.runbook}"
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {kind.value}\n")
    assert "\n1. " in text
    assert "resolve" in text


def test_no_runbook_is_of_nothing() -> None:
    """A page whose alert is gone only misleads."""
    pages = {path.stem for path in (ROOT / "docs" / "runbooks").glob("*.md")}
    assert pages == {kind.value for kind in AlertKind}
