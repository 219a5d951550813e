import json

import pytest

from include.commands.lock import pins
from include.commands.setup import LOCKED, ROOT
from include.commands.supply_chain import UNHASHED, read_audit, without_hashes, write_bom


@pytest.mark.parametrize("environment", LOCKED, ids=lambda item: item.folder)
def test_every_package_is_pinned_by_its_hash(environment):
    """All but torch, which is built for a machine's own processor."""
    assert without_hashes((ROOT / environment.lock).read_text(encoding="utf-8")) <= UNHASHED


def test_a_pin_without_a_hash_is_found():
    """Between others, and at the end."""
    text = (
        "a==1 \\\n    --hash=sha256:0\n    # via x\nb==2\n    # via y\nc==3 \\\n    --hash=sha256:1\nd==4\n"
    )
    assert {"b", "d"} == without_hashes(text)


def test_the_bill_of_materials_names_every_package(tmp_path):
    """As a package URL with version and hash; the same bytes every time."""
    lock = ROOT / "serving" / "gateway" / "requirements.lock"
    for name in ("one", "two"):
        write_bom(lock, tmp_path / name)
    bom = json.loads((tmp_path / "one").read_text())
    known = pins(lock.read_text(encoding="utf-8"))

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert known == {item["name"].replace("_", "-").lower(): item["version"] for item in bom["components"]}
    assert all(item["purl"].startswith("pkg:pypi/") for item in bom["components"])


def test_what_could_not_be_looked_up_is_not_called_sound():
    """Weaknesses are told with what mends them, and packages nobody looked up are counted apart."""
    found = read_audit(
        json.dumps(
            {
                "dependencies": [
                    {"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]},
                    {"name": "b", "version": "1", "vulns": []},
                    {"name": "c", "skip_reason": "not found"},
                ]
            }
        )
    )
    assert (2, ("not found",), ("a 1: PYSEC-1, mended in 2",)) == (
        found.audited,
        found.skipped,
        found.weaknesses,
    )
