"""API keys: what the ledger stores of them, never the key itself."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from include.contracts.moments import UtcDatetime


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
    prefix: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Hex SHA-256 of the whole key."""
    models: tuple[str, ...] = Field(min_length=1)
    """Models it may use; `*` means all."""
    verbs: tuple[Verb, ...] = Field(min_length=1)
    issued_at: UtcDatetime
    expires_at: UtcDatetime | None = None
    revoked_at: UtcDatetime | None = None

    @property
    def ends_at(self) -> datetime | None:
        """When the key stops to count: as it expires, or is revoked before that."""
        return min((end for end in (self.expires_at, self.revoked_at) if end is not None), default=None)

    def is_valid(self, now: datetime) -> bool:
        """Say whether the key is neither expired nor revoked."""
        return self.ends_at is None or now < self.ends_at

    def allows(self, model: str, verb: Verb) -> bool:
        """Say whether the key's scope covers a verb on a model."""
        return verb in self.verbs and ("*" in self.models or model in self.models)
