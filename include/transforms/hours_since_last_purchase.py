"""Request-time transform: how long ago a customer last bought, at the moment of the request."""


def hours_since_last_purchase(columns: dict[str, list[float | None]]) -> list[float | None]:
    """Return hours [n] from `last_purchase_epoch` to `event_at`, both in seconds since 1970 UTC.

    None where there was no purchase; a purchase after the moment counts as one at it.
    """
    pairs = zip(columns["last_purchase_epoch"], columns["event_at"], strict=True)
    return [
        None if bought is None or now is None else max(now - bought, 0.0) / 3600.0 for bought, now in pairs
    ]
