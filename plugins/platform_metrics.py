"""What Prometheus sees of Airflow, so that somebody outside knows when it is dead (docs/alerts.md).

`GET /prometheus/metrics` on the API server: moments and counts, nothing else. Airflow's own tokens last a
day, which is no way to scrape: `NINETY_METRICS_TOKEN_FILE` names another one; without it nothing is asked
for, as at the gateway's `/metrics`. Where it does not answer, the API server is dead.
"""

from collections.abc import Iterable
from functools import cached_property
from hmac import compare_digest
from pathlib import Path
from typing import Annotated, Any

from airflow.plugins_manager import AirflowPlugin

from include.config.settings import settings

PREFIX = "/prometheus"
COURIER = "alerts_deliver"
"""The DAG whose success says that schedules are kept and alerts go out."""


class PlatformMetrics(AirflowPlugin):
    """One endpoint for Prometheus."""

    name = "platform_metrics"

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        """The endpoint; only the API server asks, so that no other process imports it."""
        return [{"app": metrics_app(), "url_prefix": PREFIX, "name": "Metrics for Prometheus"}]


def metrics_app() -> Any:
    """Return the application."""
    from fastapi import FastAPI, Header, HTTPException, Response
    from prometheus_client import CONTENT_TYPE_LATEST

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/metrics")
    def metrics(authorization: Annotated[str, Header()] = "") -> Response:
        if not may_scrape(authorization, settings().metrics_token_file):
            raise HTTPException(
                401, "show the token of NINETY_METRICS_TOKEN_FILE", {"WWW-Authenticate": "Bearer"}
            )
        return Response(exposition(), media_type=CONTENT_TYPE_LATEST)

    return app


def may_scrape(authorization: str, token_file: str) -> bool:
    """Say whether a request may see the metrics.

    The file is read each time, so that another token counts at once; one that cannot be read, or is empty,
    lets nobody in.

    Args:
        authorization: header of the request.
        token_file: holds the token; empty asks for none.
    """
    if not token_file:
        return True
    try:
        token = Path(token_file).read_text(encoding="utf-8").strip()
    except OSError:
        return False
    return bool(token) and compare_digest(authorization.encode(), f"Bearer {token}".encode())


def exposition() -> bytes:
    """Return the metrics in Prometheus' text format."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=True)
    registry.register(_Collector())
    return generate_latest(registry)


class _Collector:
    """Reads Airflow's database and the ledger whenever Prometheus asks."""

    def collect(self) -> Iterable[Any]:
        """Yield the families."""
        from prometheus_client.core import GaugeMetricFamily as Gauge

        beats = Gauge(
            "ninety_airflow_heartbeat_timestamp_seconds",
            "When a part of Airflow last said that it is alive",
            labels=["component"],
        )
        for component, moment in _heartbeats():
            beats.add_metric([component], moment)
        yield beats
        succeeded = Gauge(
            "ninety_dag_success_timestamp_seconds", "When a DAG last succeeded", labels=["dag_id"]
        )
        if (moment := _last_success(COURIER)) is not None:
            succeeded.add_metric([COURIER], moment)
        yield succeeded
        yield from _alert_gauges(Gauge)


def _heartbeats() -> Iterable[tuple[str, float]]:
    from datetime import datetime

    from airflow.api.common.airflow_health import get_airflow_health

    for component, state in get_airflow_health().items():
        last = state.get(f"latest_{component}_heartbeat")
        if last is not None:
            yield component, datetime.fromisoformat(last).timestamp()


def _last_success(dag_id: str) -> float | None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from sqlalchemy import func, select

    query = select(func.max(DagRun.end_date)).where(
        DagRun.dag_id == dag_id, DagRun.state == DagRunState.SUCCESS
    )
    with create_session() as session:
        last = session.scalar(query)
    return None if last is None else last.timestamp()


def _alert_gauges(gauge: Any) -> Iterable[Any]:
    from collections import Counter
    from contextlib import closing

    from include.adapters.ledger.ledger import Ledger

    with closing(Ledger(settings().ledger_uri)) as ledger:
        found, waiting = ledger.open_alerts(), ledger.undelivered_alerts()
    open_alerts = gauge("ninety_alerts_open", "Alerts that are not resolved", labels=["kind", "severity"])
    for (kind, severity), count in Counter((a.content.kind, a.content.severity) for a in found).items():
        open_alerts.add_metric([kind.value, severity.value], count)
    yield open_alerts
    undelivered = gauge("ninety_alerts_undelivered", "Alerts with a change that some route was not told of")
    undelivered.add_metric([], len(waiting))
    yield undelivered
