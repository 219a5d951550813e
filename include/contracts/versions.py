"""Semantic versions of models and the names Triton knows them by."""

import re
from dataclasses import dataclass
from enum import StrEnum

_PATTERN = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


class Bump(StrEnum):
    """Which part of a version a change raises."""

    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"


@dataclass(frozen=True, order=True)
class SemanticVersion:
    """MAJOR.MINOR.PATCH: signature or features, code or hyperparameters, data only."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> "SemanticVersion":
        """Read `1.2.3`.

        Raises:
            ValueError: the text is not three dot-separated numbers without leading zeros.
        """
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a semantic version such as 1.2.3")
        return cls(*(int(part) for part in match.groups()))

    def raised(self, bump: Bump) -> "SemanticVersion":
        """Return the next version after a change of the given size."""
        if bump is Bump.MAJOR:
            return SemanticVersion(self.major + 1, 0, 0)
        if bump is Bump.MINOR:
            return SemanticVersion(self.major, self.minor + 1, 0)
        return SemanticVersion(self.major, self.minor, self.patch + 1)

    def __str__(self) -> str:
        """Return `1.2.3`."""
        return f"{self.major}.{self.minor}.{self.patch}"


FIRST_VERSION = SemanticVersion(1, 0, 0)


def is_semantic_version(text: str) -> bool:
    """Say whether a text is a semantic version such as 1.2.3."""
    return _PATTERN.fullmatch(text) is not None


def triton_name(model: str, version: str) -> str:
    """Return the Triton model name of a version, `<model>__1_2_3`.

    Triton cannot load a single version of a model, so each version is a model of its own.

    Raises:
        ValueError: the version is not a semantic version.
    """
    return f"{model}__{str(SemanticVersion.parse(version)).replace('.', '_')}"
