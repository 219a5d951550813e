"""`make restore`: a backup put back where there is nothing, proven file by file and event by event."""

import argparse
import shutil
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import URL, create_engine, inspect

from include.adapters.files import sha256_of
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.commands.backup import FOLDERS, FORMAT_VERSION, NAME, Backup, databases, run_postgres
from include.commands.processes import refuse_second_start
from include.commands.terminal import run_command
from include.config.settings import Settings, settings
from include.contracts.errors import PlatformError

_KINDS = {"sqlite": b"SQLite format 3\0", "postgresql": b"PGDMP"}
"""First bytes of a file by the database it is of."""


def main() -> None:
    """Restore as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="folder that `make backup` made")
    source = parser.parse_args().source
    run_command(lambda: show(restore(settings(), source)))


def show(backup: Backup) -> None:
    """Tell what was put back."""
    print(f"restored {len(backup.files)} files of {backup.made_at:%Y-%m-%d %H:%M} UTC; the ledger is whole")
    print("next: make start, then features_materialize for the features online")


def restore(settings: Settings, source: Path) -> Backup:
    """Put a backup's databases and folders where settings say, and bring the ledger to its latest version.

    Raises:
        PlatformError: the platform runs, something is there already, or the backup is not what was made.
        ChainError: the restored ledger is not whole.
    """
    refuse_second_start(settings)
    backup = read_backup(source)
    check_files(source, backup)
    found = {name: url for name, url in databases(settings).items() if f"databases/{name}" in backup.files}
    check_empty(settings, found)
    for name, url in found.items():
        load(source / "databases" / name, url)
    for name in FOLDERS:
        if (source / "home" / name).is_dir():
            shutil.copytree(source / "home" / name, settings.home / name, dirs_exist_ok=True)
    upgrade(settings.ledger_uri)
    check_chain(settings.ledger_uri, backup)
    return backup


def read_backup(source: Path) -> Backup:
    """Return what a backup says it holds.

    Raises:
        PlatformError: it is none, or of a later version of the platform.
    """
    try:
        backup = Backup.model_validate_json((source / NAME).read_bytes())
    except (OSError, ValidationError) as error:
        raise PlatformError(f"{source} is no backup: {error}") from error
    if backup.format_version > FORMAT_VERSION:
        raise PlatformError(
            f"{source} is of format {backup.format_version}; this code knows {FORMAT_VERSION}"
        )
    return backup


def check_files(source: Path, backup: Backup) -> None:
    """Prove every file.

    Raises:
        PlatformError: one is gone or was altered; names them.
    """
    wrong = [name for name, sha in backup.files.items() if not _is(source / name, sha)]
    if wrong:
        raise PlatformError(f"{source}: gone or altered: {', '.join(wrong[:5])}")


def check_empty(settings: Settings, urls: dict[str, URL]) -> None:
    """Make sure that nothing would be overwritten.

    Raises:
        PlatformError: something would; names it.
    """
    folders = [settings.home / name for name in FOLDERS]
    taken = [str(folder) for folder in folders if folder.is_dir() and any(folder.iterdir())]
    taken += [f"the database of {name}" for name, url in urls.items() if not _is_empty(url)]
    if taken:
        raise PlatformError(f"a backup is restored where there is nothing, and there is: {', '.join(taken)}")


def load(path: Path, url: URL) -> None:
    """Put a database back.

    Raises:
        PlatformError: the file is of another kind of database than settings name, or cannot be loaded.
    """
    kind = url.get_backend_name()
    with path.open("rb") as file:
        if not file.read(16).startswith(_KINDS[kind]):
            raise PlatformError(f"{path} is not of {kind}; restore it where it came from")
    if kind == "postgresql":
        run_postgres("pg_restore", url, "--no-owner", "--exit-on-error", str(path))
        return
    target = Path(str(url.database))
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)


def check_chain(ledger_url: str, backup: Backup) -> None:
    """Prove the restored ledger, and that its chain leads through where it ended when it was backed up.

    Raises:
        PlatformError: it is the chain of another ledger, or shorter.
    """
    ledger = Ledger(ledger_url)
    try:
        ledger.verify()
        last = ledger.events(after=backup.events - 1, limit=1) if backup.events else ()
    finally:
        ledger.close()
    if backup.events and (not last or last[0].hash != backup.chain_hash):
        raise PlatformError(f"the restored ledger does not lead through event {backup.events} of its backup")


def _is(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_of(path) == sha256


def _is_empty(url: URL) -> bool:
    if url.get_backend_name() == "sqlite":
        return not Path(str(url.database)).exists()
    engine = create_engine(url)
    try:
        return not inspect(engine).get_table_names()
    finally:
        engine.dispose()


if __name__ == "__main__":
    main()
