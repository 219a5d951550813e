"""Request-time features as a caller and the log see them."""

from hashlib import sha256

import pytest

from include.config.transforms import load_transform
from include.contracts.predictions import Status
from tests.serving.gateway.conftest import FRESH, INPUTS, NOW, version_route

ONE = {"entity": {"customer_id": 1}}
NAME = "hours_since_last_purchase"
TRAINED = load_transform(NAME).sha256
COMPUTED = {
    "name": NAME,
    "kind": "numeric",
    "transform": NAME,
    "reads": [{"name": "last_purchase_epoch", "view": "customer_spending"}, {"name": "event_at"}],
    "maximum": 100,
}
PICKY = '''
def hours_since_last_purchase(columns):
    """Fail on one value."""
    return [1.0 / (epoch - 666) for epoch in columns["last_purchase_epoch"]]
'''
SHORT = "def hours_since_last_purchase(columns):\n    return [1.0]\n"


def bought(epoch):
    """An entity's row with its last purchase."""
    return FRESH.having(last_purchase_epoch=epoch)


@pytest.fixture
def begin(start, triton):
    """Start a gateway whose champion has a request-time feature, trained with a transform's text."""

    def begin(digest=TRAINED, **changes):
        champion = version_route("1.0.0", triton[1], inputs=[*INPUTS, COMPUTED])
        return start(champion=champion | {"transform_sha256": {NAME: digest}}, **changes)

    return begin


def test_a_transform_sees_the_requests_moment(begin):
    """Its value reaches the model; the log keeps it, what it was computed from, and the moment."""
    stage = begin()
    stage.features.rows[1] = bought(int(NOW.timestamp()) - 5400)
    answer = stage.predict(ONE).json()
    [row] = stage.rows()

    assert 120.5 + 4 + 1.5 == answer["score"]
    assert (1.5, int(NOW.timestamp()) - 5400) == (row.features[NAME], row.features["last_purchase_epoch"])
    assert {"event_at": NOW.timestamp()} == row.request_features


def test_a_computed_feature_is_checked_like_any_other(begin):
    """Outside its range: refused by name, the model is not asked."""
    stage = begin()
    stage.features.rows[1] = bought(0)
    response = stage.predict(ONE)

    assert (422, "/docs#invalid-features") == (response.status_code, response.json()["type"])
    assert NAME in response.json()["detail"]
    assert [] == stage.triton.calls


def test_a_version_never_runs_a_transform_it_was_not_trained_with(begin):
    """Another text under the same name: the version does not answer, the ladder goes on and says so."""
    stage = begin("0" * 64, fallbacks=["default_score", "refuse"], default_score=[0.3])
    stage.features.rows[1] = bought(0)
    answer = stage.predict(ONE).json()

    assert (0.3, "model_unavailable", None) == (answer["score"], answer["fallback"], answer["version"])
    assert "is not the one version 1.0.0 was trained with" in stage.rows()[0].error
    assert [] == stage.triton.calls


@pytest.fixture
def own(tmp_path):
    """Write a model's own transform; return its hash and the setting that finds it."""

    def write(text):
        folder = tmp_path / "models" / "churn"
        (folder / "transforms").mkdir(parents=True)
        (folder / "contract.yaml").touch()
        (folder / "transforms" / f"{NAME}.py").write_text(text)
        return sha256(text.strip().encode()).hexdigest(), {"model_folders": (folder.parent,)}

    return write


def test_a_row_a_transform_fails_on_fails_alone(begin, own):
    """The others of its batch are answered."""
    digest, settings = own(PICKY)
    stage = begin(digest, settings=settings)
    stage.features.rows = {n: bought(n) for n in range(664, 669)}
    answers = stage.predict({"entities": [{"customer_id": n} for n in range(664, 669)]}).json()["predictions"]

    assert [None, None, 503, None, None] == [answer.get("status") for answer in answers]
    [failed] = [row for row in stage.rows() if row.status is Status.FAILED]
    assert ("666", True) == (failed.unit, "ZeroDivisionError" in failed.error)


def test_a_transform_of_the_wrong_length_is_no_answer(begin, own):
    """One value for two rows is refused as a batch; alone each row gets its own."""
    digest, settings = own(SHORT)
    stage = begin(digest, settings=settings)
    stage.features.rows = {1: bought(1), 2: bought(2)}
    answers = stage.predict({"entities": [{"customer_id": 1}, {"customer_id": 2}]}).json()["predictions"]

    assert [125.5, 125.5] == [answer["score"] for answer in answers]
