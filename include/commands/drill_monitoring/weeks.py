"""Who asks the model in a day of the drill: rows drawn anew from a healthy period, or a real day's."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

UNIT, LABEL = "unit", "label"
REQUESTS = 800
"""Units that ask in a day, each once."""


@dataclass(frozen=True)
class Healthy:
    """The rows of a healthy period: units with their inputs and what became of them."""

    rows: pd.DataFrame

    def day(self, moment: datetime, seed: int, requests: int = REQUESTS) -> pd.DataFrame:
        """Return the rows of a day: other units and other moments of theirs each day, the same for a seed."""
        dice = np.random.default_rng([seed, moment.toordinal()])
        dealt = self.rows.iloc[dice.permutation(len(self.rows))]
        return dealt.drop_duplicates(UNIT).head(requests).reset_index(drop=True)


Spoil = Callable[[pd.DataFrame], pd.DataFrame]
"""What trouble makes of the rows of a day; some rows may be gone after it."""


def as_they_are(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a day without trouble."""
    return rows
