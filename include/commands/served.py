"""`make served MODEL=… [AT=…]`: what served a model at a moment, since when, and who approved it."""

import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.routes import Served
from include.commands.terminal import moment_of, run_command
from include.config.settings import settings
from include.contracts.errors import PlatformError

USAGE = "usage: make served MODEL=<model> [AT=2026-11-22T09:00:00Z]"


def main() -> None:
    """Answer what the command line asks."""
    run_command(lambda: print(served(*[*sys.argv[1:], "", ""][:2])))


def served(model: str, at: str) -> str:
    """Return what served a model at a moment of wall time, as text.

    Args:
        model: the model's name.
        at: ISO 8601; without a time zone it is taken as UTC, empty means now.

    Raises:
        PlatformError: no model is named, the moment cannot be read, or nothing served it then.
    """
    if not model:
        raise PlatformError(USAGE)
    moment = moment_of(at, datetime.now(UTC))
    with closing(Ledger(settings().ledger_uri)) as ledger:
        found = ledger.served_at(model, moment)
    if found is None:
        raise PlatformError(
            f"nothing served {model!r} at {_text(moment)}; it had no route then, or was retired"
        )
    return "\n".join(_lines(model, found))


def _lines(model: str, found: Served) -> Iterator[str]:
    change = found.change
    yield f"{model} at {_text(found.moment)}"
    reason = f": {change.reason}" if change.reason else ""
    yield f"  since {_text(change.recorded_at)}, by {change.actor}{reason} (ledger event {change.sequence})"
    for _, served, share in found.route.arms:
        version = served.version
        yield f"  {version} had {share:.0%} of the traffic"
        answers = found.approvals.get(version, ())
        for answer in answers:
            yield f"    approved by {answer.decided_by} at {_text(answer.decided_at)}, {answer.release_id}"
        tried = found.experiment is not None and version in found.experiment.treatment_versions
        if found.experiment is not None and tried:
            approvers = ", ".join(found.experiment.approved_by)
            yield f"    approved by {approvers} for the experiment {found.experiment.experiment_id}"
        if not answers and not tried:
            yield "    no approval of it was recorded before"


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


if __name__ == "__main__":
    main()
