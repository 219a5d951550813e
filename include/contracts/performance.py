"""What performance monitoring has to say: reasons as values."""

from enum import StrEnum


class PerformanceReason(StrEnum):
    """Why a figure of performance has its verdict."""

    MEASURED = "measured"
    """Shown, and judged by other figures."""
    STEADY = "steady"
    """Not worse by as much as the rule says."""
    NOT_SHOWN = "not_shown"
    """Worse by as much, but chance explains it."""
    WORSE = "worse"
    """Worse by as much, and chance does not explain it."""
    NO_REFERENCE = "no_reference"
    """Too few days before it to compare with."""
    TOO_FEW_LABELS = "too_few_labels"
    TOO_FEW_PREDICTIONS = "too_few_predictions"
    NO_PREDICTIONS = "no_predictions"
    NOT_DEFINED = "not_defined"
    """The metric has no value on these rows, such as a ranking of one class."""
    TRUSTED = "trusted"
    """An estimate that was right often enough."""
    UNPROVEN = "unproven"
    """An estimate that was held against the truth too seldom."""
    DISTRUSTED = "distrusted"
    """An estimate that was wrong too often; it stands for nothing until it is right again."""
    REFUSED_LABELS = "refused_labels"
    """Labels were set aside."""


class Comparison(StrEnum):
    """What a day is held against."""

    TRAILING = "trailing"
    """The mean of the days before it, as the contract's rule says. It moves along with a slow slide."""
    BASELINE = "baseline"
    """The mean of the first days of the version that answers. It stays."""

    @property
    def metric(self) -> str:
        """Name of the degradation in the store of measurements; its subject is the metric that got worse."""
        return f"degradation_vs_{self.value}"


class Cause(StrEnum):
    """What explains worse performance."""

    DATA = "data"
    """Other inputs: on reference rows weighted to look like these, the model does as badly."""
    CONCEPT = "concept"
    """A changed relation: other inputs do not explain it."""
    BOTH = "both"
    """Other inputs explain a part that chance does not, and leave a part that chance does not explain."""
    UNLIKE = "unlike"
    """Inputs unlike any the model knew: mend those first; of the relation nothing can be said."""
    UNDECIDED = "undecided"
    """Too few rows to tell, or parts that chance explains."""


class RetrainDecision(StrEnum):
    """Whether a training is asked for, and why not."""

    ASK = "ask"
    NOT_WORSE = "not_worse"
    """The last judged day is not bad enough."""
    TOO_SHORT = "too_short"
    """Bad, but not for as many days as the rule says."""
    ASKED_ALREADY = "asked_already"
    """For this decline, which has not ended since."""
    COOLING_DOWN = "cooling_down"
    """A training was asked for too recently to have shown anything."""
    UNDER_WAY = "under_way"
    """A training waits, runs, or its version is being released."""
    NO_DAYS = "no_days"
    """No day was judged."""
    NO_TRIGGER = "no_trigger"
    """The contract has none."""
