"""Who asked for a training: often one, at times several, and none of them may approve what came of it."""

from collections.abc import Iterable

from include.contracts.events import SYSTEM

_BETWEEN = ", "


def joined_requesters(names: Iterable[str]) -> str:
    """Return all requesters as the one text that travels with record, version and release.

    Each once, sorted, parted by a comma and a blank; `system` only where nobody else asked.
    """
    return _BETWEEN.join(sorted({*names} - {SYSTEM})) or SYSTEM


def is_requester(name: str, requested_by: str) -> bool:
    """Say whether a person is among the requesters; `system` never is.

    A name that itself holds the separator is still found: in doubt somebody is excluded, never let in.
    """
    return name != SYSTEM and f"{_BETWEEN}{name}{_BETWEEN}" in f"{_BETWEEN}{requested_by}{_BETWEEN}"
