"""API keys: found by prefix, compared in constant time, judged by scope."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest

from include.contracts.keys import ApiKey, Verb
from serving.gateway.problems import FORBIDDEN, INVALID_KEY, MISSING_KEY, Problem

_SCHEME = "Bearer "
_NO_DIGEST = bytes(sha256().digest_size)
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Held:
    """A key as it is compared: made once a swap, looked at by every request."""

    key: ApiKey
    digest: bytes
    valid_until: datetime


class KeyRing:
    """The keys the ledger knows, by prefix; swapped whole, and nothing outlives the swap."""

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        self._by_prefix = {key.prefix: _held(key) for key in keys}

    def authenticate(self, authorization: str | None, now: datetime) -> ApiKey:
        """Return the key behind an Authorization header.

        Args:
            authorization: the header's value; None where there is none.
            now: aware UTC.

        Raises:
            Problem: 401, there is none, or it is unknown, expired or revoked.
        """
        if authorization is None or not authorization.startswith(_SCHEME):
            raise Problem(MISSING_KEY, "send the header 'Authorization: Bearer <key>'")
        secret = authorization[len(_SCHEME) :]
        held = self._by_prefix.get(secret.partition(".")[0])
        digest = sha256(secret.encode()).digest()
        # An unknown prefix costs the same comparison as a wrong secret.
        matches = compare_digest(digest, _NO_DIGEST if held is None else held.digest)
        if held is None or not matches or now >= held.valid_until:
            raise Problem(INVALID_KEY, "the key is unknown, expired or revoked")
        return held.key


def authorise(key: ApiKey, model: str, *verbs: Verb) -> None:
    """Check that a key may use one of the verbs on a model.

    Raises:
        Problem: 403, the key's scope does not cover it.
    """
    for verb in verbs:
        if key.allows(model, verb):
            return
    raise Problem(FORBIDDEN, f"the key has no {' or '.join(verbs)} on {model!r}")


def _held(key: ApiKey) -> _Held:
    # All in the one zone of the clock: Python compares such times without asking for their offsets.
    return _Held(key, bytes.fromhex(key.sha256), (key.ends_at or _NEVER).astimezone(UTC))
