"""State compared with the events that tell of it: a row edited behind the ledger's back is found."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from sqlalchemy import Connection, RowMapping, Table, select

from include.adapters.ledger.alert_rows import parsed_alert
from include.adapters.ledger.chain import StoredEvent
from include.adapters.ledger.tables import (
    alerts,
    api_keys,
    approvals,
    events,
    experiments,
    leases,
    releases,
    retrain_requests,
    route_snapshots,
    routes,
    versions,
)
from include.contracts.alerts import Alert, AlertContent
from include.contracts.errors import ChainError
from include.contracts.events import EventKind, LedgerEvent
from include.contracts.experiments import Experiment
from include.contracts.keys import ApiKey
from include.contracts.packages import Version
from include.contracts.releases import Approval, Release
from include.contracts.retraining import RetrainRequest
from include.contracts.routes import ModelRoute, RouteSnapshot

State = Mapping[str, object]
"""What rows of one table say, by a key that names the row to a reader."""


def verify_state(connection: Connection) -> None:
    """Prove every table of state against the chain: what its events tell is what its rows say.

    The chain itself must be proven first.

    Raises:
        ChainError: names the first row that was altered, removed or added.
    """
    query = select(events).order_by(events.c.sequence)
    told = [StoredEvent(**row).parsed() for row in connection.execute(query).mappings()]
    for table, expected, parse in (
        (versions, _versions(told), _version),
        (releases, _releases(told), _release),
        (leases, _leases(told), _lease),
        (approvals, _approvals(told), _approval),
        (routes, _routes(told), _route),
        (route_snapshots, _snapshots(told), _snapshot),
        (api_keys, _keys(told), _key),
        (experiments, _experiments(told), _experiment),
        (retrain_requests, _requests(told), _request),
        (alerts, _alerts(told), _alert),
    ):
        _compare(table.name, expected, _held(connection, table, parse))


def _held(
    connection: Connection, table: Table, parse: Callable[[RowMapping], tuple[str, object]]
) -> dict[str, object]:
    try:
        return dict(parse(row) for row in connection.execute(select(table)).mappings())
    except ValueError as error:
        raise ChainError(f"{table.name}: a row cannot be read, it was altered: {error}") from error


def _compare(table: str, told: State, held: State) -> None:
    for key in sorted(told.keys() | held.keys()):
        if key not in held:
            raise ChainError(f"{table}: the row of {key} is gone, though the chain tells of it")
        if key not in told:
            raise ChainError(f"{table}: the row of {key} was added; no event tells of it")
        if told[key] != held[key]:
            raise ChainError(f"{table}: the row of {key} was altered; the chain tells otherwise")


def _of(told: Iterable[LedgerEvent], *kinds: EventKind) -> Iterator[LedgerEvent]:
    return (event for event in told if event.kind in kinds)


def _versions(told: Iterable[LedgerEvent]) -> State:
    found: dict[str, object] = {}
    for event in _of(told, EventKind.VERSION_REGISTERED, EventKind.VERSION_RETIRED):
        if event.kind is EventKind.VERSION_REGISTERED:
            version = Version.model_validate(event.payload)
            found[f"{version.model} {version.version}"] = (version, None)
        else:
            registered, _ = cast("tuple[Version, None]", found[event.subject])
            found[event.subject] = (registered, event.recorded_at)
    return found


def _version(row: RowMapping) -> tuple[str, object]:
    registered = Version.model_validate({name: row[name] for name in Version.model_fields})
    return f"{row['model']} {row['version']}", (registered, row["retired_at"])


def _releases(told: Iterable[LedgerEvent]) -> State:
    kinds = (EventKind.RELEASE_OPENED, EventKind.RELEASE_ADVANCED, EventKind.RELEASE_ENDED)
    return {e.subject: Release.model_validate(e.payload["release"]) for e in _of(told, *kinds)}


def _release(row: RowMapping) -> tuple[str, object]:
    return row["release_id"], Release.model_validate(dict(row))


def _experiments(told: Iterable[LedgerEvent]) -> State:
    kinds = (EventKind.EXPERIMENT_STARTED, EventKind.EXPERIMENT_ADVANCED, EventKind.EXPERIMENT_ENDED)
    return {e.subject: Experiment.model_validate(e.payload["experiment"]) for e in _of(told, *kinds)}


def _experiment(row: RowMapping) -> tuple[str, object]:
    return row["experiment_id"], Experiment.model_validate(dict(row))


def _leases(told: Iterable[LedgerEvent]) -> State:
    found: dict[str, object] = {}
    for event in _of(told, EventKind.RELEASE_OPENED, EventKind.RELEASE_ENDED):
        release = Release.model_validate(event.payload["release"])
        found[event.subject] = (release.model, "release", release.opened_at, release.ended_at)
    for event in _of(told, EventKind.EXPERIMENT_STARTED, EventKind.EXPERIMENT_ENDED):
        experiment = Experiment.model_validate(event.payload["experiment"])
        found[event.subject] = (
            experiment.model,
            "experiment",
            experiment.started_at,
            experiment.ended_at,
        )
    return found


def _lease(row: RowMapping) -> tuple[str, object]:
    return row["holder_id"], (row["model"], row["kind"], row["opened_at"], row["closed_at"])


def _approvals(told: Iterable[LedgerEvent]) -> State:
    found = _of(told, EventKind.APPROVAL_RECORDED)
    return {f"event {e.sequence}": Approval.model_validate(e.payload) for e in found}


def _approval(row: RowMapping) -> tuple[str, object]:
    given = Approval.model_validate({name: row[name] for name in Approval.model_fields})
    return f"event {row['sequence']}", given


def _routes(told: Iterable[LedgerEvent]) -> State:
    found: dict[str, object] = {}
    for event in _of(told, EventKind.ROUTE_CHANGED, EventKind.MODEL_RETIRED):
        if event.kind is EventKind.MODEL_RETIRED:
            found.pop(str(event.model), None)
        else:
            route = ModelRoute.model_validate(event.payload["route"])
            found[str(event.model)] = (event.payload["revision"], route, event.recorded_at)
    return found


def _route(row: RowMapping) -> tuple[str, object]:
    route = ModelRoute.model_validate(row["route"])
    return row["model"], (row["revision"], route, row["changed_at"])


def _snapshots(told: Iterable[LedgerEvent]) -> State:
    current: dict[str, Any] = {}
    retired: dict[str, str] = {}
    found: dict[str, object] = {}
    changes = _of(told, EventKind.ROUTE_CHANGED, EventKind.MODEL_RETIRED)
    for number, event in enumerate(changes, start=1):
        model = str(event.model)
        current.pop(model, None)
        retired.pop(model, None)
        if event.kind is EventKind.MODEL_RETIRED:
            retired[model] = event.payload["reason"]
        else:
            current[model] = event.payload["route"]
        snapshot = RouteSnapshot.model_validate(
            {"snapshot_id": event.subject, "routes": dict(current), "retired": dict(retired)}
        )
        found[f"change {number}"] = (event.subject, snapshot, event.recorded_at)
    return found


def _snapshot(row: RowMapping) -> tuple[str, object]:
    snapshot = RouteSnapshot.model_validate(row["snapshot"])
    return f"change {row['sequence']}", (row["snapshot_id"], snapshot, row["recorded_at"])


def _keys(told: Iterable[LedgerEvent]) -> State:
    found: dict[str, object] = {}
    issued: dict[str, dict[str, Any]] = {}
    for event in _of(told, EventKind.KEY_ISSUED, EventKind.KEY_ROTATED, EventKind.KEY_REVOKED):
        if event.kind is EventKind.KEY_ISSUED:
            issued[event.subject] = event.payload
        elif event.kind is EventKind.KEY_ROTATED:
            ends = {"expires_at": event.payload["expires_at"]}
            issued[event.subject] = {**issued[event.subject], **ends}
        else:
            issued[event.subject] = {**issued[event.subject], "revoked_at": event.recorded_at}
        fields = {name: issued[event.subject].get(name) for name in ApiKey.model_fields}
        found[event.subject] = ApiKey.model_validate(fields)
    return found


def _key(row: RowMapping) -> tuple[str, object]:
    return row["key_id"], ApiKey.model_validate({name: row[name] for name in ApiKey.model_fields})


def _requests(told: Iterable[LedgerEvent]) -> State:
    kinds = (
        EventKind.RETRAIN_REQUESTED,
        EventKind.RETRAIN_CLAIMED,
        EventKind.RETRAIN_RETURNED,
        EventKind.RETRAIN_ENDED,
    )
    return {e.subject: RetrainRequest.model_validate(e.payload) for e in _of(told, *kinds)}


def _request(row: RowMapping) -> tuple[str, object]:
    return row["request_id"], RetrainRequest.model_validate(dict(row))


def _alerts(told: Iterable[LedgerEvent]) -> State:
    found: dict[str, Alert] = {}
    kinds = (
        EventKind.ALERT_RAISED,
        EventKind.ALERT_ESCALATED,
        EventKind.ALERT_ACKNOWLEDGED,
        EventKind.ALERT_RESOLVED,
    )
    for event in _of(told, *kinds):
        if event.kind is EventKind.ALERT_RAISED:
            content = AlertContent.model_validate(event.payload)
            found[event.subject] = Alert(alert_id=event.subject, content=content, raised_at=event.recorded_at)
        else:
            found[event.subject] = found[event.subject].model_copy(update=_alert_change(event))
    return {alert_id: (_looked_up_by(alert.content), alert) for alert_id, alert in found.items()}


def _looked_up_by(content: AlertContent) -> dict[str, str | None]:
    """Return the columns that repeat an alert's content for queries."""
    return {
        "model": content.model,
        "kind": content.kind,
        "severity": content.severity.value,
        "fingerprint": content.fingerprint,
    }


def _alert_change(event: LedgerEvent) -> dict[str, object]:
    if event.kind is EventKind.ALERT_ESCALATED:
        return {"content": AlertContent.model_validate(event.payload), "escalated_at": event.recorded_at}
    if event.kind is EventKind.ALERT_ACKNOWLEDGED:
        return {
            "acknowledged_at": event.recorded_at,
            "acknowledged_by": event.actor,
            "acknowledgement": event.payload.get("note"),
        }
    return {
        "resolved_at": event.recorded_at,
        "resolved_by": event.actor,
        "resolution": event.payload.get("reason"),
    }


def _alert(row: RowMapping) -> tuple[str, object]:
    # When an alert was delivered is a courier's note, of which no event tells.
    alert = parsed_alert(row).model_copy(update={"delivered_at": None})
    return row["alert_id"], ({name: row[name] for name in _looked_up_by(alert.content)}, alert)
