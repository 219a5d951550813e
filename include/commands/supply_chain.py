"""`make sbom`, `make audit`: what the locks hold, for auditors, and which of it has known weaknesses.

What a lock holds is all that an environment holds: `make setup` installs nothing else, hash by hash.
"""

import argparse
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from include.commands.lock import pins
from include.commands.setup import LOCKED, ROOT, Environment
from include.commands.terminal import run_command
from include.config.settings import settings
from include.contracts.errors import PlatformError

UNHASHED = frozenset({"torch"})
"""Locally built for one machine's processor, so that no index knows its hash."""
_LAST_CHARACTERS = 2000


@dataclass(frozen=True)
class Audit:
    """What is known of the packages of a lock.

    Attributes:
        audited: packages that were looked up.
        skipped: packages that could not be, each with the reason.
        weaknesses: by package and version, the advisories' names and the versions that mend them.
    """

    audited: int
    skipped: tuple[str, ...]
    weaknesses: tuple[str, ...]


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["sbom", "audit"])
    run_command({"sbom": write_boms, "audit": audit_all}[parser.parse_args().what])


def write_boms() -> None:
    """Write a CycloneDX bill of materials of each environment to `sbom/` under the platform's home."""
    folder = settings().home / "sbom"
    folder.mkdir(parents=True, exist_ok=True)
    for environment in LOCKED:
        path = folder / f"{environment.folder.removeprefix('.')}.cdx.json"
        write_bom(ROOT / environment.lock, path)
        print(f"{path}: {len(json.loads(path.read_text('utf-8'))['components'])} packages")


def write_bom(lock: Path, path: Path) -> None:
    """Write the bill of materials of a lock, the same bytes for the same lock."""
    _run(
        "cyclonedx-py",
        *("requirements", str(lock), "--output-reproducible", "--of", "JSON", "-o", str(path)),
    )


def audit_all() -> None:
    """Look every package of every lock up in PyPI's advisories.

    Raises:
        PlatformError: one has a weakness, or none could be looked up.
    """
    found = {environment: audit(environment) for environment in LOCKED}
    for environment, result in found.items():
        print(f"{environment.lock}: {result.audited} packages audited, {len(result.skipped)} not")
    weak = sorted({line for result in found.values() for line in result.weaknesses})
    if weak:
        raise PlatformError("known weaknesses:\n" + "\n".join(weak))
    if not any(result.audited for result in found.values()):
        reason = next(line for result in found.values() for line in result.skipped)
        raise PlatformError(f"nothing could be audited from here: {reason}")


def audit(environment: Environment) -> Audit:
    """Look the packages of a lock up."""
    # Names and versions alone: with hashes it wants one of torch, too.
    pinned = pins((ROOT / environment.lock).read_text("utf-8"))
    with NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("".join(f"{name}=={version}\n" for name, version in pinned.items()))
        file.flush()
        command = ("-r", file.name, "--no-deps", "--disable-pip", "-f", "json")
        return read_audit(_run("pip-audit", *command, may_find=True))


def read_audit(report: str) -> Audit:
    """Read what pip-audit said."""
    packages = json.loads(report)["dependencies"]
    skipped = tuple(str(item["skip_reason"]) for item in packages if "skip_reason" in item)
    weak = tuple(
        f"{item['name']} {item['version']}: {found['id']}, mended in {' '.join(found['fix_versions']) or '-'}"
        for item in packages
        for found in item.get("vulns", ())
    )
    return Audit(len(packages) - len(skipped), skipped, weak)


def without_hashes(lock_text: str) -> set[str]:
    """Return the packages a lock pins without a hash."""
    blocks = re.findall(r"^([A-Za-z0-9._-]+)==(?:[^\n]*\\\n)*[^\n]*\n", lock_text, flags=re.MULTILINE)
    hashed = re.findall(r"^([A-Za-z0-9._-]+)==[^\n]*\\\n\s+--hash=", lock_text, flags=re.MULTILINE)
    return set(blocks) - set(hashed)


def _run(name: str, *arguments: str, may_find: bool = False) -> str:
    """Run one of the environment's own programs; return what it said.

    Raises:
        PlatformError: it failed; a program that `may_find` something ends with 1 when it did.
    """
    command = [str(Path(sys.executable).with_name(name)), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode not in ((0, 1) if may_find else (0,)) or (may_find and not done.stdout):
        raise PlatformError(f"{name} failed: {done.stderr[-_LAST_CHARACTERS:]}")
    return done.stdout


if __name__ == "__main__":
    main()
