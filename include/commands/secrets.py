"""Keys and passwords of this machine: made once, readable by their owner alone."""

import base64
import json
import os
import secrets
from pathlib import Path

from include.config.settings import Settings

USERS = {"admin": "admin", "operator": "op", "approver": "user", "viewer": "viewer"}
"""Airflow's named users and their roles."""

FERNET_KEY = "fernet.key"
JWT_SECRET = "jwt.secret"  # noqa: S105 a file name
API_SECRET = "api.secret"  # noqa: S105 a file name
PASSWORDS = "passwords.json"


def ensure_secrets(settings: Settings) -> bool:
    """Make what is missing in the secrets folder; return whether passwords were made now."""
    folder = settings.secrets_folder
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    keep_secret(folder / FERNET_KEY, base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    keep_secret(folder / JWT_SECRET, secrets.token_hex(32))
    keep_secret(folder / API_SECRET, secrets.token_hex(32))
    chosen = {user: secrets.token_urlsafe(12) for user in USERS}
    return keep_secret(folder / PASSWORDS, json.dumps(chosen, indent=1))


def passwords(settings: Settings) -> dict[str, str]:
    """Return user name to password.

    Raises:
        FileNotFoundError: `ensure_secrets` has not run for this home.
    """
    found: dict[str, str] = json.loads((settings.secrets_folder / PASSWORDS).read_text("utf-8"))
    return found


def keep_secret(path: Path, content: str) -> bool:
    """Write a file unless it is there, in one step and mode 600; return whether it was written."""
    if path.exists():
        return False
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return True
