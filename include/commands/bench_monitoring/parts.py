"""The parts of `make bench-monitoring`."""

from collections.abc import Callable, Mapping

from include.commands.bench_monitoring.detection import measure_detection
from include.commands.bench_monitoring.feature_drift import measure_feature_drift
from include.commands.benchmark_record import Figure

PARTS: Mapping[str, Callable[[], Mapping[str, Figure]]] = {
    "feature_drift": measure_feature_drift,
    "detection": measure_detection,
}
