"""What approvers were shown, kept under its hash: an answer can be held against it ever after."""

from hashlib import sha256

from include.adapters.artefacts import ArtefactStore
from include.contracts.errors import ArtefactError


def evidence_uri(model: str, evidence_sha256: str) -> str:
    """Return where a text lies in the store."""
    return f"evidence/{model}/{evidence_sha256}.md"


def publish_evidence(store: ArtefactStore, model: str, text: str) -> str:
    """Store a text before it is shown and return its hash; the same text again changes nothing."""
    content = text.encode()
    digest = sha256(content).hexdigest()
    store.write(evidence_uri(model, digest), content)
    return digest


def load_evidence(store: ArtefactStore, model: str, evidence_sha256: str) -> str:
    """Return a text that was shown, proven by its hash.

    Raises:
        ArtefactError: it is missing or altered.
    """
    uri = evidence_uri(model, evidence_sha256)
    content = store.read(uri)
    if sha256(content).hexdigest() != evidence_sha256:
        raise ArtefactError(f"{uri!r} was altered: its SHA-256 is not the one it is named by")
    return content.decode()
