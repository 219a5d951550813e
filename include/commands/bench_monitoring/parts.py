"""The parts of `make bench-monitoring`."""

from collections.abc import Callable, Mapping

from include.commands.bench_monitoring.detection import measure_detection
from include.commands.bench_monitoring.feature_drift import measure_feature_drift
from include.commands.bench_monitoring.label_join import measure_label_join
from include.commands.bench_monitoring.performance import measure_performance
from include.commands.benchmark_record import Figure

PARTS: Mapping[str, Callable[[], Mapping[str, Figure]]] = {
    "feature_drift": measure_feature_drift,
    "label_join": measure_label_join,
    "performance": measure_performance,
    "detection": measure_detection,
}
