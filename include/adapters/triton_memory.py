"""Triton's memory: the budgets of what is loaded, held against what there is before more is loaded.

Each version is staged with its budget in its configuration, and Triton tells the configuration of what it
has loaded: so the sum is of what runs there, whoever loaded it.
"""

from collections.abc import Mapping

from include.adapters.triton_control import TritonControl
from include.contracts.errors import MemoryBudgetError


def check_memory(triton: TritonControl, name: str, needed_mb: int, bound_mb: int) -> None:
    """Refuse to load a model for which there is no memory left; one that is loaded already has its own.

    Args:
        triton: the server.
        name: Triton's name of the model.
        needed_mb: its budget, in megabytes.
        bound_mb: what all models there may take together; 0 means that nothing is bounded.

    Raises:
        MemoryBudgetError: there is not enough; the message names who has how much, and what to do.
        ServingError: Triton cannot be asked.
    """
    if not bound_mb:
        return
    budgets = triton.memory_budgets()
    if name in budgets or sum(budgets.values()) + needed_mb <= bound_mb:
        return
    raise MemoryBudgetError(refusal(triton.endpoint, name, needed_mb, bound_mb, budgets))


def refusal(endpoint: str, name: str, needed_mb: int, bound_mb: int, budgets: Mapping[str, int]) -> str:
    """Return why a model is not loaded and what makes room for it."""
    taken = sum(budgets.values())
    largest_first = sorted(budgets.items(), key=lambda item: (-item[1], item[0]))
    held = ", ".join(f"{each} {budget} MB" for each, budget in largest_first) or "nothing is loaded"
    return (
        f"Triton at {endpoint} has {max(bound_mb - taken, 0)} MB of {bound_mb} MB left, and {name} needs "
        f"{needed_mb} MB (resources.memory_mb of its contract): {held}. Retire one that has no traffic (make "
        "retire MODEL=<model> REASON=<why> VERSION=<version>), end a shadow (make shadow MODEL=<model> "
        "SHARE=0), or raise NINETY_TRITON_MEMORY_MB"
    )
