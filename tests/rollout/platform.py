"""The steps of a release, as the DAGs take them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from include.adapters.artefacts import ArtefactStore
from include.adapters.ledger.ledger import Ledger
from include.adapters.tracking import Tracking
from include.adapters.triton_control import TritonControl
from include.config.models import ModelFolder
from include.config.settings import Settings
from include.contracts.packages import Version
from include.contracts.releases import Decision, Release
from include.contracts.versions import triton_name
from include.registry.register import register
from include.rollout.approval import record_decision
from include.rollout.load import load_release
from include.rollout.ramp import RampTools, enter
from include.rollout.ramp_evidence import RampEvidence
from tests.registry.candidates import model_folder, opened, write_candidate

ANSWERED_AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Platform:
    """Everything a release needs, and a model."""

    settings: Settings
    ledger: Ledger
    triton: TritonControl
    tracking: Tracking
    root: Path
    model: str

    @cached_property
    def folder(self) -> ModelFolder:
        """The model's folder."""
        return model_folder(self.root, self.model)

    @property
    def tools(self) -> RampTools:
        """What steps of a ramp work with."""
        contract = self.folder.contract
        evidence = RampEvidence(self.settings, self.ledger, contract.monitoring)
        return RampTools(self.settings, self.ledger, contract, [self.triton], evidence)

    @property
    def store(self) -> ArtefactStore:
        """The artefact store."""
        return ArtefactStore(self.settings.artefacts_folder)

    def register(self, run: str, **changes: Any) -> Version:
        """Register a candidate."""
        uri = write_candidate(self.store, self.folder, f"{self.model}-{run}", **changes)
        return register(self.settings, self.ledger, self.tracking, self.folder, uri, actor="ada")

    def approved(self, version: Version) -> Release:
        """Open a release of a version and have it approved."""
        release = opened(
            self.ledger,
            self.folder.contract,
            version.version,
            release_id=f"{self.model}-{version.version}",
            triggered_by="system",
        )
        return record_decision(
            self.ledger,
            self.store,
            release.release_id,
            Decision.APPROVED,
            decided_by="approver",
            decided_at=ANSWERED_AT,
            evidence_sha256="shown",
        )

    def loaded(self, version: Version) -> Release:
        """Load an approved release."""
        return load_release(
            self.settings,
            self.ledger,
            [self.triton],
            self.approved(version),
        )

    def switched(self, version: Version) -> Release:
        """Give a loaded release all traffic."""
        release = self.loaded(version)
        return enter(self.tools, release, "system")

    def name(self, version: Version) -> str:
        """Return Triton's name of a version."""
        return triton_name(version.model, version.version)
