"""API keys from the terminal: issued, rotated, revoked, listed."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.commands.keys import issue, listing, revoke, rotate
from include.config.settings import Settings
from include.contracts.errors import LedgerError, PlatformError
from include.contracts.keys import ApiKey, Verb


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Name a ledger that nobody has made yet."""
    return Settings(home=tmp_path)


def held(settings: Settings) -> tuple[ApiKey, ...]:
    """Return the ledger's keys."""
    upgrade(settings.ledger_uri)
    ledger = Ledger(settings.ledger_uri)
    keys = ledger.api_keys()
    ledger.close()
    return keys


def test_an_issued_key_is_shown_once(settings):
    """The last line is the key; what is kept of it is its hash, with scope, end and limit as asked for."""
    said = issue(settings, "shop", "churn, spend", "predict,outcomes", days="30", rate="50", burst="100")
    secret, (key,) = said.splitlines()[-1], held(settings)

    assert sha256(secret.encode()).hexdigest() == key.sha256
    assert ("shop", ("churn", "spend"), (Verb.PREDICT, Verb.OUTCOMES)) == (key.name, key.models, key.verbs)
    assert (50.0, 100) == (key.rate_per_second, key.burst)
    assert timedelta(days=29) < key.expires_at - datetime.now(UTC) < timedelta(days=31)
    assert secret not in listing(settings)


def test_a_key_needs_no_end_and_no_limit(settings):
    """Both are asked for, never assumed."""
    issue(settings, "shop", "*", "predict")
    (key,) = held(settings)

    assert (None, None, None) == (key.expires_at, key.rate_per_second, key.most_at_once)
    assert key.allows("anything", Verb.PREDICT)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "usage: make key-issue"),
        ({"models": " , "}, "usage: make key-issue"),
        ({"verbs": ""}, "usage: make key-issue"),
        ({"verbs": "predict,fly"}, "'fly' is no verb; there are predict, outcomes"),
        ({"days": "soon"}, "DAYS='soon': write a number"),
        ({"days": "-1"}, "DAYS='-1': write a number"),
        ({"rate": "nan"}, "RATE='nan': write a number"),
        ({"rate": "0"}, "greater than or equal to 0.001"),
        ({"burst": "5"}, "a burst needs a rate"),
        ({"rate": "5", "burst": "0.5"}, "greater than or equal to 1"),
    ],
)
def test_what_makes_no_key_is_refused(settings, changes, message):
    """The message says what to write; nothing is issued."""
    asked = {"name": "shop", "models": "churn", "verbs": "predict"} | changes
    with pytest.raises(PlatformError, match=message):
        issue(settings, **asked)
    assert () == held(settings)


def test_a_model_without_a_folder_is_asked_about(settings):
    """A key may come before its model, but a misspelt name is more likely."""
    assert "no folder of chrun here" in issue(settings, "shop", "chrun,churn", "predict")
    assert "no folder" not in issue(settings, "shop", "churn", "predict")


def test_rotation_tells_when_the_old_key_ends(settings):
    """The successor is shown once; the list has both."""
    issue(settings, "shop", "churn", "predict")
    old = held(settings)[0].key_id
    said = rotate(settings, old, "48")
    ended, successor = held(settings)

    assert f"which ends {ended.expires_at:%Y-%m-%d %H:%M:%S} UTC" in said
    assert sha256(said.splitlines()[-1].encode()).hexdigest() == successor.sha256
    listed = listing(settings).splitlines()
    assert [f"counts until {ended.expires_at:%Y-%m-%d %H:%M}", "counts"] == [
        line.partition("  counts")[1].strip() + line.partition("  counts")[2] for line in listed[1:]
    ]


def test_a_revoked_key_is_listed_as_such(settings):
    """With the reason in the ledger; a key that is not there cannot be revoked."""
    issue(settings, "shop", "churn", "predict")
    key = held(settings)[0]
    assert "is revoked" in revoke(settings, key.key_id, "lost")

    assert "revoked " in listing(settings).splitlines()[1]
    with pytest.raises(LedgerError, match="no API key 'key-x'"):
        revoke(settings, "key-x")
    for usage in (lambda: revoke(settings, ""), lambda: rotate(settings, key.key_id, "")):
        with pytest.raises(PlatformError, match="usage: make key-"):
            usage()
