"""What was computed when: which days are due, because they are new or because rows arrived late."""

import fcntl
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from pydantic import TypeAdapter

from include.adapters.defects import quoted
from include.adapters.engines import open_engine
from include.adapters.files import write_atomically
from include.adapters.source_definitions import locate_source
from include.adapters.sources import Sources, open_sources
from include.config.settings import Settings
from include.contracts.canonical import content_hash
from include.features.views import Tell, View, confined, log_broken, used_views


@dataclass(frozen=True)
class ComputedDay:
    """A published day of a view.

    Attributes:
        as_of: the moment its sources were looked at from.
        inputs: hash of the view's definition and of the state of its sources' files.
        online: whether the online store was brought up to it since.
        online_since: wall time at which the online store was first brought up to it.
    """

    as_of: datetime
    inputs: str
    online: bool = False
    online_since: datetime | None = None


_DAY = TypeAdapter(ComputedDay)


def dirty_days(
    computed: Mapping[date, datetime], arrivals: Mapping[date, datetime], window: timedelta | None
) -> list[date]:
    """Return the days that must be computed again because rows arrived after they were.

    Args:
        computed: by day, the moment its sources were looked at from.
        arrivals: by day of the events, when the last of its rows arrived.
        window: how far before its day a row looks; none means without end.
    """
    return sorted(
        day
        for day, as_of in computed.items()
        if any(
            arrived >= as_of and event < day and (window is None or event >= day - window)
            for event, arrived in arrivals.items()
        )
    )


def due_days(settings: Settings, day: date, as_of: datetime, tell: Tell = log_broken) -> list[date]:
    """Return the days a run has to compute: its own unless nothing changed, and earlier ones gone dirty.

    The own day stays as it is, too, when it was computed from a later moment: an older run never replaces
    what a newer one knew.

    Raises:
        SourceError: a source of a shared view cannot be read; a model folder's own view is told.
    """
    due: set[date] = set()
    for view in used_views(settings, tell).values():
        with confined(view.model_folder, view.name, tell):
            due |= _due(settings, view, day, as_of)
    return sorted(due)


def outdated_days(settings: Settings, view: View, days: Iterable[date], as_of: datetime) -> list[date]:
    """Return which days of a view training as of a moment must compute: new ones, and those gone dirty.

    A day computed from another query, or other files, is as good as new. Whether it is online matters to
    serving alone. What a later run brought online stays as it is.

    Raises:
        SourceError: a source of the view cannot be read.
    """
    inputs, computed = inputs_hash(settings, view), read_days(settings, view.name)
    known = {day: computed[day] for day in days if day in computed}
    due = {day for day in days if day not in known}
    due |= {
        day
        for day, seen in known.items()
        if seen.inputs != inputs and (seen.as_of <= as_of or not seen.online)
    }
    return sorted(due | _dirty(settings, view, known, as_of))


def _due(settings: Settings, view: View, day: date, as_of: datetime) -> set[date]:
    computed = read_days(settings, view.name)
    known = computed.get(day)
    current = known is not None and known.online and known.inputs == inputs_hash(settings, view)
    replaces = known is None or known.as_of <= as_of or not known.online
    due = {day} if replaces and not current else set()
    # A run that died before the online step left days that are computed and not online: one of them is enough
    # to bring the online store up to this day.
    waiting = [item for item, seen in computed.items() if item <= day and not seen.online]
    if not due:
        due.update(sorted(item for item in waiting if computed[item].as_of <= as_of)[-1:])
    return due | _dirty(settings, view, {item: seen for item, seen in computed.items() if item <= day}, as_of)


def _dirty(
    settings: Settings, view: View, computed: Mapping[date, ComputedDay], as_of: datetime
) -> set[date]:
    """Return the computed days of a view to which rows arrived late, by a moment."""
    if not computed:
        return set()
    looked = {day: seen.as_of for day, seen in computed.items()}
    arrivals = _arrivals(settings, view, min(looked.values()), as_of)
    return set(dirty_days(looked, arrivals, view.definition.window))


def read_days(settings: Settings, view: str) -> dict[date, ComputedDay]:
    """Return the computed days of a view."""
    path = _path(settings, view)
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    return {date.fromisoformat(day): _DAY.validate_python(item) for day, item in content.items()}


def record_computed(settings: Settings, view: View, days: Iterable[date], as_of: datetime) -> None:
    """Record that days were published; the online store has yet to follow."""
    inputs = inputs_hash(settings, view)
    with _alone(settings, view.name):
        known = read_days(settings, view.name)
        since = {day: known[day].online_since for day in days if day in known}
        computed = {day: ComputedDay(as_of, inputs, online_since=since.get(day)) for day in days}
        _write(settings, view.name, known | computed)


def record_online(settings: Settings, view: str, day: date, recorded_at: datetime) -> None:
    """Record that the online store was brought up to a day, and with it to those before, at a wall time."""
    with _alone(settings, view):
        known = read_days(settings, view)
        online = {
            item: replace(seen, online=True, online_since=seen.online_since or recorded_at)
            for item, seen in known.items()
            if item <= day
        }
        _write(settings, view, known | online)


def inputs_hash(settings: Settings, view: View) -> str:
    """Return the hash of a view's query and definition, and of the state of its sources' files."""
    own = () if view.model_folder is None else (view.model_folder,)
    files = {name: locate_source(settings, name, own).state() for name in view.definition.sources}
    return content_hash([view.sql, view.definition.model_dump(mode="json"), files])


def _arrivals(settings: Settings, view: View, since: datetime, as_of: datetime) -> dict[date, datetime]:
    own = () if view.model_folder is None else (view.model_folder,)
    found: dict[date, datetime] = {}
    engine = open_engine(settings)
    with open_sources(settings, as_of, view.definition.sources, own, engine) as sources:
        for name in view.definition.sources:
            for event, arrived in _late(sources, name, since):
                found[event] = max(arrived, found.get(event, arrived))
    return found


def _late(sources: Sources, name: str, since: datetime) -> Iterator[tuple[date, datetime]]:
    definition = sources.definitions[name]
    if definition.event_at is None or definition.arrival is None:
        return
    arrival, event_at = quoted(definition.arrival), quoted(definition.event_at)
    start = since.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
    query = (
        f"SELECT {event_at}::DATE, max({arrival}) FROM {quoted(name)} "  # noqa: S608 - names are validated
        f"WHERE {arrival} >= TIMESTAMP '{start}' GROUP BY ALL"
    )
    for event, arrived in sources.engine.rows(query):
        if isinstance(event, date) and isinstance(arrived, datetime):
            yield event, arrived.replace(tzinfo=UTC)


@contextmanager
def _alone(settings: Settings, view: str) -> Iterator[None]:
    """Hold a view's record: it is read, changed and written whole, and runs may overlap."""
    path = _path(settings, view).with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _path(settings: Settings, view: str) -> Path:
    return settings.features_folder / "computed" / f"{view}.json"


def _write(settings: Settings, view: str, days: Mapping[date, ComputedDay]) -> None:
    content = {day.isoformat(): _DAY.dump_python(item, mode="json") for day, item in sorted(days.items())}
    write_atomically(_path(settings, view), json.dumps(content, indent=1).encode())
