"""Request-time transform: how old a pump's last reading is at the moment of the request."""


def hours_since_reading(columns: dict[str, list[float | None]]) -> list[float | None]:
    """Return hours [n] from `last_reading_epoch` to `event_at`; None without a reading."""
    pairs = zip(columns["last_reading_epoch"], columns["event_at"], strict=True)
    return [None if read is None or now is None else (now - read) / 3600 for read, now in pairs]
