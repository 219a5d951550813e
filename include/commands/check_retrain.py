"""`make check-retrain MODEL=… [AS_OF=…] [REQUEST=1 [BY=…]]`: is code or data newer than the last training?

Ends with 0 where nothing is due or the model is retired, with 1 where a training is. With REQUEST=1 it is
asked for in the ledger, Airflow is woken where it runs, and the status is 0. BY names the user of Airflow
who asks, and who therefore may not approve; without it that is the operating system's name for who types.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime

import httpx

from include.adapters.ledger.ledger import Ledger
from include.commands.airflow_api import AirflowApi
from include.commands.platform import OPERATOR
from include.commands.secrets import passwords
from include.commands.terminal import moment_of, run_command, user_name
from include.config.models import model_folder
from include.config.settings import Settings, settings
from include.contracts.errors import PlatformError
from include.contracts.events import SYSTEM
from include.contracts.retraining import RetrainReason
from include.training.claim import due, present


def main() -> None:
    """Check as the command line says."""
    parser = ArgumentParser(prog="make check-retrain", description=__doc__)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("as_of", metavar="AS_OF", nargs="?", default="", help="a day; now unless given")
    parser.add_argument("--request", action="store_true", help="ask for the training that is due")
    parser.add_argument("--by", metavar="BY", default="", help="the user of Airflow who asks for it")
    given = parser.parse_args()
    run_command(lambda: check(given.model, given.as_of, request=given.request, by=given.by))


def check(model: str, as_of: str, *, request: bool, by: str = "") -> None:
    """Print why a training is due; end with 1 where one is and is not asked for.

    Args:
        model: the model.
        as_of: a day or moment; empty means now.
        request: ask for what is due.
        by: who asks, a user of Airflow; empty means who types.

    Raises:
        PlatformError: `by` names the system, for which nobody would be kept from approving.
    """
    if why := retirement(settings(), model):
        print(f"{model} is retired: {why}; it trains no more by itself")
        return
    requester = _requester(by)
    moment = moment_of(as_of, datetime.now(UTC))
    reasons = reasons_of(settings(), model, moment)
    for reason, why in reasons.items():
        print(f"{model} is due, {reason.value}: {why}")
    if not reasons:
        print(f"{model}: nothing is new since its last training")
    elif request:
        print(ask(settings(), model, reasons, moment, requester))
    else:
        sys.exit(1)


def retirement(settings: Settings, model: str) -> str | None:
    """Return why a model was retired; None while it was not.

    Raises:
        LedgerError: there is no ledger.
    """
    with closing(Ledger(settings.ledger_uri)) as ledger:
        return ledger.retired_models().get(model)


def reasons_of(settings: Settings, model: str, as_of: datetime) -> dict[RetrainReason, str]:
    """Return why a model is due for training.

    Raises:
        ContractError: there is no such model, or its contract does not load.
        LedgerError: there is no ledger.
    """
    folder = model_folder(settings.model_folders, model)
    with closing(Ledger(settings.ledger_uri)) as ledger:
        last = ledger.last_regular_training(model)
    return due(folder.contract, last, present(settings, folder, as_of))


def ask(
    settings: Settings, model: str, reasons: Mapping[RetrainReason, str], as_of: datetime, by: str
) -> str:
    """Write the requests into the ledger, wake Airflow, and return what was done."""
    with closing(Ledger(settings.ledger_uri)) as ledger:
        for reason in reasons:
            ledger.request_retrain(model, reason, as_of, by)
    try:
        airflow = AirflowApi(settings.airflow_url, OPERATOR, passwords(settings).get(OPERATOR, ""))
        airflow.ring(f"{model}_training_wanted")
    except (PlatformError, httpx.HTTPError, FileNotFoundError) as error:
        return f"asked for; Airflow was not woken ({error}), its schedule will find the request"
    return f"asked for; {model}_train starts"


def _requester(by: str) -> str:
    """Return who asks, as approvals will look for the name."""
    name = by.strip() or user_name()
    if name == SYSTEM:
        raise PlatformError(
            f"{name!r} is nobody: BY=<user of Airflow> names who asks, and so may not approve"
        )
    return name


if __name__ == "__main__":
    main()
