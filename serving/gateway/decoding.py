"""Strict JSON: what is not JSON is refused with 400, what does not fit its schema with 422."""

from typing import TypeVar

import msgspec

from serving.gateway.problems import INVALID_REQUEST, MALFORMED, Problem

T = TypeVar("T")


def decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Return a body as its schema has it.

    Raises:
        Problem: 400 or 422, with the place of what is wrong.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Problem(INVALID_REQUEST, str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(MALFORMED, str(error)) from error
    except RecursionError:
        raise Problem(MALFORMED, "JSON is nested too deeply") from None
