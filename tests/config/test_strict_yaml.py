import pytest

from include.config.strict_yaml import read_yaml
from include.contracts.errors import ContractError

MERGED = """\
nested:
  deeper:
    base: &base
      <<: &small {delay: 1d, share: 0.1}
      share: 0.5
stage: {<<: *base, delay: 2d}
both: {<<: [*small, *base]}
"""


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a: 1\nb: {c: 2, c: 3}\n", "'c' is written twice, again in line 2"),
        (b"a: 1\n1: 2\n0x1: 3\n", "1 is written twice, again in line 3"),
        (b"? [a, b]\n: 1\n", "unhashable key"),
        (b"? {a: b}\n: 1\n", "unhashable key"),
        (b"day: 2017-13-45\n", "month must be in 1..12"),
        (b"2017-02-30: 1\n", "day is out of range"),
        (b"owner: \xe9t\xe9\n", "utf-8"),
        (b"owner: \x00\n", "special characters"),
        (b"owner: [\n", "expected the node content"),
        (b"owner: *nobody\n", "undefined alias"),
        (b"owner: !!python/object/apply:os.system [ls]\n", "could not determine a constructor"),
    ],
)
def test_what_is_no_yaml_is_the_file_s_fault(tmp_path, content, told):
    """Whatever is wrong, one error names the file, so that a broken contract stops only its own model."""
    path = tmp_path / "contract.yaml"
    path.write_bytes(content)
    with pytest.raises(ContractError, match=f"^{path} is not YAML: (.|\n)*{told}"):
        read_yaml(path)


def test_keys_may_be_merged(tmp_path):
    """What a mapping says itself goes before what it takes over, wherever both stand."""
    path = tmp_path / "contract.yaml"
    path.write_text(MERGED)
    found = read_yaml(path)
    assert {"delay": "1d", "share": 0.5} == found["nested"]["deeper"]["base"]
    assert {"delay": "2d", "share": 0.5} == found["stage"]
    assert {"delay": "1d", "share": 0.1} == found["both"]
