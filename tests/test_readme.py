import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_a_page_names_exists(page):
    """No page tells people to type what the Makefile does not know."""
    named = set(re.findall(r"(?:`|^|\s)make ([a-z][a-z-]*)", page.read_text(encoding="utf-8"), flags=re.M))
    assert set() == named - TARGETS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page):
    """Links inside the repository name what is there."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [] == [link for link in links if not (page.parent / link).exists()]


def test_every_place_the_readme_names_exists():
    """The where-is-what table is true."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    places = re.findall(r"`((?:include|dags|plugins|serving|docs)/[\w/.]*)`", text)
    assert [] == [place for place in places if not (ROOT / place).exists()]


def test_help_lists_every_target():
    """`make` alone tells what there is."""
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert TARGETS == set(re.findall(r"^  make ([a-z-]+)", shown, flags=re.M))
