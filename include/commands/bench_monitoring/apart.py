"""A measurement in a process of its own: nothing measured before it takes part in its memory."""

import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

_Found = TypeVar("_Found")


def apart(function: Callable[..., _Found], *arguments: object) -> tuple[_Found, float]:
    """Return what a function of a module returns, and the most memory its process held, in megabytes."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measured, function, arguments).result()


def _measured(function: Callable[..., _Found], arguments: tuple[object, ...]) -> tuple[_Found, float]:
    found = function(*arguments)
    return found, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
