"""What takes a while the first time, done when the server starts, beside it: no first page waits for it."""

import gc
import logging
from datetime import UTC, datetime
from threading import Thread

from airflow.utils.session import create_session
from sqlalchemy.exc import SQLAlchemyError

from include.contracts.errors import NinetyError
from include.pages.features import features_page, freshest
from include.pages.model import model_page
from include.pages.models import models_page
from operator_pages.airflow_records import airflow_facts
from operator_pages.places import desk, tracer
from operator_pages.rendering import compile_templates

_log = logging.getLogger(__name__)
_GARBAGE = (50_000, 20, 50)
"""Objects until the youngest are looked through; how many such looks until older ones are, and the oldest."""


def warm_up() -> None:
    """Begin to warm up, in a thread that ends with the process."""
    Thread(target=_warm_up, name="operator-pages-warm-up", daemon=True).start()


def _warm_up() -> None:
    compile_templates()
    try:
        _read()
    except (NinetyError, SQLAlchemyError) as error:
        _log.info("pages are read for the first time when they are asked for: %s", error)
    tracer()
    # What is loaded by now stays: a collector that walks all of it again and again stops every request for
    # a third of a second each time. What requests leave behind is young, and found young.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE)


def _read() -> None:
    """Read contracts, features and what every model shows, as a page would."""
    found, now = desk(), datetime.now(UTC)
    models = found.models()
    with create_session() as session:
        facts = airflow_facts(session, models)
    models_page(found, models, facts, now, freshest(found.settings))
    features_page(found, now)
    for model in models[:1]:
        model_page(found, model, facts, now)
