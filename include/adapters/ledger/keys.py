"""API keys: issued, shown once, stored as a hash; rotated with an overlap, revoked."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_hex, token_urlsafe
from typing import Any

from sqlalchemy import Connection, select, update

from include.adapters.ledger.chain import Transaction
from include.adapters.ledger.journal import Journal
from include.adapters.ledger.tables import api_keys
from include.contracts.errors import LedgerError
from include.contracts.events import EventKind
from include.contracts.keys import ApiKey, Verb

_SECRET_BYTES = 32


class KeyLedger(Journal):
    """Reads and writes API keys."""

    def issue_key(
        self,
        name: str,
        models: Iterable[str],
        verbs: Iterable[Verb],
        actor: str,
        expires_at: datetime | None = None,
        *,
        rate_per_second: float | None = None,
        burst: int | None = None,
    ) -> tuple[ApiKey, str]:
        """Issue a key; return what is stored of it and the key itself, which is never to be had again."""
        scope = {"models": tuple(models), "verbs": tuple(verbs), "expires_at": expires_at}
        limit = {"rate_per_second": rate_per_second, "burst": burst}
        with self._writing() as transaction:
            return _issue(transaction, actor, {"name": name, **scope, **limit})

    def rotate_key(self, key_id: str, overlap: timedelta, *, actor: str) -> tuple[ApiKey, str]:
        """Issue a successor of the same name, scope, limit and lifetime; the key goes on for the overlap.

        Each of the two has the whole of the limit. A key that ends before the overlap does is not prolonged.

        Returns:
            What is stored of the successor, and the successor itself, which is never to be had again.

        Raises:
            LedgerError: there is no such key, or it no longer counts.
        """
        with self._writing() as transaction:
            key, now = _key(transaction.connection, key_id), transaction.now
            if not key.is_valid(now):
                raise LedgerError(f"API key {key_id!r} is expired or revoked: issue a new one")
            ends_at = now + max(overlap, timedelta(0))
            expires_at = min(ends_at, key.expires_at or ends_at)
            kept = key.model_dump(include={"name", "models", "verbs", "rate_per_second", "burst"})
            lifetime = None if key.expires_at is None else now + (key.expires_at - key.issued_at)
            successor, secret = _issue(transaction, actor, {**kept, "expires_at": lifetime})
            _change(transaction.connection, key_id, expires_at=expires_at)
            transaction.append(
                EventKind.KEY_ROTATED,
                model=None,
                subject=key_id,
                actor=actor,
                payload={"successor": successor.key_id, "expires_at": expires_at.isoformat()},
            )
        return successor, secret

    def revoke_key(self, key_id: str, *, actor: str, reason: str) -> ApiKey:
        """Revoke a key from this moment on; one that is revoked stays as it is.

        Raises:
            LedgerError: there is no such key.
        """
        with self._writing() as transaction:
            key = _key(transaction.connection, key_id)
            if key.revoked_at is not None:
                return key
            _change(transaction.connection, key_id, revoked_at=transaction.now)
            transaction.append(
                EventKind.KEY_REVOKED, model=None, subject=key_id, actor=actor, payload={"reason": reason}
            )
            return key.model_copy(update={"revoked_at": transaction.now})

    def api_keys(self) -> tuple[ApiKey, ...]:
        """Return every key ever issued, oldest first; `ApiKey.is_valid` tells which still count."""
        query = select(api_keys).order_by(api_keys.c.issued_at, api_keys.c.key_id)
        with self._reading() as connection:
            rows = connection.execute(query).mappings()
            return tuple(ApiKey.model_validate({n: row[n] for n in ApiKey.model_fields}) for row in rows)


def _issue(transaction: Transaction, actor: str, fields: dict[str, Any]) -> tuple[ApiKey, str]:
    """Make a key and its secret, and write it down, inside a transaction."""
    prefix = f"nk_{token_hex(6)}"
    secret = f"{prefix}.{token_urlsafe(_SECRET_BYTES)}"
    made = {"key_id": f"key-{token_hex(8)}", "prefix": prefix, "issued_at": transaction.now}
    key = ApiKey(sha256=sha256(secret.encode()).hexdigest(), **made, **fields)
    plain = key.model_dump(mode="json")
    row = {**key.model_dump(), "models": plain["models"], "verbs": plain["verbs"]}
    transaction.connection.execute(api_keys.insert().values(row))
    transaction.append(EventKind.KEY_ISSUED, model=None, subject=key.key_id, actor=actor, payload=plain)
    return key, secret


def _key(connection: Connection, key_id: str) -> ApiKey:
    query = select(api_keys).where(api_keys.c.key_id == key_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise LedgerError(f"no API key {key_id!r}")
    return ApiKey.model_validate({name: row[name] for name in ApiKey.model_fields})


def _change(connection: Connection, key_id: str, **values: datetime) -> None:
    connection.execute(update(api_keys).where(api_keys.c.key_id == key_id).values(**values))
