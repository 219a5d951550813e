"""Group-sequential tests with alpha spending: what experiments and ramps call.

Any number of looks (checked up to 50), at any information fractions, planned or not. Bounds, power and sample
sizes are exact for normal statistics with independent increments. The parts live beside this module:
`spending` (the spending functions), `boundary_crossing` (the numerical integration), `critical_values`
(efficacy, asymmetric and futility bounds), `group_sequential_design` (power, inflation, expected sizes),
`sample_size`, and `sequential_inference` (p-values, intervals and estimates).
"""

from include.stats.boundary_crossing import NO_BOUND, crossing_probabilities, exit_probabilities
from include.stats.critical_values import (
    ErrorSpending,
    asymmetric_critical_values,
    critical_values,
    futility_bounds,
)
from include.stats.group_sequential_design import (
    GroupSequentialDesign,
    drift_for_power,
    equally_spaced,
    expected_fraction,
    inflation_factor,
    plan_design,
)
from include.stats.sample_size import (
    ArmSizes,
    effective_size,
    sample_size_means,
    sample_size_proportions,
    sample_size_ratios,
)
from include.stats.sequential_inference import (
    median_unbiased_drift,
    nominal_levels,
    nominal_p_values,
    repeated_confidence_intervals,
    repeated_p_values,
    stagewise_interval,
    stagewise_p_value,
)
from include.stats.spending import SPENDINGS, spending_fractions, spent_alpha

__all__ = [
    "NO_BOUND",
    "SPENDINGS",
    "ArmSizes",
    "ErrorSpending",
    "GroupSequentialDesign",
    "asymmetric_critical_values",
    "critical_values",
    "crossing_probabilities",
    "drift_for_power",
    "effective_size",
    "equally_spaced",
    "exit_probabilities",
    "expected_fraction",
    "futility_bounds",
    "inflation_factor",
    "median_unbiased_drift",
    "nominal_levels",
    "nominal_p_values",
    "plan_design",
    "repeated_confidence_intervals",
    "repeated_p_values",
    "sample_size_means",
    "sample_size_proportions",
    "sample_size_ratios",
    "spending_fractions",
    "spent_alpha",
    "stagewise_interval",
    "stagewise_p_value",
]
