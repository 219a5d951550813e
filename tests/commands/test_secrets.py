"""Keys and passwords are made once and stay their owner's."""

import stat

from include.commands.secrets import USERS, ensure_secrets, passwords
from include.config.settings import Settings


def test_secrets_are_made_once(tmp_path):
    """The first call makes them and says so; the second leaves every byte alone."""
    settings = Settings(home=tmp_path)
    first = ensure_secrets(settings)
    before = {path.name: path.read_bytes() for path in settings.secrets_folder.iterdir()}

    second = ensure_secrets(settings)

    assert (first, second) == (True, False)
    assert before == {path.name: path.read_bytes() for path in settings.secrets_folder.iterdir()}
    assert set(USERS) == set(passwords(settings))


def test_only_their_owner_reads_them(tmp_path):
    """Folder 700, files 600."""
    settings = Settings(home=tmp_path)
    ensure_secrets(settings)

    modes = {stat.S_IMODE(path.stat().st_mode) for path in settings.secrets_folder.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE(settings.secrets_folder.stat().st_mode) == 0o700


def test_every_machine_has_its_own(tmp_path):
    """Two homes share no secret."""
    made = []
    for name in ("a", "b"):
        settings = Settings(home=tmp_path / name)
        ensure_secrets(settings)
        made.append({path.read_bytes() for path in settings.secrets_folder.iterdir()})

    assert made[0].isdisjoint(made[1])
