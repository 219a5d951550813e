"""`make bench-pages`: how long the operators' pages take with a year of history; to docs/benchmarks/pages.*.

A made-up year of many models in a ledger and a measurement store of their own, then Airflow's real API
server, asked for each page as a logged-in viewer, one after the other, the pages in turn.
"""

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from statistics import median, quantiles

import httpx
from matplotlib.figure import Figure as Picture
from sqlalchemy import func, select

from include.adapters.files import replacing
from include.adapters.ledger.engine import open_engine, reading
from include.adapters.ledger.tables import events, measurements
from include.commands import processes
from include.commands.bench_pages.predictions import log_day
from include.commands.bench_pages.year import END, Year, newest
from include.commands.benchmark_record import BENCHMARKS, Figure, write_record
from include.commands.environment import process_environment
from include.commands.progress import Progress
from include.commands.secrets import ensure_secrets, passwords
from include.commands.services import free_port, running_server
from include.commands.terminal import run_command
from include.config.models import model_folders
from include.config.settings import Settings, settings
from include.contracts.errors import PlatformError

TARGET_MS = 300.0
_READER = "viewer"
_TIMEOUT_SECONDS = 120.0
_WARM_SECONDS = 10.0

MODEL = "model_07"
PAGES = {
    "models": "/models",
    "model": f"/models/{MODEL}",
    "model_365_days": f"/models/{MODEL}?days=365",
    "version": f"/models/{MODEL}/versions/{{version}}",
    "release": f"/releases/{MODEL}-{{version}}",
    "trace": "/trace/{prediction_id}",
    "features": "/features",
    "alerts": "/alerts",
    "ledger": "/ledger",
    "ledger_filtered": f"/ledger?model={MODEL}&kind=release_ended",
    "models_json": "/json/models",
    "model_json": f"/json/models/{MODEL}",
}


def main() -> None:
    """Measure, write the figures, the table and the picture."""
    parser = argparse.ArgumentParser(prog="make bench-pages", description=__doc__)
    parser.add_argument("--models", type=int, default=20, help="how many models")
    parser.add_argument("--days", type=int, default=365, help="how long their history is")
    parser.add_argument("--rounds", type=int, default=40, help="how often each page is asked for")
    parser.add_argument("--predictions", type=int, default=50_000, help="logged on the day of the traced one")
    arguments = parser.parse_args()
    run_command(lambda: record(arguments.models, arguments.days, arguments.rounds, arguments.predictions))


def record(models: int, days: int, rounds: int, predictions: int) -> None:
    """Make the year up, ask for every page, write down what it took.

    Raises:
        PlatformError: the server did not start, or a page was not answered.
    """
    own, progress = _fresh(settings()), Progress(4)
    with progress.step(f"make up {days} days of {models} models"):
        template = next(iter(model_folders(settings().model_folders).values()))
        Year(own, template, models, days).write()
    with progress.step(f"log {predictions} predictions"):
        traced = log_day(own, MODEL, END - timedelta(days=1), predictions)
    with progress.step("fill Airflow's database"):
        environment = process_environment(own)
        own.airflow_home.mkdir(parents=True)
        processes.migrate(own, environment)
        _airflow(environment, "dags", "reserialize")
    command = [sys.executable, "-m", "airflow", "api-server"]
    log = own.home / "api-server.log"
    with (
        progress.step(f"ask for {len(PAGES)} pages {rounds} times"),
        running_server(
            command, log, own.airflow_port, environment=environment, is_ready=lambda: _answers(own)
        ),
    ):
        time.sleep(_WARM_SECONDS)
        pages = {
            name: path.format(prediction_id=traced, version=newest(days)) for name, path in PAGES.items()
        }
        measured, sizes = ask(own, pages, rounds)
    figures = figures_of(measured, sizes) | {"models": models, "days": days, **_rows(own)}
    figures["predictions_of_the_day"] = predictions
    notes = (
        "Times are those of whole answers, gzip included, from a client on the same machine, as a viewer, "
        f"pages in turn. The aim is {TARGET_MS:.0f} ms. `first` is the first answer after a start of the "
        f"server, {_WARM_SECONDS:.0f} s after it answered at all: meanwhile it reads beside it what pages "
        "need. The first trace of a version proves its package and its training set, later ones do not."
    )
    write_record("pages", "The operators' pages with a year of history", figures, ("fastapi",), notes=notes)
    draw(measured)
    shutil.rmtree(own.home)


