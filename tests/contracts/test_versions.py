import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.contracts.versions import Bump, SemanticVersion, triton_name

VERSIONS = st.builds(SemanticVersion, *[st.integers(min_value=0, max_value=999)] * 3)


@given(VERSIONS)
def test_text_round_trips(version):
    """Parsing what was printed gives the version back."""
    assert version == SemanticVersion.parse(str(version))


@pytest.mark.parametrize("text", ["1.2", "1.2.3.4", "01.2.3", "v1.2.3", "1.2.x", "", "1.2.3\n"])
def test_anything_else_is_refused(text):
    """Only MAJOR.MINOR.PATCH without leading zeros is a version."""
    with pytest.raises(ValueError, match="semantic version"):
        SemanticVersion.parse(text)


@given(VERSIONS, st.sampled_from(Bump))
def test_a_raised_version_is_larger_and_resets_what_is_below(version, bump):
    """Order follows the three numbers."""
    raised = version.raised(bump)
    assert raised > version
    assert {Bump.MAJOR: (0, 0), Bump.MINOR: (raised.minor, 0), Bump.PATCH: (raised.minor, raised.patch)}[
        bump
    ] == (
        raised.minor,
        raised.patch,
    )


def test_versions_order_by_number_not_by_text():
    """1.10.0 comes after 1.9.0."""
    assert SemanticVersion.parse("1.10.0") > SemanticVersion.parse("1.9.0")


def test_each_version_is_a_triton_model_of_its_own():
    """Triton cannot load one version of a model."""
    assert triton_name("churn", "1.2.3") == "churn__1_2_3"
