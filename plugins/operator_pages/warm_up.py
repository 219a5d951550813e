"""What takes a while the first time, done when the server starts, beside it: no first page waits for it."""

import gc
import logging
from datetime import UTC, datetime
from threading import Thread

from include.contracts.errors import NinetyError
from include.pages.airflow_facts import AirflowFacts
from include.pages.features import features_page, freshest
from include.pages.model import model_page
from include.pages.models import models_page
from operator_pages.places import desk, tracer
from operator_pages.rendering import compile_templates

_log = logging.getLogger(__name__)


def warm_up() -> None:
    """Begin to warm up, in a thread that ends with the process."""
    Thread(target=_warm_up, name="operator-pages-warm-up", daemon=True).start()


def _warm_up() -> None:
    compile_templates()
    try:
        _read()
    except NinetyError as error:
        _log.info("pages are read for the first time when they are asked for: %s", error)
    tracer()
    # What is loaded by now stays: a collector that walks all of it again and again stops every request for
    # a third of a second each time.
    gc.collect()
    gc.freeze()


def _read() -> None:
    """Read contracts, features and what every model shows, as a page would."""
    found, now = desk(), datetime.now(UTC)
    models_page(found, found.models(), AirflowFacts(), now, freshest(found.settings))
    features_page(found, now)
    for model in found.models()[:1]:
        model_page(found, model, AirflowFacts(), now)
