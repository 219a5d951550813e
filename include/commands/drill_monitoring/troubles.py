"""The four troubles of the drill: what happens to a day's rows, and which monitors must find it."""

from dataclasses import dataclass

import pandas as pd

from include.commands.drill_monitoring.weeks import LABEL, Spoil
from include.contracts.alerts import AlertKind

MONEY = ("total_spend_30d", "avg_order_value_30d", "total_spend_90d")
CATEGORY = "preferred_category"
RENAMED = "GROCERY"
GROUP = "transaction_count_30d"


@dataclass(frozen=True)
class Trouble:
    """Something that goes wrong from one day to the next, and stays."""

    name: str
    what: str
    """For the reader of the page."""
    found_by: frozenset[AlertKind]
    """The kinds of alert that name it rightly."""
    spoil: Spoil
    waits_for_labels: bool = False
    """Whether nothing shows before labels are in."""


def in_cents(rows: pd.DataFrame) -> pd.DataFrame:
    """Send money in cents."""
    return rows.assign(**{name: rows[name] * 100 for name in MONEY})


def renamed(rows: pd.DataFrame) -> pd.DataFrame:
    """Call the commonest category otherwise."""
    return rows.assign(**{CATEGORY: rows[CATEGORY].replace(RENAMED, f"{RENAMED} AND FOOD")})


def only_rare_ones(rows: pd.DataFrame) -> pd.DataFrame:
    """Let only those ask who do so rarely: the lower half."""
    return rows[rows[GROUP] <= rows[GROUP].median()]


def flipped(rows: pd.DataFrame) -> pd.DataFrame:
    """Let a slice do the opposite of what it did: the more frequent third."""
    touched = rows[GROUP] >= rows[GROUP].quantile(2 / 3)
    return rows.assign(**{LABEL: rows[LABEL].where(~touched, 1 - rows[LABEL])})


INPUTS = frozenset({AlertKind.FEATURE_DRIFT})
TROUBLES = (
    Trouble("cents", f"money in cents instead of dollars: {', '.join(MONEY)}", INPUTS, in_cents),
    Trouble("renamed", f"the category {RENAMED} gets another name", INPUTS, renamed),
    Trouble(
        "population",
        f"another population: only the half with the smaller {GROUP} still asks",
        INPUTS | {AlertKind.PREDICTION_DRIFT},
        only_rare_ones,
    ),
    Trouble(
        "concept",
        f"the third with the largest {GROUP} does the opposite of what it did: inputs stay, labels flip",
        frozenset({AlertKind.PERFORMANCE}),
        flipped,
        waits_for_labels=True,
    ),
)
