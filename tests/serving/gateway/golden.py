"""A package with golden predictions of the model that FaultyTriton plays."""

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from include.adapters.artefacts import ArtefactStore
from include.adapters.packages import publish_package
from include.contracts.packages import CodeState, GoldenCase, GoldenSet, Manifest, Snapshot
from include.contracts.signatures import Signature
from tests.serving.gateway.conftest import INPUTS

DAY = datetime(2017, 10, 1, tzinfo=UTC)
GOLDEN = GoldenSet(
    cases=tuple(
        GoldenCase(
            features={"total_spend_30d": spend, "orders_30d": 2.0, "preferred_category": None},
            outputs=(spend + 2.0,),
        )
        for spend in (1.0, 5.0, 0.25)
    )
)


def publish_golden(artefacts: Path, golden: GoldenSet = GOLDEN) -> str:
    """Publish a package of churn that holds nothing but golden predictions; return its hash."""
    content = golden.model_dump_json().encode()
    manifest = Manifest(
        model="churn",
        signature=Signature.model_validate({"task": "binary", "inputs": INPUTS}),
        snapshot=Snapshot(
            sha256="d" * 64,
            uri="snapshots/churn/d.parquet",
            rows=1,
            start=DAY,
            end=DAY,
            feature_service="churn_v1",
            feature_ttl_seconds={},
            as_of=DAY,
        ),
        code=CodeState(commit="c" * 40, dirty=False, fingerprint="f" * 64, lock_sha256="e" * 64),
        contract_sha256="a" * 64,
        hyperparameters={},
        seed=7,
        metrics={},
        requested_by="ada",
        run_id="run",
        trained_at=DAY,
        duration_seconds=1.0,
        hardware="none",
        files={"golden.json": sha256(content).hexdigest()},
    )
    return publish_package(ArtefactStore(artefacts), manifest, {"golden.json": content})
