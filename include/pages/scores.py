"""How scores fall in production, beside how they fell on unseen rows of the training."""

from collections.abc import Sequence

from pydantic import BaseModel

from include.contracts.measurements import Measurement
from include.contracts.moments import UtcDatetime
from include.pages.airflow_facts import STRICT


class ScoreShares(BaseModel):
    """A look's distribution of one version's scores over the bins of its reference."""

    model_config = STRICT

    version: str | None
    variant: str | None
    start: UtcDatetime
    end: UtcDatetime
    rows: int
    now: tuple[float, ...]
    reference: tuple[float, ...]

    @property
    def name(self) -> str:
        """Which version's, as it served."""
        return " ".join(part for part in (self.variant, self.version) if part) or "scores"


def score_shares(measured: Sequence[Measurement]) -> tuple[ScoreShares, ...]:
    """Return the latest distribution of each version's scores, by name; of looks that kept one."""
    found = {}
    for each in measured:
        now, reference = each.details.get("shares"), each.details.get("reference_shares")
        if each.subject == "score" and now and reference and not each.metric.endswith("_week_ago"):
            found[each.variant, each.version] = ScoreShares(
                version=each.version,
                variant=each.variant,
                start=each.window_start,
                end=each.window_end,
                rows=each.n,
                now=tuple(now),
                reference=tuple(reference),
            )
    latest = max((each.end for each in found.values()), default=None)
    return tuple(sorted((each for each in found.values() if each.end == latest), key=lambda each: each.name))
