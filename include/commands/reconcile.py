"""`python -m include.commands.reconcile`: keeps Triton and MLflow in line with the ledger."""

import logging
import signal
import threading
from contextlib import closing

from sqlalchemy.exc import SQLAlchemyError

from include.adapters.artefact_home import artefact_store
from include.adapters.ledger.ledger import Ledger
from include.adapters.tracking import Tracking
from include.adapters.triton_candidates import remove_leftovers
from include.adapters.triton_control import TritonControl, every_triton
from include.config.settings import Settings, settings
from include.contracts.errors import NinetyError, ServingError
from include.registry.reconcile import reconcile_registry
from include.rollout.reconcile import reconcile_triton

LOG = logging.getLogger("reconcile")
PERIOD_SECONDS = 15.0


def main() -> None:
    """Reconcile every model again and again until told to end."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    unwanted: dict[str, frozenset[str]] = {}
    while not ended.wait(PERIOD_SECONDS):
        unwanted = reconcile_all(settings(), unwanted)


def reconcile_all(settings: Settings, unwanted: dict[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Reconcile every model once; whatever goes wrong is logged, since an end of this process ends the stack.

    Args:
        settings: names the servers.
        unwanted: what each model's last reconciliation returned.
    """
    try:
        _remove_leftovers(settings)
        return {
            name: reconcile(settings, name, unwanted.get(name, frozenset())) for name in _models(settings)
        }
    except Exception:  # serving must not end with its caretaker; the next time may go well
        LOG.exception("reconciling failed; trying again in %.0f s", PERIOD_SECONDS)
        return unwanted


def _models(settings: Settings) -> tuple[str, ...]:
    """Return the models the ledger knows, whether or not their folders are here and load."""
    with closing(Ledger(settings.ledger_uri)) as ledger:
        return ledger.models()


def _remove_leftovers(settings: Settings) -> None:
    """Take away candidates that a killed evaluation left in Triton."""
    try:
        with closing(TritonControl(settings.triton_endpoint)) as triton:
            if gone := remove_leftovers(settings.triton_repository, triton):
                LOG.info("removed what an evaluation left in Triton: %s", ", ".join(gone))
    except ServingError as error:
        LOG.error("%s", error)  # noqa: TRY400 - the message says it all


def reconcile(settings: Settings, model: str, may_unload: frozenset[str] = frozenset()) -> frozenset[str]:
    """Bring Triton and MLflow in line with the ledger for one model; what cannot be reached now is logged.

    A change is in the ledger before it is anywhere else, so a server that is away must neither undo nor fail
    it. What is loaded a moment before its route is written looks unwanted: it is unloaded only when it was
    unwanted the time before, too.

    Args:
        settings: names the servers.
        model: the model's name.
        may_unload: Triton names that were unwanted the time before.

    Returns:
        Triton names that are unwanted now and were left loaded.
    """
    try:
        with closing(Ledger(settings.ledger_uri)) as ledger:
            if not _concerns(ledger, model):
                return frozenset()
            unwanted = _reconcile_tritons(settings, ledger, model, may_unload)
            store = artefact_store(settings)
            plan = reconcile_registry(ledger, Tracking(settings), store, model)
            if plan.register or plan.point or plan.remove:
                LOG.info("%s: MLflow's aliases now are %s", model, plan.point)
            return unwanted
    except (NinetyError, SQLAlchemyError) as error:
        LOG.error("%s: %s", model, error)  # noqa: TRY400 - the message says it all
        return may_unload


def _reconcile_tritons(
    settings: Settings, ledger: Ledger, model: str, may_unload: frozenset[str]
) -> frozenset[str]:
    """Reconcile every Triton, and return what is unwanted in one of them and was left loaded."""
    unwanted: set[str] = set()
    for triton in every_triton(settings):
        with closing(triton):
            done = reconcile_triton(settings, ledger, triton, model, may_unload=may_unload)
        for problem in done.problems:
            LOG.error("%s: %s", model, problem)
        if done.loaded or done.unloaded:
            LOG.info("%s at %s: loaded %s, unloaded %s", model, triton.endpoint, done.loaded, done.unloaded)
        unwanted.update(done.unwanted)
    return frozenset(unwanted)


def _concerns(ledger: Ledger, model: str) -> bool:
    """Say whether the ledger speaks about a model: what it never served and does not release is let alone."""
    return (
        ledger.route(model) is not None
        or ledger.open_release_of(model) is not None
        or model in ledger.retired_models()
    )


if __name__ == "__main__":
    main()
