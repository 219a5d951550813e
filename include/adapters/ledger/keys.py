"""API keys: issued, shown once, stored as a hash."""

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from secrets import token_hex, token_urlsafe

from sqlalchemy import select, update

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
    ) -> tuple[ApiKey, str]:
        """Issue a key; return what is stored of it and the key itself, which is never to be had again."""
        prefix = f"nk_{token_hex(6)}"
        secret = f"{prefix}.{token_urlsafe(_SECRET_BYTES)}"
        with self._writing() as transaction:
            key = ApiKey(
                key_id=f"key-{token_hex(8)}",
                prefix=prefix,
                sha256=sha256(secret.encode()).hexdigest(),
                models=tuple(models),
                verbs=tuple(verbs),
                issued_at=transaction.now,
                expires_at=expires_at,
            )
            scope = key.model_dump(mode="json", include={"models", "verbs"})
            transaction.connection.execute(
                api_keys.insert().values(name=name, **{**key.model_dump(), **scope})
            )
            transaction.append(
                EventKind.KEY_ISSUED,
                model=None,
                subject=key.key_id,
                actor=actor,
                payload={"name": name, **key.model_dump(mode="json")},
            )
        return key, secret

    def revoke_key(self, key_id: str, *, actor: str, reason: str) -> ApiKey:
        """Revoke a key from this moment on; one that is revoked stays as it is.

        Raises:
            LedgerError: there is no such key.
        """
        with self._writing() as transaction:
            query = select(api_keys).where(api_keys.c.key_id == key_id)
            row = transaction.connection.execute(query).mappings().one_or_none()
            if row is None:
                raise LedgerError(f"no API key {key_id!r}")
            key = ApiKey.model_validate({name: row[name] for name in ApiKey.model_fields})
            if key.revoked_at is not None:
                return key
            transaction.connection.execute(
                update(api_keys).where(api_keys.c.key_id == key_id).values(revoked_at=transaction.now)
            )
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
