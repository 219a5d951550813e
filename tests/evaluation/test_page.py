"""The page of a report, as a browser gets it."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from include.contracts.reports import EvaluationReport, Verdict
from include.evaluation.page import report_page
from tests.reports import HOSTILE, full_report

FETCHING = {"src", "href", "{http://www.w3.org/1999/xlink}href", "xlink:href", "action", "data", "srcset"}


class Attributes(HTMLParser):
    """Collects the tags of a page, and what they would fetch."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.fetched: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one tag."""
        self.tags.add(tag)
        # A reference to a part of the same picture fetches nothing.
        self.fetched += [
            value or "" for name, value in attrs if name in FETCHING and not (value or "").startswith("#")
        ]


def test_every_part_is_on_the_page() -> None:
    """Gates with their figures, metrics of all three, each picture, each slice, Triton."""
    page = report_page(full_report())
    pictures = re.findall(r"<svg.*?</svg>", page, flags=re.S)
    # Our own bytes, parsed to see that they are well-formed.
    named = {ElementTree.fromstring(picture).attrib["aria-label"] for picture in pictures}  # noqa: S314
    assert {
        "ROC of the candidate",
        "Precision and recall of the candidate",
        "Distribution of the candidate's scores",
        "Observed share of positives against the mean score of each bin",
        "Difference of candidate and champion in each metric, with limits",
        "roc_auc in each window of the benchmark",
        "roc_auc of each slice with its interval",
        "Loss of the metric where one input is missing, unknown or extreme",
    } == named
    for text in (
        "roc_auc 0.8217 on 10154 test rows",
        "0.6886",
        "champion 1.0.0",
        "p99 1.2000 ms",
        "too few rows",
    ):
        assert text in page


def test_values_are_text_and_nothing_is_fetched() -> None:
    """Markup in somebody's data is shown as written; the page runs no script and needs no network."""
    page = report_page(full_report())
    found = Attributes(page)
    assert not found.tags & {"script", "link", "iframe", "img", "object"}
    assert found.fetched == []
    assert "alert(" in page
    assert HOSTILE not in page


def test_the_same_report_gives_the_same_page() -> None:
    """So that a page can be named by its hash."""
    assert report_page(full_report()) == report_page(full_report())


def test_pictures_take_the_ink_of_the_page() -> None:
    """One file for both themes: nothing is drawn in a colour of one of them."""
    page = report_page(full_report())
    assert "currentColor" in page
    assert not re.search(r"(fill|stroke): ?#(000000|ffffff|010203)", page)


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        (Verdict.PASS, "Every gate was reached."),
        (Verdict.FAIL, "Not to be registered: 1 of 1 gates were missed."),
        (Verdict.NOT_MEASURED, "Not to be registered: 1 were not measured."),
    ],
)
def test_verdict_stands_on_top(verdict: Verdict, text: str) -> None:
    """The first line says whether the candidate may be registered."""
    page = report_page(full_report(verdict))
    assert text in page[: page.index("<h2>")]


def test_report_of_an_earlier_form_has_a_page() -> None:
    """A report without windows, slices and the rest, as version 1 wrote them, is shown without them."""
    full = full_report().model_dump(mode="json")
    kept = {
        "model",
        "as_of",
        "test_start",
        "test_end",
        "test_rows",
        "metrics",
        "baseline_metrics",
        "champion_version",
        "champion_metrics",
        "gates",
    }
    early = EvaluationReport.model_validate(
        {"schema_version": 1, **{name: full[name] for name in kept}, "champion_version": None}
    )
    page = report_page(early)
    assert "no champion yet" in page
    assert "<svg" not in page
