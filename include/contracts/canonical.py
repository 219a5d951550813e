"""Canonical JSON: one byte string for one value, so that hashes of it mean something."""

import json
from hashlib import sha256


def canonical_json(value: object) -> bytes:
    """Return UTF-8 JSON with sorted keys and no spaces.

    Raises:
        TypeError: the value holds something JSON has no form for.
        ValueError: the value holds NaN or an infinity.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def content_hash(value: object) -> str:
    """Return the hex SHA-256 of the canonical JSON of a value."""
    return sha256(canonical_json(value)).hexdigest()
