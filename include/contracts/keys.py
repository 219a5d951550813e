"""API keys: what the ledger stores of them, never the key itself."""

from datetime import datetime
from enum import StrEnum
from math import ceil

from pydantic import BaseModel, ConfigDict, Field, model_validator

from include.contracts.moments import UtcDatetime

ANY_MODEL = "*"
"""Stands for every model there is and will be."""


class Verb(StrEnum):
    """What a key may do."""

    PREDICT = "predict"
    OUTCOMES = "outcomes"
    INFER = "infer"
    READ = "read"


class ApiKey(BaseModel):
    """A key by its public prefix and the SHA-256 of its secret.

    The key a caller holds is `<prefix>.<secret>`, the secret 256 random bits in URL-safe base64.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key_id: str
    name: str = ""
    """What people call it; a successor keeps it."""
    prefix: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Hex SHA-256 of the whole key."""
    models: tuple[str, ...] = Field(min_length=1)
    """Models it may use; `*` means all."""
    verbs: tuple[Verb, ...] = Field(min_length=1)
    issued_at: UtcDatetime
    expires_at: UtcDatetime | None = None
    revoked_at: UtcDatetime | None = None
    rate_per_second: float | None = Field(default=None, ge=0.001, le=1_000_000)
    """Entities a second it may ask about in the long run, to a thousandth; None sets no limit."""
    burst: int | None = Field(default=None, ge=1, le=1_000_000)
    """Entities it may ask about at once; None means one second's worth."""

    @model_validator(mode="after")
    def _limited_as_a_whole(self) -> "ApiKey":
        if self.burst is not None and self.rate_per_second is None:
            raise ValueError("a burst needs a rate: without one there is no limit")
        return self

    @property
    def most_at_once(self) -> int | None:
        """The burst in force; None where there is no limit."""
        return None if self.rate_per_second is None else self.burst or max(1, ceil(self.rate_per_second))

    @property
    def ends_at(self) -> datetime | None:
        """When the key stops to count: as it expires, or is revoked before that."""
        return min((end for end in (self.expires_at, self.revoked_at) if end is not None), default=None)

    def is_valid(self, now: datetime) -> bool:
        """Say whether the key is neither expired nor revoked."""
        return self.ends_at is None or now < self.ends_at

    def allows(self, model: str, verb: Verb) -> bool:
        """Say whether the key's scope covers a verb on a model."""
        return verb in self.verbs and (ANY_MODEL in self.models or model in self.models)
