"""Days of predictions joined with their labels: those whose inputs changed, whenever that is.

A late label, a correction or a late prediction changes what goes into its day, so the day is joined again,
however old; where nothing changed, nothing is read.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pyarrow
from pyarrow import compute

from include.adapters.engines import open_engine
from include.adapters.label_store import LabelledMoments, label_days, label_history
from include.adapters.labelled_store import LabelledStore, midnight
from include.adapters.logged_columns import read_columns
from include.adapters.logged_day import LoggedDay
from include.adapters.outcome_log import read as read_outcomes
from include.adapters.quarantine import keep
from include.config.settings import Settings
from include.contracts.canonical import content_hash
from include.contracts.identifiers import time_of
from include.contracts.labelled import LABEL_METRIC, LabelledDay
from include.contracts.model import ModelContract
from include.contracts.predictions import OutcomeRow, Source
from include.monitoring.label_join import LABELS, OUTCOMES, PREDICTIONS, Joined, join_labels

ANSWERS = (Source.LIVE, Source.BATCH)
"""Sources of predictions somebody acted on."""


@dataclass(frozen=True)
class JoinedDays:
    """What a run did."""

    days: tuple[LabelledDay, ...]
    """Days whose inputs had changed."""
    rows: int
    """Rows added: first labels, late ones, corrections."""


def join_days(settings: Settings, contract: ModelContract, as_of: datetime) -> JoinedDays:
    """Join every day before a moment whose predictions, labels or outcomes changed since it was joined.

    Bad labels go to quarantine, `labels_<model>`, and are counted in the day's `refused`.

    Args:
        settings: says where logs and stores lie.
        contract: the model's.
        as_of: labels known later are not seen.

    Raises:
        DataError: a log is damaged.
    """
    store = LabelledStore(settings, contract.name)
    labels = label_days(settings, contract.name)
    outcomes = _outcomes_by_day(settings, contract.name)
    done, added = [], 0
    for day in sorted({*labels, *outcomes}):
        if midnight(day) >= as_of:
            continue
        told = outcomes.get(day, [])
        logged = LoggedDay(settings.predictions_folder, day).state(contract.name)
        inputs = _inputs(contract, logged, labels.get(day), told, as_of)
        known = store.day(day)
        if known is not None and known.inputs == inputs:
            continue
        joined, predictions = _join_day(settings, contract, day, told, as_of)
        if not predictions and known is not None and known.predictions:
            continue  # the log no longer goes back so far: what was joined stays
        state = _state(joined, day, inputs, as_of, predictions)
        _set_aside(settings, contract.name, state, joined.refused)
        added += store.add(joined.labelled, state)
        done.append(state)
    return JoinedDays(tuple(done), added)


def answered_predictions(
    settings: Settings,
    model: str,
    start: datetime,
    end: datetime,
    *,
    columns: Iterable[str] = (),
    texts: Collection[str] = (),
) -> pyarrow.Table:
    """Return what versions answered in [start, end): columns of `PREDICTIONS`, and others of the log."""
    wanted = list(dict.fromkeys([*PREDICTIONS.names, *columns]))
    found = read_columns(settings, model, start, end, wanted, texts=texts, sources=ANSWERS)
    is_answer = compute.and_(compute.is_valid(found["served_version"]), compute.is_valid(found["outputs"]))
    return found.filter(is_answer)


def _outcomes_by_day(settings: Settings, model: str) -> Mapping[date, list[OutcomeRow]]:
    """Return the outcomes that tell the truth about predictions, by the day of those."""
    found: defaultdict[date, list[OutcomeRow]] = defaultdict(list)
    for row in read_outcomes(settings.outcomes_folder):
        if (row.model, row.metric) == (model, LABEL_METRIC):
            found[_day_of(row)].append(row)
    return found


def _day_of(row: OutcomeRow) -> date:
    """Return the day of the prediction an outcome names, which its id carries; else when it occurred."""
    if row.prediction_id is not None:
        try:
            return time_of(row.prediction_id).date()
        except ValueError:
            pass
    return row.occurred_at.astimezone(UTC).date()


def _inputs(
    contract: ModelContract,
    logged: list[str],
    labels: LabelledMoments | None,
    outcomes: list[OutcomeRow],
    as_of: datetime,
) -> str:
    """Return a hash of what goes into a day; before and after it becomes known, `as_of` is no part of it."""
    moments = [moment for row in outcomes for moment in (row.occurred_at, row.recorded_at)]
    moments += [labels.known_from, labels.known_until] if labels else []
    seen_until = "nothing yet" if as_of < min(moments) else min(as_of, max(moments)).isoformat()
    said = sorted((row.outcome_id, row.recorded_at.isoformat()) for row in outcomes)
    kind = [contract.task.value, len(contract.classes)]
    return content_hash([logged, labels.state if labels else "", said, seen_until, kind])


def _join_day(
    settings: Settings, contract: ModelContract, day: date, outcomes: list[OutcomeRow], as_of: datetime
) -> tuple[Joined, int]:
    start = midnight(day)
    predictions = answered_predictions(settings, contract.name, start, start + timedelta(days=1))
    labels = label_history(settings, contract.name, day).select(LABELS.names).cast(LABELS)
    told = pyarrow.Table.from_pylist([_told(row) for row in outcomes], OUTCOMES)
    engine = open_engine(settings, keeps_order=False)
    joined = join_labels(contract.signature, predictions, labels, told, as_of, engine=engine)
    return joined, predictions.num_rows


def _told(row: OutcomeRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in OUTCOMES.names}


def _state(joined: Joined, day: date, inputs: str, as_of: datetime, predictions: int) -> LabelledDay:
    reasons = joined.refused.group_by("reason").aggregate([([], "count_all")]).to_pylist()
    return LabelledDay(
        start=midnight(day),
        inputs=inputs,
        as_of=as_of,
        predictions=predictions,
        labelled=joined.labelled.num_rows,
        superseded=joined.superseded,
        refused={each["reason"]: each["count_all"] for each in reasons},
    )


def _set_aside(settings: Settings, model: str, state: LabelledDay, refused: pyarrow.Table) -> None:
    if refused.num_rows:
        batch = f"{state.start:%Y-%m-%d}_{state.as_of.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        counts = {str(reason): count for reason, count in state.refused.items()}
        keep(
            settings, f"labels_{model}", batch, refused, {"refused": counts, "as_of": state.as_of.isoformat()}
        )
