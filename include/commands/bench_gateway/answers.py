"""Whether answers are right: a sample of them against what Triton says when it is asked directly."""

import json
from collections.abc import Sequence
from random import Random

import httpx
import numpy as np

from include.adapters.triton_control import TritonControl
from include.commands.bench_gateway.closed_loop import Target
from include.commands.bench_gateway.fresh_data import Customer
from include.commands.bench_gateway.serving import Gateway
from include.commands.bench_gateway.stack import MODEL, Stack
from include.contracts.errors import PlatformError
from include.contracts.identifiers import time_of
from include.contracts.versions import triton_name

SAMPLE = 32
TOLERANCE = 1e-5


def check_gateway(stack: Stack, gateway: Gateway, seed: int) -> int:
    """Ask the gateway for some customers and Triton for the same rows; return how many were compared.

    Raises:
        PlatformError: an answer is not what Triton gives for the features at the answer's moment.
    """
    chosen = Random(seed).sample(stack.customers, SAMPLE)  # noqa: S311 - no secret
    headers = {"Authorization": f"Bearer {stack.key}"}
    with httpx.Client(base_url=gateway.settings.gateway_url, headers=headers, trust_env=False) as client:
        for customer in chosen:
            body = {"entity": {stack.folder.contract.entity.name: customer.key}}
            answer = client.post(f"/v1/predict/{MODEL}", json=body).raise_for_status().json()
            expected = _expected(stack, customer, answer)
            if answer["fallback"] is not None or abs(answer["score"] - expected) > TOLERANCE:
                raise PlatformError(f"customer {customer.key}: Triton says {expected}, the gateway {answer}")
    return len(chosen)


def _expected(stack: Stack, customer: Customer, answer: dict[str, object]) -> float:
    moment = time_of(str(answer["prediction_id"]))
    (row,) = stack.rows([customer], moment)
    control = TritonControl(stack.settings.triton_endpoint)
    try:
        name = triton_name(MODEL, str(answer["version"]))
        return float(control.infer(name, stack.folder.contract.signature, [row])[0, 0])
    finally:
        control.close()


def check_json(target: Target, bodies: Sequence[bytes], expected: Sequence[float], *path: str | int) -> int:
    """Post some bodies and compare what lies under a path of each JSON answer; return how many.

    Raises:
        PlatformError: an answer is not the expected one.
    """
    with httpx.Client(headers=dict(target.headers), trust_env=False) as client:
        for body, score in zip(bodies, expected, strict=True):
            found = client.post(target.url, content=body).raise_for_status().json()
            for step in path:
                found = found[step]
            if not np.isclose(found, score, rtol=0, atol=TOLERANCE):
                raise PlatformError(f"{target.url}: {found} instead of {score} for {json.loads(body)}")
    return len(expected)
