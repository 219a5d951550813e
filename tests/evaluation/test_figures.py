from mlflow.utils.validation import _validate_metric_name

from include.evaluation.figures import figures
from tests.reports import full_report


def test_a_slice_keeps_a_name_of_its_own():
    """None, text like it, signs a tracking server refuses, and a column of another view stay apart."""
    values = (None, "", "missing", "no value", "<20", ">20", "65+", "65:2b:", "age", "a.b")
    first, *_ = full_report().slices
    slices = [first.model_copy(update={"value": value}) for value in values]
    slices += [each.model_copy(update={"view": "customer_spending"}) for each in slices]
    found = figures(full_report().model_copy(update={"slices": tuple(slices)}))
    names = [name for name in found if name.startswith("slice.")]
    assert 2 * 2 * len(values) == len(names)
    for name in names:
        _validate_metric_name(name)
    assert {
        "slice.customer_demographics.age.65:2b:.roc_auc",
        "slice.customer_demographics.age.:none:.roc_auc",
        "slice.customer_demographics.age.missing.rows",
    } <= set(names)


def test_every_part_of_a_report_is_tracked():
    """Metrics, comparison, windows, calibration, robustness, serving, and how many gates were missed."""
    found = figures(full_report())
    assert {
        "test_roc_auc": 0.8217,
        "champion_brier": 0.135,
        "difference_roc_auc_lower": 0.004,
        "window_2_roc_auc": 0.82,
        "calibration_error_by_chance": 0.009,
        "degradation_unknown_category": 0.012,
        "triton_latency_p99_ms": 1.2,
        "replay_rows": 1_000.0,
        "gates_failed": 0.0,
    }.items() <= found.items()
