"""What the pages read from, opened once a process and not before the first request."""

from functools import lru_cache
from typing import TYPE_CHECKING

from include.config.settings import settings
from include.pages.desk import Desk

if TYPE_CHECKING:
    from include.pages.trace import Tracer


@lru_cache(maxsize=1)
def desk() -> Desk:
    """Return the desk."""
    return Desk(settings())


@lru_cache(maxsize=1)
def tracer() -> "Tracer":
    """Return the tracer; it imports what reads models and training sets."""
    from include.pages.trace import Tracer

    return Tracer(settings())
