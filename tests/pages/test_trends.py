"""Measurements as lines and maps, and their plots."""

from datetime import UTC, datetime, timedelta

from include.contracts.measurements import Measurement, Monitor, Verdict
from include.pages.evaluation_plots import histogram_plot
from include.pages.monitor_plots import heat_plot, trend_plot
from include.pages.scores import score_shares
from include.pages.trends import heat_map, trends
from tests.reports import full_report

START = datetime(2026, 1, 1, tzinfo=UTC)


def measured(day: int, subject: str = "a", verdict: Verdict = Verdict.OK, **more) -> Measurement:
    """Return a figure of a day."""
    fields = {
        "model": "m",
        "monitor": Monitor.FEATURE_DRIFT,
        "subject": subject,
        "metric": "ks",
        "window_start": START + timedelta(days=day),
        "window_end": START + timedelta(days=day + 1),
        "value": day / 10,
        "n": 100,
        "verdict": verdict,
        "reason": "within",
    }
    return Measurement(**fields | more)


def test_lines_are_parted_by_what_they_are_of_and_ordered_by_time():
    """Metric, subject, version and slice make a line."""
    found = trends([measured(2), measured(1), measured(1, version="1.0.0"), measured(1, slice="v.c=x")])
    named = {(line.version, line.slice): [point.at.day for point in line.points] for line in found}
    assert {(None, None): [3, 4], ("1.0.0", None): [3], (None, "v.c=x"): [3]} == named


def test_a_window_measured_again_is_one_point_as_measured_last():
    """Late labels change a day; a week that ends with it is another line."""
    week = measured(1, window_start=START - timedelta(days=5))
    found = trends([measured(1, value=0.5), measured(1, value=0.7), week])
    assert [(86_400.0, [0.7]), (7 * 86_400.0, [0.1])] == [
        (line.window_seconds, [point.value for point in line.points]) for line in found
    ]


def test_what_was_expected_stands_beside_what_came():
    """In one plot, told apart by name."""
    came, expected = trends([measured(1, metric="roc_auc"), measured(1, metric="expected_roc_auc")][::-1])[
        ::-1
    ]
    assert came.plot == expected.plot == "roc_auc"
    assert (False, True) == (came.is_expected, expected.is_expected)
    assert came.name != expected.name


def test_a_map_shows_the_worst_of_a_window_and_leaves_gaps():
    """Two metrics of one feature are one cell; where nothing was measured there is none."""
    found = heat_map([measured(1), measured(1, metric="psi", verdict=Verdict.ALARM), measured(2, "b")])
    assert ("a", "b") == found.subjects
    assert [[Verdict.ALARM, None], [None, Verdict.OK]] == [
        [cell and cell.verdict for cell in row] for row in found.cells
    ]
    assert heat_map([]) is None


def test_an_interval_is_drawn_only_where_there_is_one():
    """A band of two edges under the line, else the line alone."""
    plain = trend_plot("t", trends([measured(1), measured(2)]))
    banded = trend_plot("t", trends([measured(1, low=0.0, high=0.3), measured(2, low=0.1, high=0.4)]))
    assert (1, 3) == (len(plain.data), len(banded.data))


def test_names_are_shown_by_plots_as_they_are():
    """Plotly reads a little HTML: what data and people say must not become any."""
    hostile = "<a href='https://elsewhere.example'>x</a>"
    heat = heat_plot("t", heat_map([measured(1, hostile, reason=hostile)])).document
    line = trend_plot("t", trends([measured(1, hostile), measured(1, "b")])).document
    histogram = histogram_plot(
        "t", [full_report().histograms[0].model_copy(update={"label": hostile})]
    ).document
    for document in (heat, line, histogram):
        assert "<a" not in str(document["data"])
        assert "&lt;a" in str(document["data"])


def test_plots_name_no_colour_but_the_themes():
    """Light and dark are the style sheet's."""
    drawn = str(trend_plot("t", trends([measured(1)])).document) + str(
        heat_plot("t", heat_map([measured(1)])).document
    )
    assert "var(--" in drawn
    assert "#" not in drawn
    assert "rgb" not in drawn


def test_the_latest_distribution_of_scores_is_kept_by_version():
    """Not an earlier look's, and not the comparison with a week ago."""
    details = {"shares": [0.2, 0.8], "reference_shares": [0.5, 0.5]}
    looks = [
        measured(day, "score", metric=metric, version=version, details=details)
        for day, metric, version in (
            (1, "chi_squared", "1.0.0"),
            (2, "chi_squared", "1.0.1"),
            (2, "chi_squared_week_ago", "1.0.2"),
        )
    ]
    [found] = score_shares(looks)
    assert ("1.0.1", (0.2, 0.8), (0.5, 0.5)) == (found.version, found.now, found.reference)
    assert () == score_shares([measured(1)])
