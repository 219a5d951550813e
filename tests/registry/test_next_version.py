from pathlib import Path

import pytest

from include.contracts.packages import Manifest
from include.contracts.versions import SemanticVersion
from include.registry.next_version import next_version
from tests.registry.candidates import model_folder, training_record


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Give the manifest of version 1.4.2."""
    return Manifest(**dict(training_record(model_folder(tmp_path), "run-1")), files={"model.onnx": "a"})


def changed(manifest: Manifest, part: str) -> Manifest:
    """Return the manifest after a change of one part of it."""
    signature, code, snapshot = manifest.signature, manifest.code, manifest.snapshot
    updates = {
        "nothing": {"run_id": "run-2"},
        "data": {"snapshot": snapshot.model_copy(update={"sha256": "9" * 64, "rows": 61_000})},
        "ttl": {"snapshot": snapshot.model_copy(update={"feature_ttl_seconds": {"customer_spending": 1.0}})},
        "commit": {"code": code.model_copy(update={"commit": "9" * 40})},
        "fingerprint": {"code": code.model_copy(update={"fingerprint": "9" * 64})},
        "lock": {"code": code.model_copy(update={"lock_sha256": "9" * 64})},
        "hyperparameters": {"hyperparameters": {"hidden": 64}},
        "seed": {"seed": 8},
        "signature": {"signature": signature.model_copy(update={"inputs": signature.inputs[:-1]})},
        "order": {"signature": signature.model_copy(update={"inputs": signature.inputs[::-1]})},
        "service": {"snapshot": snapshot.model_copy(update={"feature_service": "churn_v2"})},
    }
    return manifest.model_copy(update=updates[part])


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("nothing", "1.4.3"),
        ("data", "1.4.3"),
        ("ttl", "1.4.3"),
        ("commit", "1.4.3"),
        ("fingerprint", "1.5.0"),
        ("lock", "1.5.0"),
        ("hyperparameters", "1.5.0"),
        ("seed", "1.5.0"),
        ("signature", "2.0.0"),
        ("order", "2.0.0"),
        ("service", "2.0.0"),
    ],
)
def test_version_says_what_changed(manifest: Manifest, part: str, expected: str) -> None:
    """MAJOR for what goes in or out, MINOR for how it is built, PATCH for the data only."""
    previous = (SemanticVersion(1, 4, 2), manifest)
    assert expected == str(next_version(previous, changed(manifest, part)))


def test_largest_change_counts(manifest: Manifest) -> None:
    """A new signature with new code is one MAJOR step."""
    both = changed(changed(manifest, "signature"), "fingerprint")
    assert str(next_version((SemanticVersion(1, 4, 2), manifest), both)) == "2.0.0"


def test_first_version(manifest: Manifest) -> None:
    """A model begins at 1.0.0."""
    assert str(next_version(None, manifest)) == "1.0.0"
