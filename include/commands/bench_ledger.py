"""`make bench-ledger`: events a second of several writers at once; to docs/benchmarks/ledger.*.

Each writer is a process of its own that registers versions one after the other, each a transaction of state
and event, durable when it returns. SQLite and PostgreSQL take turns, so that what else runs here meets both
alike.
"""

import argparse
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from matplotlib.figure import Figure as Picture
from sqlalchemy import create_engine, make_url

from include.adapters.files import replacing
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.commands.benchmark_record import BENCHMARKS, Figure, write_record
from include.commands.progress import Progress
from include.commands.services import postgres_server
from include.commands.terminal import run_command
from include.config.settings import settings
from include.contracts.errors import PlatformError

WRITERS = 8
ROUNDS = 3
_TOGETHER_SECONDS = 1.5
"""Writers connect, then wait until all of them are there."""
TARGET = 500
"""Events a second that PostgreSQL was to reach."""
NOTES = """Each writer registers versions, one transaction each: the head of the chain is locked, the
version written, its event appended, and the commit on disk when the call returns. Writers go one after the
other, since each event holds the hash of the one before; on PostgreSQL they share the wait for the disk.
Told is the median of the rounds; the chain is proven after each."""


def main() -> None:
    """Measure, write the figures, the table and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=250, help="events of each writer, in each round")
    parser.add_argument("--install", action="store_true", help="install PostgreSQL where it is missing")
    arguments = parser.parse_args()
    run_command(lambda: record(arguments.events, install=arguments.install))


def record(events: int, folder: Path = BENCHMARKS, *, install: bool = False) -> None:
    """Let the writers loose on each database in turn, and write everything down."""
    progress = Progress(total=ROUNDS)
    load = os.getloadavg()[0]
    rates: dict[str, list[float]] = {"sqlite": [], "postgresql": []}
    with servers(install=install) as (home, server):
        for number in range(ROUNDS):
            with progress.step(f"round {number + 1}, {WRITERS} writers of {events} events"):
                rates["sqlite"].append(rate(sqlite_ledger(home, number), events))
                rates["postgresql"].append(rate(postgres_ledger(server, number), events))
                progress.say(", ".join(f"{name} {found[-1]:.0f} events/s" for name, found in rates.items()))
    figures = figures_of(rates, events) | {"load_average_before": round(load, 2)}
    told = f"{NOTES}\n\n{reached(figures)}"
    write_record("ledger", "Ledger: events a second", figures, ("sqlalchemy", "psycopg"), folder, notes=told)
    draw_picture(figures, folder)


@contextmanager
def servers(*, install: bool) -> Iterator[tuple[Path, str]]:
    """Yield a folder on the disk that the platform writes to, and the URL of a durable PostgreSQL."""
    settings().home.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory(prefix="bench-ledger-", dir=settings().home) as home,
        postgres_server(install=install) as server,
    ):
        yield Path(home), server


def sqlite_ledger(home: Path, number: int) -> str:
    """Return the URL of a new ledger in a file."""
    url = f"sqlite:///{home / str(number) / 'ledger.sqlite3'}"
    upgrade(url)
    return url


def postgres_ledger(server: str, number: int) -> str:
    """Return the URL of a new ledger on a server."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE bench_{number}")
    engine.dispose()
    url = make_url(server).set(database=f"bench_{number}").render_as_string(hide_password=False)
    upgrade(url)
    return url


def rate(url: str, events: int) -> float:
    """Return the events a second of all writers together.

    Raises:
        ChainError: the chain did not hold.
        PlatformError: an event is missing.
    """
    start = time.time() + _TOGETHER_SECONDS
    with ProcessPoolExecutor(WRITERS, mp_context=get_context("fork")) as pool:
        spans = list(pool.map(write, [url] * WRITERS, range(WRITERS), [events] * WRITERS, [start] * WRITERS))
    ledger = Ledger(url)
    written = ledger.verify()
    ledger.close()
    if written != WRITERS * events:
        raise PlatformError(f"{WRITERS * events} events were written and {written} are there")
    return written / (max(ended for _, ended in spans) - min(began for began, _ in spans))


def write(url: str, writer: int, events: int, start: float) -> tuple[float, float]:
    """Register versions from a moment on; return when the first was begun and the last was done."""
    ledger = Ledger(url)
    ledger.snapshot_id()
    time.sleep(max(0.0, start - time.time()))
    began = time.time()
    for number in range(events):
        ledger.register_version(
            model=f"model_{writer}",
            version=f"{number}.0.0",
            artefact_sha256=f"{writer}-{number}",
            package_uri=f"packages/model_{writer}/{number}",
            run_id=f"run-{number}",
            requested_by="benchmark",
            actor="benchmark",
        )
    ended = time.time()
    ledger.close()
    return began, ended


def figures_of(rates: dict[str, list[float]], events: int) -> dict[str, Figure]:
    """Return the figures of all rounds."""
    figures: dict[str, Figure] = {"writers": WRITERS, "events_a_writer": events, "rounds": ROUNDS}
    for name, found in rates.items():
        figures[f"{name}_events_per_second"] = median(found)
        figures[f"{name}_slowest_round_events_per_second"] = min(found)
    turns = zip(rates["postgresql"], rates["sqlite"], strict=True)
    figures["postgresql_to_sqlite_ratio"] = median(there / here for there, here in turns)
    return figures


def reached(figures: dict[str, Figure]) -> str:
    """Return what was to be reached, and whether it was."""
    found = float(figures["postgresql_events_per_second"])
    verdict = "reached" if found >= TARGET else "**missed**"
    return (
        "| to reach | reached | |\n|---|---|---|\n"
        f"| {WRITERS} writers on PostgreSQL, chain intact: {TARGET} a second | {found:.0f} | {verdict} |"
    )


def draw_picture(figures: dict[str, Figure], folder: Path) -> None:
    """Draw what each database takes."""
    picture = Picture(figsize=(8, 2.4), layout="constrained")
    axes = picture.subplots()
    bars = {"SQLite": "sqlite_events_per_second", "PostgreSQL": "postgresql_events_per_second"}
    drawn = axes.barh(list(bars), [float(figures[name]) for name in bars.values()])
    axes.bar_label(drawn, fmt="%.0f", padding=3)
    axes.set(xlabel="events a second", title=f"{figures['writers']} writers at once, chain intact")
    axes.margins(x=0.15)
    axes.invert_yaxis()
    with replacing(folder / "ledger.png") as path:
        picture.savefig(path, format="png", dpi=120)


if __name__ == "__main__":
    main()
