"""Problem documents (RFC 9457): every refusal, its status and what it tells the caller."""

from dataclasses import dataclass

import msgspec


@dataclass(frozen=True)
class ProblemKind:
    """One kind of problem; its `type` is the anchor of its entry on the documentation page."""

    slug: str
    status: int
    title: str

    @property
    def type(self) -> str:
        """URI reference of the problem type."""
        return f"/docs#{self.slug}"


MALFORMED = ProblemKind("malformed-json", 400, "The body is not the JSON this endpoint takes")
EVENT_TIME = ProblemKind("event-time", 400, "X-Event-Time cannot be used")
MISSING_KEY = ProblemKind("missing-key", 401, "An API key is needed")
INVALID_KEY = ProblemKind("invalid-key", 401, "The API key is not valid")
FORBIDDEN = ProblemKind("forbidden", 403, "The API key does not cover this")
NOT_FOUND = ProblemKind("not-found", 404, "There is nothing at this path")
UNKNOWN_MODEL = ProblemKind("unknown-model", 404, "No such model is served")
UNKNOWN_ENTITY = ProblemKind("unknown-entity", 404, "There are no features of this entity")
METHOD_NOT_ALLOWED = ProblemKind("method-not-allowed", 405, "This path does not take this method")
REQUEST_TIMEOUT = ProblemKind("request-timeout", 408, "The body did not arrive in time")
OUTCOME_CONFLICT = ProblemKind("outcome-conflict", 409, "The outcome is known with other content")
RETIRED_MODEL = ProblemKind("retired-model", 410, "The model is retired")
TOO_LARGE = ProblemKind("too-large", 413, "The body is over the limit")
UNSUPPORTED_MEDIA_TYPE = ProblemKind("unsupported-media-type", 415, "The body's media type is not taken")
INVALID_REQUEST = ProblemKind("invalid-request", 422, "The request does not fit the model's signature")
STALE_FEATURES = ProblemKind("stale-features", 422, "The entity's features are older than their TTL")
MISSING_FEATURES = ProblemKind("missing-features", 422, "Features of this entity are missing")
INVALID_FEATURES = ProblemKind("invalid-features", 422, "The features do not fit the model's signature")
REQUEST_ID_REUSED = ProblemKind("request-id-reused", 422, "The request_id was used with another body")
OVER_BURST = ProblemKind("over-burst", 422, "More entities at once than the API key lets pass")
RATE_LIMITED = ProblemKind("rate-limited", 429, "The API key's limit is reached")
TOO_MANY_FAILURES = ProblemKind("too-many-failures", 429, "Too many requests without a valid API key")
INTERNAL = ProblemKind("internal-error", 500, "The gateway failed")
NOT_READY = ProblemKind("not-ready", 503, "The gateway has no routes yet")
MODEL_UNAVAILABLE = ProblemKind("model-unavailable", 503, "The model cannot answer now")
FEATURES_UNAVAILABLE = ProblemKind("features-unavailable", 503, "The feature store cannot be read now")
OVERLOADED = ProblemKind("overloaded", 503, "More is asked than can be answered now")
LOG_UNAVAILABLE = ProblemKind("log-unavailable", 503, "The log cannot be used now")

PROBLEM_KINDS = tuple(kind for kind in globals().values() if isinstance(kind, ProblemKind))
"""All kinds, for the documentation."""

KINDS_BY_SLUG = {kind.slug: kind for kind in PROBLEM_KINDS}

RETRY_AFTER_SECONDS = 1


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Body of an error, `application/problem+json`."""

    type: str
    title: str
    status: int
    detail: str
    instance: str


class Problem(Exception):  # noqa: N818 - RFC 9457's word
    """A request that is refused or cannot be answered; the detail is meant for the caller."""

    def __init__(self, kind: ProblemKind, detail: str, *, retry_after_seconds: int | None = None) -> None:
        """Args: retry_after_seconds: when asking again makes sense, where that is known."""
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds

    def document(self, instance: str) -> ProblemDocument:
        """Return the problem's body; `instance` is the request's path."""
        return ProblemDocument(
            type=self.kind.type,
            title=self.kind.title,
            status=self.kind.status,
            detail=self.detail,
            instance=instance,
        )
