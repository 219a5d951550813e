"""API keys: `make key-issue`, `make key-rotate`, `make key-revoke`, `make keys`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import starmap

from pydantic import ValidationError

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.commands.terminal import run_command, user_name
from include.config.models import model_folders
from include.config.settings import Settings, settings
from include.contracts.errors import PlatformError
from include.contracts.keys import ANY_MODEL, ApiKey, Verb

ISSUE = "usage: make key-issue NAME=<name> MODELS=<model,…|*> VERBS=<verb,…> [DAYS=…] [RATE=… [BURST=…]]"
ROTATE = "usage: make key-rotate KEY_ID=<key> OVERLAP=<hours>"
REVOKE = "usage: make key-revoke KEY_ID=<key> [REASON=<why>]"
LONGEST_NAME = 200
LONGEST_DAYS = 36_500
FOLLOWED_WITHIN_SECONDS = 2
"""Within this time a gateway that reaches the ledger follows what was changed here."""

_HEADER = ("key", "name", "prefix", "models", "verbs", "limit", "issued", "state")


def main() -> None:
    """Do as the command line says."""
    command, *words = sys.argv[1:]
    perform, names = COMMANDS[command]
    run_command(lambda: print(perform(settings(), **dict(zip(names, map(str.strip, words), strict=True)))))


def issue(
    settings: Settings, name: str, models: str, verbs: str, *, days: str = "", rate: str = "", burst: str = ""
) -> str:
    """Issue a key and return it, for the one time it is to be seen.

    Args:
        settings: names the ledger and the model folders.
        name: what people call it.
        models: model names, or `*`, separated by commas.
        verbs: verbs, separated by commas.
        days: days until it expires; empty means never.
        rate: entities a second; empty sets no limit.
        burst: entities at once; empty means one second's worth.

    Raises:
        PlatformError: something is missing, or is not what it must be.
    """
    wanted = _words(models)
    if not name.strip() or len(name) > LONGEST_NAME or not wanted or not _words(verbs):
        raise PlatformError(ISSUE)
    expires_at = datetime.now(UTC) + timedelta(days=_number("DAYS", days, LONGEST_DAYS)) if days else None
    limit = _number("RATE", rate, 1_000_000) if rate else None
    most = int(_number("BURST", burst, 1_000_000)) if burst else None
    try:
        with _ledger(settings) as ledger:
            key, secret = ledger.issue_key(
                name,
                wanted,
                [_verb(word) for word in _words(verbs)],
                user_name(),
                expires_at,
                rate_per_second=limit,
                burst=most,
            )
    except ValidationError as error:
        raise PlatformError("; ".join(item["msg"] for item in error.errors())) from error
    unknown = sorted(set(wanted) - {ANY_MODEL} - model_folders(settings.model_folders).keys())
    note = f"\nThere is no folder of {', '.join(unknown)} here: is that the model's name?" if unknown else ""
    within = f"within {FOLLOWED_WITHIN_SECONDS} s"
    return f"{key.key_id} ({name}) counts at every gateway {within}{note}\n{_shown_once(secret)}"


def rotate(settings: Settings, key_id: str, overlap: str) -> str:
    """Issue a key's successor and return it; the key goes on for the overlap, in hours.

    Raises:
        PlatformError: something is missing, or is not what it must be.
        LedgerError: there is no such key, or it no longer counts.
    """
    if not key_id or not overlap:
        raise PlatformError(ROTATE)
    hours = timedelta(hours=_number("OVERLAP", overlap, LONGEST_DAYS * 24))
    with _ledger(settings) as ledger:
        successor, secret = ledger.rotate_key(key_id, hours, actor=user_name())
        old = next(key for key in ledger.api_keys() if key.key_id == key_id)
    ends = "" if old.ends_at is None else f"{old.ends_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{successor.key_id} ({successor.name}) follows {key_id}, which ends {ends}\n{_shown_once(secret)}"


def revoke(settings: Settings, key_id: str, reason: str = "") -> str:
    """Revoke a key and return what was done.

    Raises:
        PlatformError: the key is not named.
        LedgerError: there is no such key.
    """
    if not key_id:
        raise PlatformError(REVOKE)
    with _ledger(settings) as ledger:
        key = ledger.revoke_key(key_id, actor=user_name(), reason=reason or "none given")
    within = f"within {FOLLOWED_WITHIN_SECONDS} s"
    return f"{key_id} ({key.name}) is revoked: every gateway that reaches the ledger refuses it {within}"


def listing(settings: Settings) -> str:
    """Return all keys there ever were as a table, oldest first; never a secret."""
    with _ledger(settings) as ledger:
        keys, now = ledger.api_keys(), datetime.now(UTC)
    rows = [_HEADER, *(_row(key, now) for key in keys)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(starmap(str.ljust, zip(row, widths, strict=True))).rstrip() for row in rows)


def _row(key: ApiKey, now: datetime) -> tuple[str, ...]:
    limit = "none" if key.rate_per_second is None else f"{key.rate_per_second:g}/s, burst {key.most_at_once}"
    days = f"{key.issued_at:%Y-%m-%d}"
    scope = (",".join(key.models), ",".join(key.verbs))
    return (key.key_id, key.name, key.prefix, *scope, limit, days, _state(key, now))


def _state(key: ApiKey, now: datetime) -> str:
    if key.revoked_at is not None and key.revoked_at <= now:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    if key.expires_at is None:
        return "counts"
    return f"{'counts until' if key.is_valid(now) else 'expired'} {key.expires_at:%Y-%m-%d %H:%M}"


def _shown_once(secret: str) -> str:
    return f"The key is shown this once and kept nowhere:\n{secret}"


@contextmanager
def _ledger(settings: Settings) -> Iterator[Ledger]:
    upgrade(settings.ledger_uri)
    with closing(Ledger(settings.ledger_uri)) as ledger:
        yield ledger


def _words(text: str) -> list[str]:
    return [word for word in text.replace(",", " ").split() if word]


def _verb(word: str) -> Verb:
    try:
        return Verb(word)
    except ValueError:
        raise PlatformError(f"{word!r} is no verb; there are {', '.join(Verb)}") from None


def _number(name: str, text: str, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        raise PlatformError(f"{name}={text!r}: write a number from 0 to {most:,.0f}")
    return number


COMMANDS: dict[str, tuple[Callable[..., str], tuple[str, ...]]] = {
    "issue": (issue, ("name", "models", "verbs", "days", "rate", "burst")),
    "rotate": (rotate, ("key_id", "overlap")),
    "revoke": (revoke, ("key_id", "reason")),
    "list": (listing, ()),
}

if __name__ == "__main__":
    main()
