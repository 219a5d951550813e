"""What a request tells of one entity: a prediction, or why there is none."""

from serving.gateway.problems import INTERNAL, Problem
from serving.gateway.schemas import Prediction

Part = Prediction | BaseException


def is_final(part: Part) -> bool:
    """Say whether asking again could not give more: the entity was answered, or its caller was wrong."""
    return isinstance(part, Prediction) or (isinstance(part, Problem) and part.kind.status < INTERNAL.status)
