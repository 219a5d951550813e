"""Deterministic assignment of units to variants; the one definition, documented with test vectors."""

from hashlib import sha256

BUCKET_BITS = 53


def bucket(salt: str, unit: str) -> float:
    """Return the unit's place in [0, 1) under a salt.

    The first eight bytes of SHA-256 over `salt`, a line feed and `unit` (both UTF-8), read as a
    big-endian integer, its upper 53 bits divided by 2**53: every value is exact in a float64.

    Args:
        salt: release or experiment id; independent salts give independent places.
        unit: canonical string of the unit key.
    """
    digest = sha256(f"{salt}\n{unit}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> (64 - BUCKET_BITS)) / 2.0**BUCKET_BITS


def is_assigned(salt: str, unit: str, share: float) -> bool:
    """Say whether a unit is on the new version at a share in [0, 1].

    Ramps are monotone: a unit on the new version at some share is on it at every larger one.
    """
    return bucket(salt, unit) < share
