"""Which ports the platform needs, and whether they are free, before anything starts."""

from collections.abc import Iterable
from dataclasses import dataclass

from include.commands.unix_processes import bind_error, listener_of
from include.config.settings import Settings
from include.contracts.errors import PlatformError


@dataclass(frozen=True)
class Port:
    """A port, who needs it, and the setting that moves it."""

    number: int
    title: str
    setting: str


def ports_of(settings: Settings, processes: Iterable[str]) -> list[Port]:
    """Return the ports that the named processes of the Procfile listen on."""
    needed = {
        "api-server": [Port(settings.airflow_port, "Airflow", "NINETY_AIRFLOW_PORT")],
        "mlflow": [Port(settings.mlflow_port, "MLflow", "NINETY_MLFLOW_PORT")],
        "triton": [
            Port(settings.triton_grpc_port, "Triton", "NINETY_TRITON_GRPC_PORT"),
            Port(settings.triton_metrics_port, "Triton's metrics", "NINETY_TRITON_METRICS_PORT"),
        ],
        "gateway": [Port(settings.gateway_port, "the gateway", "NINETY_GATEWAY_PORT")],
    }
    return [port for process in processes for port in needed.get(process, [])]


def check_ports(host: str, ports: Iterable[Port]) -> None:
    """Make sure that every port can be listened on.

    Raises:
        PlatformError: some cannot; the message names each, who holds it and the setting that moves it.
    """
    problems = []
    seen: dict[int, Port] = {}
    for port in ports:
        if port.number in seen:
            twin = seen[port.number]
            problems.append(f"port {port.number} is given to both {twin.title} and {port.title}")
        elif (error := bind_error(host, port.number)) is not None:
            problems.append(f"port {port.number} ({port.title}) {_reason(port, error)}")
        else:
            seen[port.number] = port
            continue
        problems[-1] += f"; set {port.setting}"
    if problems:
        raise PlatformError("\n".join(problems))


def _reason(port: Port, error: OSError) -> str:
    holder = listener_of(port.number)
    if holder is not None:
        return f"is in use by {holder.name} (pid {holder.pid})"
    return f"cannot be used: {error.strerror}"
