"""Changes of a ledger that several tests make."""

from sqlalchemy import create_engine

from include.adapters.ledger.ledger import Ledger
from include.contracts.packages import Version
from include.contracts.ramps import RampStage, RolloutPlan
from include.contracts.releases import Approval, Decision, Release, ReleaseStage
from include.contracts.routes import EntityKey, EntityType, ModelRoute, StalePolicy, VersionRoute
from include.contracts.signatures import FeatureInput, FeatureKind, Signature, Task

PLAN = RolloutPlan.model_validate({"stages": [RampStage(share=1.0, hold="0s")], "bake": "24h"})
SIGNATURE = Signature(
    task=Task.BINARY, inputs=(FeatureInput(name="visits", kind=FeatureKind.NUMERIC, view="shop"),)
)


def register(ledger: Ledger, version: str = "1.0.0", model: str = "churn") -> Version:
    """Register a version whose hashes derive from its name."""
    return ledger.register_version(
        model=model,
        version=version,
        artefact_sha256=f"sha-{model}-{version}",
        package_uri=f"packages/{model}/{version}",
        run_id=f"run-{version}",
        requested_by="ada",
        actor="ada",
    )


def open_release(
    ledger: Ledger, version: str = "1.0.0", release_id: str = "r1", model: str = "churn", quorum: int = 1
) -> Release:
    """Open a release of a registered version."""
    return ledger.open_release(
        release_id=release_id,
        model=model,
        version=version,
        champion_version=None,
        artefact_sha256=f"sha-{model}-{version}",
        contract_sha256="contract",
        plan=PLAN,
        thresholds={"roc_auc.minimum": 0.77},
        approvers=("olga", "uma"),
        quorum=quorum,
        requested_by="ada",
        triggered_by="system",
    )


def approve(ledger: Ledger, release: Release, decided_by: str = "olga") -> Approval:
    """Answer yes."""
    return answer(ledger, release, decided_by, Decision.APPROVED)


def answer(ledger: Ledger, release: Release, decided_by: str, decision: Decision) -> Approval:
    """Answer a release."""
    return ledger.record_approval(
        Approval(
            release_id=release.release_id,
            model=release.model,
            version=release.version,
            artefact_sha256=release.artefact_sha256,
            decision=decision,
            decided_by=decided_by,
            decided_at=release.opened_at,
            evidence_sha256="shown",
        )
    )


def advance_to_loaded(ledger: Ledger, release: Release) -> Release:
    """Approve a release and move it to `loaded`."""
    approve(ledger, release)
    approved = ledger.advance_release(
        release.release_id, release.revision, ReleaseStage.APPROVED, actor="olga"
    )
    return ledger.advance_release(release.release_id, approved.revision, ReleaseStage.LOADED, actor="system")


def route_to(version: str, model: str = "churn") -> ModelRoute:
    """Return a route with one champion."""
    return ModelRoute(
        model=model,
        entity=EntityKey(name="customer_id", type=EntityType.INT64),
        feature_ttl_seconds={"shop": 60.0},
        stale_policy=StalePolicy.REJECT,
        fallbacks=(),
        deadline_seconds=1.0,
        champion=VersionRoute(
            version=version,
            artefact_sha256=f"sha-{model}-{version}",
            signature=SIGNATURE,
            endpoints=("127.0.0.1:8001",),
        ),
    )


def tamper(url: str, script: str) -> None:
    """Run SQL behind the ledger's back, as one who may switch its triggers off."""
    engine = create_engine(url)
    raw = engine.raw_connection()
    cursor = raw.cursor()
    if engine.dialect.name == "sqlite":
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        cursor.executescript("".join(f"DROP TRIGGER {name};" for (name,) in cursor.fetchall()) + script)
    else:
        cursor.execute(f"SET session_replication_role = replica; {script}")
    raw.commit()
    raw.close()
    engine.dispose()
