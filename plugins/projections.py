"""What follows the ledger: Triton's loaded models and the registry's aliases."""

import logging

from include.config.models import ModelFolder
from include.config.settings import settings
from include.contracts.errors import RegistryError

LOG = logging.getLogger(__name__)


def reconcile(folder: ModelFolder) -> None:
    """Bring Triton and MLflow in line with the ledger; what cannot be reached now is logged.

    The change itself is in the ledger already, so a server that is down must not undo or fail it: the next
    reconciliation repairs the rest.
    """
    from include.adapters.artefacts import ArtefactStore
    from include.adapters.ledger.ledger import Ledger
    from include.adapters.tracking import Tracking
    from include.adapters.triton_control import TritonControl
    from include.registry.reconcile import reconcile_registry
    from include.rollout.reconcile import reconcile_triton

    ledger, triton = Ledger(settings().ledger_uri), TritonControl(settings().triton_endpoint)
    done = reconcile_triton(settings(), ledger, triton, folder.name, folder.contract.resources)
    LOG.info("Triton: loaded %s, unloaded %s", done.loaded, done.unloaded)
    for problem in done.problems:
        LOG.error("Triton: %s", problem)
    try:
        store = ArtefactStore(settings().artefacts_folder)
        plan = reconcile_registry(ledger, Tracking(settings()), store, folder.name)
        LOG.info("registry: registered %s, pointed %s", [v.version for v in plan.register], plan.point)
    except RegistryError as error:
        LOG.error("registry: %s", error)  # noqa: TRY400 - the message says it all
