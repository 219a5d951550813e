"""Whether each server of the platform is up, asked the way its clients will ask."""

from collections.abc import Callable

import grpc
import httpx

from include.commands.secrets import passwords
from include.config.settings import Settings

Check = Callable[[Settings], str]
"""Returns why a server is not ready, or nothing when it is."""

_TIMEOUT_SECONDS = 5.0
_COMPONENTS = ("metadatabase", "scheduler", "dag_processor", "triggerer")
_READY = b"\x08\x01"  # inference.ServerReadyResponse with ready = true


def airflow(settings: Settings) -> str:
    """Airflow: four healthy components and no plugin that failed to import."""
    with _client(settings.airflow_url) as client:
        health = client.get("/api/v2/monitor/health").raise_for_status().json()
        ill = [name for name in _COMPONENTS if (health.get(name) or {}).get("status") != "healthy"]
        if ill:
            return f"not healthy yet: {', '.join(ill)}"
        login = {"username": "admin", "password": passwords(settings)["admin"]}
        token = client.post("/auth/token", json=login).raise_for_status().json()["access_token"]
        bearer = {"Authorization": f"Bearer {token}"}
        broken = client.get("/api/v2/plugins/importErrors", headers=bearer).raise_for_status().json()
    return "; ".join(f"plugin {item['source']}: {item['error']}" for item in broken["import_errors"])


def mlflow(settings: Settings) -> str:
    """MLflow: /health answers."""
    return _answers(settings.mlflow_url, "/health")


def gateway(settings: Settings) -> str:
    """The gateway: it is live."""
    return _answers(settings.gateway_url, "/v2/health/live")


def triton(settings: Settings) -> str:
    """Triton: ready, over gRPC."""
    with grpc.insecure_channel(settings.triton_endpoint) as channel:
        ready = channel.unary_unary("/inference.GRPCInferenceService/ServerReady")
        return "" if ready(b"", timeout=_TIMEOUT_SECONDS) == _READY else "not ready yet"


CHECKS: dict[str, tuple[str, Check]] = {
    "api-server": ("Airflow", airflow),
    "mlflow": ("MLflow", mlflow),
    "triton": ("Triton", triton),
    "gateway": ("the gateway", gateway),
}
"""By process of the Procfile: what people call the server, and how to ask it."""


def reason_not_ready(check: Check, settings: Settings) -> str:
    """Return why a server is not ready, or nothing when it is; one that does not answer is not."""
    try:
        return check(settings)
    except (httpx.HTTPError, grpc.RpcError) as error:
        return f"no answer ({type(error).__name__})"


def _answers(url: str, path: str) -> str:
    with _client(url) as client:
        status = client.get(path).status_code
    return "" if status == httpx.codes.OK else f"{path} answers {status}"


def _client(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, timeout=_TIMEOUT_SECONDS, trust_env=False)
