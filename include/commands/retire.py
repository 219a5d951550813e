"""`make retire MODEL=… REASON=… [VERSION=…]`: a model, or one version, serves no more; its history stays."""

import sys
from contextlib import closing

from include.adapters.ledger.ledger import Ledger
from include.commands.terminal import run_command, user_name
from include.config.models import model_folders
from include.config.settings import Settings, settings
from include.contracts.errors import PlatformError

USAGE = "usage: make retire MODEL=<model> REASON='<why>' [VERSION=<version>]"


def main() -> None:
    """Retire as the command line says."""
    run_command(lambda: print(retire(settings(), *[*sys.argv[1:], "", "", ""][:3])))


def retire(settings: Settings, model: str, reason: str, version: str) -> str:
    """Retire a model, or one of its versions, and return what was done.

    Args:
        settings: names the ledger and the model folders.
        model: the model's name.
        reason: goes to the ledger with the name of the user who ran the command, and to callers.
        version: a semantic version; empty means the whole model.

    Raises:
        PlatformError: model or reason is missing, or there is no such model.
        LedgerError: the version is unknown or has traffic, or a release is open.
    """
    if not model or not reason:
        raise PlatformError(USAGE)
    with closing(Ledger(settings.ledger_uri)) as ledger:
        if version:
            new = ledger.retire_version(model, version, actor=user_name(), reason=reason)
            return f"{model} {version} {_now(new)}: no release and no rollback leads to it"
        if model not in model_folders(settings.model_folders) and not ledger.versions(model, retired=True):
            raise PlatformError(f"there is no model {model!r}, neither a folder nor a version of it")
        new = ledger.retire_model(model, actor=user_name(), reason=reason)
    return (
        f"{model} {_now(new)}: the gateway answers 410 with the reason within a second, Triton unloads its "
        "versions within a minute, its DAGs have no schedule.\nVersions, runs, evaluations and traces stay. "
        "A release brings it back."
    )


def _now(new: bool) -> str:
    return "is retired" if new else "was retired before"


if __name__ == "__main__":
    main()
