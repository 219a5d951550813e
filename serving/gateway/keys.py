"""API keys: found by prefix, compared in constant time, judged by scope."""

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest

from include.contracts.keys import ApiKey, Verb
from serving.gateway.problems import FORBIDDEN, INVALID_KEY, MISSING_KEY, Problem

_SCHEME = "Bearer "
_NO_DIGEST = "0" * 64


class KeyRing:
    """The keys the ledger knows, by prefix; swapped whole."""

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        self._by_prefix = {key.prefix: key for key in keys}

    def authenticate(self, authorization: str | None, now: datetime) -> ApiKey:
        """Return the key behind an Authorization header.

        Raises:
            Problem: 401, there is none, or it is unknown, expired or revoked.
        """
        if authorization is None or not authorization.startswith(_SCHEME):
            raise Problem(MISSING_KEY, "send the header 'Authorization: Bearer <key>'")
        secret = authorization.removeprefix(_SCHEME)
        key = self._by_prefix.get(secret.partition(".")[0])
        digest = sha256(secret.encode()).hexdigest()
        # An unknown prefix costs the same comparison as a wrong secret.
        matches = compare_digest(digest, key.sha256 if key else _NO_DIGEST)
        if key is None or not matches or not key.is_valid(now):
            raise Problem(INVALID_KEY, "the key is unknown, expired or revoked")
        return key


def authorise(key: ApiKey, model: str, *verbs: Verb) -> None:
    """Check that a key may use one of the verbs on a model.

    Raises:
        Problem: 403, the key's scope does not cover it.
    """
    if not any(key.allows(model, verb) for verb in verbs):
        raise Problem(FORBIDDEN, f"the key has no {' or '.join(verbs)} on {model!r}")
