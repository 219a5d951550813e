"""Validation from the route alone: the entity a request names and the features a version accepts."""

from collections.abc import Mapping

from include.contracts.predictions import FeatureValue
from include.contracts.routes import EntityKey, EntityType, ModelRoute
from include.contracts.signatures import Signature
from include.contracts.usability import invalid_feature
from serving.gateway.problems import INVALID_FEATURES, INVALID_REQUEST, Problem
from serving.gateway.schemas import Entity, PredictRequest

LONGEST_KEY = 256
_INT64 = range(-(2**63), 2**63)


def entities_of(request: PredictRequest, route: ModelRoute, most: int) -> list[int | str]:
    """Return the key values of the entities a request names.

    Raises:
        Problem: 422, with the place of what is wrong.
    """
    if isinstance(request.entity, dict) == isinstance(request.entities, list):
        raise Problem(INVALID_REQUEST, "send either 'entity' or 'entities'")
    if request.features:
        raise Problem(INVALID_REQUEST, f"model {route.model!r} takes no request-time features")
    if isinstance(request.entity, dict):
        return [_key_value(request.entity, route.entity, "$.entity")]
    entities = request.entities if isinstance(request.entities, list) else []
    if len(entities) > most:
        raise Problem(INVALID_REQUEST, f"{len(entities)} entities in one request; at most {most} are taken")
    return [_key_value(item, route.entity, f"$.entities[{index}]") for index, item in enumerate(entities)]


def check_features(signature: Signature, features: Mapping[str, FeatureValue]) -> None:
    """Check every input of a model before the model sees it.

    Raises:
        Problem: 422, naming the first feature that does not fit; its value is not repeated.
    """
    flaw = invalid_feature(signature, features)
    if flaw is not None:
        raise Problem(INVALID_FEATURES, flaw)


def _key_value(entity: Entity, key: EntityKey, place: str) -> int | str:
    if entity.keys() != {key.name}:
        raise Problem(INVALID_REQUEST, f"{place}: needs the key {key.name!r} and nothing else")
    value = entity[key.name]
    if key.type is EntityType.INT64:
        if type(value) is not int or value not in _INT64:
            raise Problem(INVALID_REQUEST, f"{place}.{key.name}: expected a 64-bit integer")
    elif not isinstance(value, str) or not 0 < len(value) <= LONGEST_KEY:
        raise Problem(INVALID_REQUEST, f"{place}.{key.name}: expected a string of 1 to {LONGEST_KEY}")
    return value
