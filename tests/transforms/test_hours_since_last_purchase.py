"""The transform by hand, and held equal in the feature store and in the gateway."""

import pyarrow
import pytest
from feast.on_demand_feature_view import OnDemandFeatureView
from hypothesis import given
from hypothesis import strategies as st

from include.config.models import model_folder
from include.config.settings import REPOSITORY_ROOT, Settings
from include.config.transforms import load_transform
from include.contracts.routes import VersionRoute
from include.features.definitions import entities, feature_view
from include.features.transforms import on_demand_view
from include.features.views import load_views
from serving.gateway.freshness import Enriched
from serving.gateway.request_features import RequestFeatures
from tests.shop import at

NAME = "hours_since_last_purchase"
CONTRACT = model_folder((REPOSITORY_ROOT / "include" / "models",), "churn").contract
SECONDS = st.none() | st.integers(0, 4_000_000_000)
MOMENTS = st.datetimes(at("1970-01-01").replace(tzinfo=None), at("2096-01-01").replace(tzinfo=None))


@pytest.fixture(scope="module")
def offline():
    """The on-demand view as it comes back from Feast's registry."""
    views = load_views(Settings())
    known = entities(views.values())
    feast_views = {
        name: feature_view(Settings(), view, known[view.definition.entity.name])
        for name, view in views.items()
    }
    (item,) = CONTRACT.signature.transformed
    made = on_demand_view(CONTRACT, item, load_transform(NAME), feast_views)
    return OnDemandFeatureView.from_proto(made.to_proto())


@pytest.fixture(scope="module")
def online():
    """What the gateway runs for a version that was trained with the transform."""
    version = VersionRoute(
        version="1.0.0",
        artefact_sha256="a" * 64,
        signature=CONTRACT.signature,
        endpoints=("127.0.0.1:1",),
        transform_sha256={NAME: load_transform(NAME).sha256},
    )
    return RequestFeatures("churn", version, lambda _, name: load_transform(name))


@given(rows=st.lists(st.tuples(SECONDS, MOMENTS), min_size=1, max_size=20))
def test_training_and_serving_agree(offline, online, rows):
    """Whatever the purchase and the moment: the same hours, to the last bit."""
    moments = [moment.replace(tzinfo=at("1970-01-01").tzinfo) for _, moment in rows]
    batch = [Enriched({"last_purchase_epoch": epoch}, {}, None) for epoch, _ in rows]
    online.add(batch, moments)
    table = pyarrow.table(
        {
            "last_purchase_epoch": pyarrow.array([epoch for epoch, _ in rows], pyarrow.int64()),
            "event_at": pyarrow.array([moment.timestamp() for moment in moments], pyarrow.float64()),
        }
    )
    assert offline.transform_arrow(table)[NAME].to_pylist() == [row.features[NAME] for row in batch]
    assert [{"event_at": moment.timestamp()} for moment in moments] == [row.request for row in batch]


def test_hours_by_hand():
    """An hour and a half; none without a purchase; a purchase of the future is no negative time."""
    hours = load_transform(NAME).function
    columns = {"last_purchase_epoch": [0, None, 7200], "event_at": [5400.0, 5400.0, 5400.0]}
    assert [1.5, None, 0.0] == hours(columns)
