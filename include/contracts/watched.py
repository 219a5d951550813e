"""Metrics as the `monitoring:` block calls them."""

from include.contracts.model import Metric, ModelContract
from include.contracts.signatures import Task

_SYNONYMS = {"auc_roc": Metric.ROC_AUC}
"""Names teams write for metrics that gates call otherwise."""


def names_of(task: Task) -> tuple[str, ...]:
    """Return every name `monitoring:` may call a metric of a task by."""
    own = [metric.value for metric in Metric if task in metric.tasks]
    return (*own, *(name for name, metric in _SYNONYMS.items() if task in metric.tasks))


def metric_named(name: str, task: Task) -> Metric | None:
    """Return the metric of a task that a name stands for; None if there is none."""
    if name not in names_of(task):
        return None
    return _SYNONYMS[name] if name in _SYNONYMS else Metric(name)


def watched_metrics(contract: ModelContract) -> dict[str, Metric]:
    """Return the metrics of a contract's performance monitoring by the name it calls them."""
    performance = contract.monitoring.performance_monitoring
    found = {name: metric_named(name, contract.task) for name in (performance.metrics if performance else ())}
    return {name: metric for name, metric in found.items() if metric is not None}
