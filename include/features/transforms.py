"""Request-time transforms as Feast's on-demand views: the training set runs the gateway's own functions.

Feast keeps an on-demand view's source text and runs it without the module it came from, so each view's text
holds all of the transform.
"""

from collections.abc import Mapping
from textwrap import indent

from feast import FeatureView, Field, RequestSource
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.types import Float64, String

from include.config.transforms import Transform
from include.contracts.errors import ContractError
from include.contracts.model import ModelContract
from include.contracts.signatures import MOMENT, FeatureInput, FeatureKind

_TYPES = {FeatureKind.NUMERIC: Float64, FeatureKind.CATEGORICAL: String}
_PYTHON_TYPES = {FeatureKind.NUMERIC: "float", FeatureKind.CATEGORICAL: "str"}
_BODY = """
    columns = {{name: inputs[name] for name in {reads}}}
    return {{{feature!r}: [None if value is None else {type}(value) for value in {transform}(columns)]}}
"""


def request_moment() -> RequestSource:
    """Return the source of what a request brings: its moment, in seconds since 1970 UTC."""
    return RequestSource(name="request_moment", schema=[Field(name=MOMENT, dtype=Float64)])


def on_demand_view(
    contract: ModelContract, item: FeatureInput, transform: Transform, views: Mapping[str, FeatureView]
) -> OnDemandFeatureView:
    """Return the on-demand view of one request-time feature of a model.

    Raises:
        ContractError: the transform fails on an example, or gives what it should not.
    """
    name = f"{contract.features.service}__{item.name}"
    text = _text(name, item, transform)
    scope: dict[str, object] = {}
    exec(text, scope)  # noqa: S102 - the repository's own code, as Feast runs it too
    view = OnDemandFeatureView(
        name=name,
        sources=[*_sources(item, views), request_moment()],
        schema=[Field(name=item.name, dtype=_TYPES[item.kind])],
        udf=scope[name],
        udf_string=text,
        mode="python",
        owner=contract.owner.email,
        description=f"Transform {transform.name} at the moment of the request.",
    )
    try:
        view.infer_features()
    except Exception as error:
        raise ContractError(
            f"{contract.name}: transform {transform.name!r} fails on an example: {error}"
        ) from error
    return view


def _sources(item: FeatureInput, views: Mapping[str, FeatureView]) -> list[FeatureView]:
    names = dict.fromkeys(column.view for column in item.reads if column.view is not None)
    return [views[name][[c.name for c in item.reads if c.view == name]] for name in names]


def _text(name: str, item: FeatureInput, transform: Transform) -> str:
    body = _BODY.format(
        reads=[column.name for column in item.reads],
        feature=item.name,
        type=_PYTHON_TYPES[item.kind],
        transform=transform.name,
    )
    return f"def {name}(inputs):\n{indent(transform.source, '    ')}\n{body}"
