"""What a contract's keys allow one by one, and the contract as a whole does not."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product
from math import inf, isclose, isfinite

from include.contracts.errors import ContractError
from include.contracts.guardrails import RequestMetric
from include.contracts.model import Metric, ModelContract, Threshold
from include.contracts.moments import format_duration
from include.contracts.monitoring import PredictionMetric
from include.contracts.routes import Fallback
from include.contracts.rules import RetrainTrigger
from include.contracts.signatures import Task
from include.contracts.watched import metric_named, names_of
from include.contracts.windows import training_windows

_RANGES = {
    Metric.R2: (-inf, 1.0),
    Metric.LOG_LOSS: (0.0, inf),
    Metric.MEAN_ABSOLUTE_ERROR: (0.0, inf),
    Metric.ROOT_MEAN_SQUARED_ERROR: (0.0, inf),
}
_UNIT = (0.0, 1.0)
_WATCHED_BY = {
    "prediction_distribution": "chi_squared",
    "confidence_calibration": "expected_calibration_error",
}
_REQUEST_METRICS = tuple(metric.value for metric in RequestMetric)
_RATIOS = (RequestMetric.ERROR_RATIO, RequestMetric.FALLBACK_RATIO)
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_SOME_DAY = datetime(2000, 1, 1, tzinfo=UTC)


def contradictions(contract: ModelContract) -> tuple[str, ...]:
    """Return what cannot be meant, one line each: the path of the key, then the reason."""
    return (
        *_owner(contract),
        *_inputs(contract),
        *_training(contract),
        *_thresholds(contract),
        *_parts(contract),
        *_margins(contract),
        *_slices(contract),
        *_ladder(contract),
        *_default_score(contract),
        *_rollout(contract),
        *_experiment_metrics(contract),
        *_monitoring(contract),
        *_repeated("approvers.users", contract.approvers.users),
    )


def metric_range(metric: Metric) -> tuple[float, float]:
    """Return the smallest and the largest value a metric can have."""
    return _RANGES.get(metric, _UNIT)


def _owner(contract: ModelContract) -> Iterator[str]:
    for key, value in (("team", contract.owner.team), ("on_call", contract.owner.on_call)):
        if not value.strip():
            yield f"owner.{key}: is empty"
    if not _ADDRESS.fullmatch(contract.owner.email):
        yield f"owner.email: {contract.owner.email!r} is no e-mail address"


def _inputs(contract: ModelContract) -> Iterator[str]:
    for index, item in enumerate(contract.features.inputs):
        bounds = [bound for bound in (item.minimum, item.maximum) if bound is not None]
        if not all(map(isfinite, bounds)) or bounds != sorted(bounds):
            yield (
                f"features.inputs.{index}: nothing lies between minimum {item.minimum} "
                f"and maximum {item.maximum}"
            )


def _training(contract: ModelContract) -> Iterator[str]:
    training = contract.training
    for key in ("history", "snapshot_every", "validation", "test"):
        if getattr(training, key) <= timedelta():
            yield f"training.{key}: must be longer than 0s"
    try:
        training_windows(training, contract.label, _SOME_DAY)
    except ContractError as error:
        yield str(error)


def _thresholds(contract: ModelContract) -> Iterator[str]:
    gates = contract.gates
    yield from _bounds("gates.thresholds", gates.thresholds)
    yield from _bounds("gates.benchmark.thresholds", gates.benchmark.thresholds)
    yield from _bounds("gates.slices", gates.slices)


def _bounds(path: str, thresholds: tuple[Threshold, ...]) -> Iterator[str]:
    by_metric: dict[Metric, list[tuple[int, Threshold]]] = {}
    for index, threshold in enumerate(thresholds):
        by_metric.setdefault(threshold.metric, []).append((index, threshold))
        yield from _out_of_reach(f"{path}.{index}", threshold)
    for metric, given in by_metric.items():
        for (_, first), (index, second) in pairwise(given):
            where = f"{path}.{index}"
            minimum = first.minimum if second.minimum is None else second.minimum
            maximum = first.maximum if second.maximum is None else second.maximum
            if minimum is None or maximum is None:
                yield f"{where}: {metric.value} has two bounds on the same side; keep the stricter one"
            elif minimum > maximum:
                yield f"{where}: {metric.value} can never be at least {minimum:g} and at most {maximum:g}"


def _parts(contract: ModelContract) -> Iterator[str]:
    gates, training = contract.gates, contract.training
    parts, bounded = gates.benchmark.windows, gates.benchmark.thresholds
    if bounded and parts > 1 and training.test / parts < training.snapshot_every:
        yield (
            f"gates.benchmark.windows: {parts} parts of {format_duration(training.test)} are shorter than "
            f"training.snapshot_every, {format_duration(training.snapshot_every)}; one may hold no row at all"
        )
    if gates.slices and not contract.slices:
        yield "gates.slices: bounds slices, but 'slices' names none; nothing would ever be judged"
    yield from _against_whole("gates.benchmark.thresholds", bounded, gates.thresholds)
    yield from _against_whole("gates.slices", gates.slices, gates.thresholds)


def _against_whole(path: str, parts: tuple[Threshold, ...], whole: tuple[Threshold, ...]) -> Iterator[str]:
    """Tell bounds of parts that leave no room beside those of the whole they are parts of."""
    for (index, part), (place, other) in product(enumerate(parts), enumerate(whole)):
        if part.metric is not other.metric or (part.minimum is None) == (other.minimum is None):
            continue
        lower, upper = (part, other) if part.minimum is not None else (other, part)
        if lower.bound > upper.bound:
            yield (
                f"{path}.{index}: {part.metric.value} at {_told(part)} in a part cannot go with "
                f"gates.thresholds.{place}, at {_told(other)} over all rows"
            )


def _told(threshold: Threshold) -> str:
    return f"{'least' if threshold.minimum is not None else 'most'} {threshold.bound:g}"


def _out_of_reach(where: str, threshold: Threshold) -> Iterator[str]:
    lowest, highest = metric_range(threshold.metric)
    name = threshold.metric.value
    if threshold.minimum is not None and not (isfinite(threshold.minimum) and threshold.minimum <= highest):
        yield f"{where}.minimum: {threshold.minimum:g} can never be reached; {name} is at most {highest:g}"
    if threshold.maximum is not None and not (isfinite(threshold.maximum) and threshold.maximum >= lowest):
        yield f"{where}.maximum: {threshold.maximum:g} can never be kept; {name} is at least {lowest:g}"


def _margins(contract: ModelContract) -> Iterator[str]:
    baseline, champion = contract.gates.baseline, contract.gates.champion
    lowest, highest = metric_range(baseline.metric)
    if not isfinite(baseline.margin) or baseline.margin >= highest - lowest:
        yield (
            f"gates.baseline.margin: {baseline.margin:g} can never be reached; {baseline.metric.value} "
            f"lies within {lowest:g} and {highest:g}"
        )
    lowest, highest = metric_range(champion.metric)
    if not isfinite(champion.tolerance) or champion.tolerance >= highest - lowest:
        yield (
            f"gates.champion.tolerance: {champion.tolerance:g} lets everything pass; "
            f"{champion.metric.value} lies within {lowest:g} and {highest:g}"
        )


def _slices(contract: ModelContract) -> Iterator[str]:
    return _repeated("slices", [f"{part.view}.{part.column}" for part in contract.slices])


def _ladder(contract: ModelContract) -> Iterator[str]:
    ladder = [rung.value for rung in contract.serving.fallbacks]
    yield from _repeated("serving.fallbacks", ladder)
    end = Fallback.REFUSE.value
    if end in ladder[:-1]:
        yield f"serving.fallbacks: nothing after {end!r} is ever reached: {', '.join(ladder)}"


def _default_score(contract: ModelContract) -> Iterator[str]:
    score = contract.serving.default_score
    if score is None:
        return
    if Fallback.DEFAULT_SCORE not in contract.serving.fallbacks:
        yield "serving.default_score: is given, but serving.fallbacks does not name 'default_score'"
    if contract.task is not Task.REGRESSION and not all(0 <= value <= 1 for value in score):
        yield f"serving.default_score: {list(score)} are no probabilities"
    elif contract.task is Task.MULTICLASS and not isclose(sum(score), 1.0, abs_tol=1e-6):
        yield f"serving.default_score: the classes' probabilities sum to {sum(score):g}, not to 1"


def _rollout(contract: ModelContract) -> Iterator[str]:
    for index, stage in enumerate(contract.rollout.stages[:-1]):
        if not stage.hold and not stage.minimum_requests:
            yield (
                f"rollout.stages.{index}: at share {stage.share:g} it neither holds nor waits for requests, "
                "so nothing can be judged; give it a 'hold' or 'minimum_requests', or leave it out"
            )
    yield from _guardrails(contract)
    yield from _labels(contract)


def _guardrails(contract: ModelContract) -> Iterator[str]:
    """Tell guardrails that cannot judge a stage: unknown ones, and those whose value comes too late."""
    plan = contract.rollout
    yield from _repeated("rollout.guardrails", [item.metric for item in plan.guardrails])
    for index, item in enumerate(plan.guardrails):
        where = f"rollout.guardrails.{index}"
        if item.metric not in _REQUEST_METRICS:
            yield (
                f"{where}.metric: {item.metric!r} is not measured of every request; there are: "
                f"{', '.join(_REQUEST_METRICS)}; what needs labels judges the bake, under rollout.labels"
            )
        if item.metric in _RATIOS and item.baseline is None:
            yield f"{where}.baseline: without what is expected, no number of requests can be derived"
        if item.metric in _RATIOS and (item.baseline or 0.0) + 2.0 * item.margin >= 1.0:
            yield f"{where}.margin: {item.margin:g} lets nearly every request fail"
        for place, stage in enumerate(plan.stages[:-1]):
            if stage.hold < item.matures_in:
                yield (
                    f"{where}.matures_in: {item.metric} is known {format_duration(item.matures_in)} after a "
                    f"request, and rollout.stages.{place} holds {format_duration(stage.hold)} only"
                )


def _labels(contract: ModelContract) -> Iterator[str]:
    """Tell label metrics that nobody measures, or not before the bake is over."""
    plan, watched = contract.rollout, contract.monitoring.performance_monitoring
    measured = watched.metrics if watched is not None else ()
    yield from _repeated("rollout.labels", [item.metric for item in plan.labels])
    for index, item in enumerate(plan.labels):
        where = f"rollout.labels.{index}.metric"
        if item.metric not in measured:
            yield (
                f"{where}: {item.metric!r} is not measured; monitoring.performance_monitoring has: "
                f"{', '.join(measured) or 'nothing'}"
            )
        if plan.bake < contract.label.delay:
            yield (
                f"{where}: a label is known {format_duration(contract.label.delay)} after its moment, and "
                f"rollout.bake is over after {format_duration(plan.bake)}"
            )


def _experiment_metrics(contract: ModelContract) -> Iterator[str]:
    yield from _repeated("experiment_metrics", [item.name for item in contract.experiment_metrics])
    for index, item in enumerate(contract.experiment_metrics):
        if item.source == "label" and item.matures_in < contract.label.delay:
            yield (
                f"experiment_metrics.{index}.matures_in: {format_duration(item.matures_in)} is before the "
                f"label is known, {format_duration(contract.label.delay)} after its moment"
            )


def _monitoring(contract: ModelContract) -> Iterator[str]:
    monitoring = contract.monitoring
    scores, performance = monitoring.prediction_drift, monitoring.performance_monitoring
    watched_scores = scores.metrics if scores else ()
    for index, watched in enumerate(watched_scores):
        yield from _watched(f"monitoring.prediction_drift.metrics.{index}", watched, contract.task)
    yield from _repeated("monitoring.prediction_drift.metrics", [each.name for each in watched_scores])
    if performance is None and "confidence_calibration" in {each.name for each in watched_scores}:
        yield (
            "monitoring.prediction_drift.metrics: 'confidence_calibration' needs labels, which "
            "'monitoring.performance_monitoring' joins; add the block"
        )
    names = performance.metrics if performance else ()
    for index, name in enumerate(names):
        if metric_named(name, contract.task) is None:
            known = ", ".join(names_of(contract.task))
            yield (
                f"monitoring.performance_monitoring.metrics.{index}: {name!r} is no metric of a "
                f"{contract.task.value} model; there are: {known}"
            )
    yield from _repeated("monitoring.performance_monitoring.metrics", names)
    if monitoring.auto_retrain is not None:
        yield from _trigger(monitoring.auto_retrain.trigger, names)


def _trigger(trigger: RetrainTrigger, watched: tuple[str, ...]) -> Iterator[str]:
    where = "monitoring.auto_retrain.trigger"
    if not watched:
        yield f"{where}: nothing measures performance; it needs 'monitoring.performance_monitoring'"
    elif trigger.metric is not None and trigger.metric not in watched:
        yield (
            f"{where}: {trigger.metric!r} is not among monitoring.performance_monitoring.metrics: "
            f"{', '.join(watched)}"
        )


def _watched(where: str, watched: PredictionMetric, task: Task) -> Iterator[str]:
    if watched.name == "confidence_calibration" and task is not Task.BINARY:
        yield f"{where}: {watched.name!r} is of a binary model's chances, not of a {task.value} model"
    needed = _WATCHED_BY[watched.name]
    if watched.method != needed:
        yield f"{where}.method: {watched.name!r} is measured by {needed!r}, not by {watched.method!r}"


def _repeated(where: str, names: Iterable[str]) -> Iterator[str]:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        yield f"{where}: named more than once: {', '.join(twice)}"
