"""`make backup`: ledger, registry, artefacts and what predictions, labels and features left, in one folder.

    <to>/backup.json         what is here: hash of every file, how far the ledger's chain goes
    <to>/databases/          ledger, MLflow, Airflow: a SQLite file or what pg_dump wrote
    <to>/home/               folders under NINETY_HOME

The ledger comes first: what it speaks about is written before it does, so the folders copied afterwards hold
all of it. MLflow and Airflow follow the ledger and are repaired from it. Secrets are left out: keep
`var/secrets/` where only you can read it. So is the online store, which `features_materialize` fills anew.
"""

import argparse
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from sqlalchemy import URL, make_url

from include.adapters.compacted_home import compacting
from include.adapters.files import scratch_folder, sha256_of, write_atomically
from include.adapters.ledger.ledger import Ledger
from include.adapters.reading_lock import reading
from include.commands.services import postgres_program
from include.commands.terminal import run_command
from include.config.settings import Settings, settings
from include.contracts.errors import PlatformError

FORMAT_VERSION = 1
NAME = "backup.json"
FOLDERS = (
    "artefacts",
    "features",
    "labels",
    "labelled",
    "predictions",
    "outcomes",
    "scores",
    "quarantine",
    "skew",
    "mlflow",
)
"""Of the platform's home, in the order in which they are copied."""
_LEFT_OUT = ("online.sqlite3*", "mlflow.sqlite3*", "*.tmp", "*.lock")
_LAST_CHARACTERS = 2000


class Backup(BaseModel):
    """What a backup holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = FORMAT_VERSION
    made_at: datetime
    events: int
    """How many events the ledger's chain had before; those written meanwhile may be here, too."""
    chain_hash: str
    """Of the last of them."""
    elsewhere: dict[str, str] = {}
    """Settings of what lies in a bucket, which keeps its own versions, and is not in here."""
    files: dict[str, str]
    """SHA-256 by path."""


def main() -> None:
    """Back up as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("to", type=Path, help="folder to be made")
    to = parser.parse_args().to
    run_command(lambda: show(back_up(settings(), to, datetime.now(UTC)), to))


def show(backup: Backup, to: Path) -> None:
    """Tell what was backed up."""
    print(f"{to}: {len(backup.files)} files, ledger of {backup.events} events, each file's hash in {NAME}")
    for setting, url in backup.elsewhere.items():
        print(f"not in it: {url} ({setting}); turn its versions on, or copy it")


def back_up(settings: Settings, to: Path, now: datetime) -> Backup:
    """Copy everything that cannot be made anew into a folder, which appears once it is complete.

    Raises:
        PlatformError: the folder exists, or a database cannot be read.
        ChainError: the ledger is not whole.
    """
    if to.exists():
        raise PlatformError(f"{to} exists; name a folder that does not")
    head = head_of(settings.ledger_uri)
    with scratch_folder(to.absolute().parent, to.name) as draft:
        for name, url in databases(settings).items():
            dump(url, draft / "databases" / name)
        copy_folders(settings, draft / "home")
        backup = describe(settings, draft, head, now)
        write_atomically(draft / NAME, backup.model_dump_json(indent=1).encode())
        draft.rename(to)
    return backup


def databases(settings: Settings) -> dict[str, URL]:
    """Return the databases that hold state, by name; the ledger first."""
    airflow = settings.airflow_database_url or f"sqlite:///{settings.airflow_home / 'airflow.db'}"
    urls = {"ledger": settings.ledger_uri, "mlflow": settings.mlflow_database_uri, "airflow": airflow}
    if settings.mlflow_uri:
        del urls["mlflow"]
    return {name: make_url(url) for name, url in urls.items()}


def dump(url: URL, path: Path) -> None:
    """Write one consistent state of a database to a file, whoever writes meanwhile; of none, no file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if url.get_backend_name() == "postgresql":
        run_postgres("pg_dump", url, "--format=custom", "--no-owner", f"--file={path}")
        return
    source = Path(str(url.database))
    if not source.exists():
        return
    uri = f"{source.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as database, closing(sqlite3.connect(path)) as copy:
        database.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


def run_postgres(name: str, url: URL, *arguments: str) -> None:
    """Run one of PostgreSQL's programs on a database; the password is not on its command line.

    Raises:
        PlatformError: it failed.
    """
    where = [
        "-h",
        str(url.host),
        "-p",
        str(url.port or 5432),
        "-U",
        str(url.username),
        "-d",
        str(url.database),
    ]
    environment = {**os.environ, "PGPASSWORD": str(url.password or "")}
    command = [postgres_program(name), *where, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode != 0:
        raise PlatformError(f"{name} failed: {done.stderr[-_LAST_CHARACTERS:]}")


def copy_folders(settings: Settings, to: Path) -> None:
    """Copy the folders that exist."""
    for name in FOLDERS:
        source = settings.home / name
        if source.is_dir():
            with _held_still(source, name):
                copy_folder(source, to / name)


def copy_folder(source: Path, to: Path) -> None:
    """Copy a folder; marks of what is being written are copied before it, so that its end may be torn."""
    ignore = shutil.ignore_patterns(*_LEFT_OUT)
    marked = shutil.ignore_patterns(*_LEFT_OUT, "*.log", "*.parquet", "*.json")
    shutil.copytree(source, to, ignore=marked)
    shutil.copytree(source, to, ignore=ignore, dirs_exist_ok=True)


@contextmanager
def _held_still(folder: Path, name: str) -> Iterator[None]:
    """Keep a prediction log's rows where they are, from segments to Parquet, while they are copied."""
    if name != "predictions":
        yield
        return
    with compacting(folder), reading(folder):
        yield


def describe(settings: Settings, draft: Path, head: tuple[int, str], now: datetime) -> Backup:
    """Return what was copied, and how far the chain went before."""
    paths = (path for path in sorted(draft.rglob("*")) if path.is_file())
    files = {path.relative_to(draft).as_posix(): sha256_of(path) for path in paths}
    events, chain_hash = head
    bucketed = {
        "NINETY_ARTEFACTS_URL": settings.artefacts_url,
        "NINETY_COMPACTED_URL": settings.compacted_url,
    }
    return Backup(
        made_at=now,
        events=events,
        chain_hash=chain_hash,
        elsewhere={name: url for name, url in bucketed.items() if url},
        files=files,
    )


def head_of(ledger_url: str) -> tuple[int, str]:
    """Return how many events a ledger has, proven, and the hash of the last."""
    ledger = Ledger(ledger_url)
    try:
        count = ledger.verify()
        last = ledger.events(after=count - 1, limit=1) if count else ()
        return count, last[0].hash if last else ""
    finally:
        ledger.close()


if __name__ == "__main__":
    main()