def ask(
    own: Settings, pages: Mapping[str, str], rounds: int
) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Return milliseconds and bytes of every page, asked for in turn, once more than there are rounds."""
    measured: dict[str, list[float]] = {name: [] for name in pages}
    sizes: dict[str, int] = {}
    with httpx.Client(base_url=own.airflow_url, trust_env=False, timeout=_TIMEOUT_SECONDS) as client:
        login = {"username": _READER, "password": passwords(own)[_READER]}
        token = client.post("/auth/token", json=login).raise_for_status().json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        for _ in range(rounds + 1):
            for name, path in pages.items():
                began = time.perf_counter()
                answer = client.get(f"/ninety{path}")
                took = 1_000 * (time.perf_counter() - began)
                if answer.status_code != httpx.codes.OK:
                    raise PlatformError(f"{path} answers {answer.status_code}: {answer.text[:300]}")
                measured[name].append(took)
                sizes[name] = len(answer.content)
    return measured, sizes


def figures_of(measured: Mapping[str, Sequence[float]], sizes: Mapping[str, int]) -> dict[str, Figure]:
    """Return the figures under flat names; the first answer has one of its own."""
    figures: dict[str, Figure] = {"target_ms": TARGET_MS}
    for name, (first, *times) in measured.items():
        figures["rounds"] = len(times)
        figures[f"{name}_first_ms"] = first
        figures[f"{name}_median_ms"] = median(times)
        figures[f"{name}_p95_ms"] = quantiles(times, n=20, method="inclusive")[-1]
        figures[f"{name}_slowest_ms"] = max(times)
        figures[f"{name}_bytes"] = sizes[name]
    return figures


def draw(measured: Mapping[str, Sequence[float]]) -> None:
    """Draw how long each page took, the first answers as crosses."""
    picture = Picture(figsize=(8, 3.8), layout="constrained")
    axes = picture.subplots()
    again = [times for _, *times in measured.values()]
    axes.boxplot(again, orientation="horizontal", tick_labels=list(measured))
    axes.scatter(
        [first for first, *_ in measured.values()], range(1, len(measured) + 1), marker="x", label="first"
    )
    axes.axvline(TARGET_MS, linestyle="--", color="tab:red", label="aim")
    axes.set_xlabel("milliseconds")
    axes.invert_yaxis()
    axes.legend()
    with replacing(BENCHMARKS / "pages.png") as path:
        picture.savefig(path, format="png", dpi=110)


def _fresh(given: Settings) -> Settings:
    home = given.home / "bench-pages"
    shutil.rmtree(home, ignore_errors=True)
    (home / "models").mkdir(parents=True)
    own = given.model_copy(
        update={
            "home": home,
            "ledger_url": "",
            "airflow_port": free_port(),
            "model_folders": (home / "models",),
            "replay": True,
        }
    )
    ensure_secrets(own)
    return own


def _airflow(environment: dict[str, str], *arguments: str) -> None:
    command = [sys.executable, "-m", "airflow", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode != 0:
        raise PlatformError(f"`airflow {' '.join(arguments)}` failed:\n{done.stderr[-2000:]}")


def _answers(own: Settings) -> bool:
    try:
        return httpx.get(f"{own.airflow_url}/api/v2/version", trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _rows(own: Settings) -> dict[str, Figure]:
    engine = open_engine(own.ledger_uri)
    with reading(engine) as connection:
        found: dict[str, Figure] = {
            f"{table.name}_rows": connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (events, measurements)
        }
    engine.dispose()
    return found


if __name__ == "__main__":
    main()
