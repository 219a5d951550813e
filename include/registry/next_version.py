"""Semantic versions are derived from what changed, never typed."""

from include.contracts.packages import Manifest
from include.contracts.versions import FIRST_VERSION, Bump, SemanticVersion


def next_version(previous: tuple[SemanticVersion, Manifest] | None, candidate: Manifest) -> SemanticVersion:
    """Return the version a candidate gets after the highest one there is."""
    if previous is None:
        return FIRST_VERSION
    version, manifest = previous
    return version.raised(bump_between(manifest, candidate))


def bump_between(previous: Manifest, candidate: Manifest) -> Bump:
    """Say how large a change is: what goes in or comes out, how it is built, or only the data."""
    if _interface(previous) != _interface(candidate):
        return Bump.MAJOR
    if _making(previous) != _making(candidate):
        return Bump.MINOR
    return Bump.PATCH


def _interface(manifest: Manifest) -> tuple[object, ...]:
    return manifest.signature, manifest.snapshot.feature_service


def _making(manifest: Manifest) -> tuple[object, ...]:
    code = manifest.code
    return code.fingerprint, code.lock_sha256, manifest.hyperparameters, manifest.seed
