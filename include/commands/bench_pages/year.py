"""A year in the life of many models, made up: every kind of row that pages read, and as many of them."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import yaml
from sqlalchemy import ColumnElement, Insert, Table, insert, literal, select

from include.adapters.artefact_home import artefact_store
from include.adapters.evidence import publish_evidence
from include.adapters.ledger.engine import open_engine, writing
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.ledger.routes import RouteUpdate
from include.adapters.ledger.tables import measurements, monitor_runs
from include.commands.bench_pages.packages import Packages
from include.config.models import CONTRACT_NAME, ModelFolder, model_folders
from include.config.settings import Settings
from include.contracts.alerts import AlertContent, AlertKind, Severity
from include.contracts.measurements import Monitor, Verdict
from include.contracts.model import ModelContract
from include.contracts.objectives import Objective
from include.contracts.ramps import Ramp, RampStage, RolloutPlan
from include.contracts.releases import Approval, Decision, Release, ReleaseStage
from include.contracts.retraining import RetrainReason
from include.contracts.routes import ModelRoute, VersionRoute

END = datetime(2026, 1, 1, tzinfo=UTC)
SHARES = (0.05, 0.25, 1.0)
_PLAN = RolloutPlan(
    stages=tuple(RampStage(share=share, hold=timedelta(hours=16)) for share in SHARES),
    bake=timedelta(hours=24),
)
_FEATURES = 20
_BINS = 10
_CHUNK = 5_000
_MONTH = 30
_SHOWN = "The evidence that an approver was shown.\n"
_HIGHER = 0.003
_EVERY = {
    Monitor.FEATURE_DRIFT: timedelta(hours=6),
    Monitor.PREDICTION_DRIFT: timedelta(hours=1),
    Monitor.PERFORMANCE: timedelta(days=1),
    Monitor.OBJECTIVES: timedelta(hours=1),
}
_METRICS = {
    Monitor.FEATURE_DRIFT: tuple((f"feature_{number:02}", "ks") for number in range(_FEATURES)),
    Monitor.PREDICTION_DRIFT: (("score", "chi_squared"), ("score", "expected_calibration_error")),
    Monitor.PERFORMANCE: tuple(
        ("score", name) for name in ("roc_auc", "expected_roc_auc", "brier", "log_loss", "accuracy")
    ),
    Monitor.OBJECTIVES: tuple(
        (objective.value, metric) for metric in ("bad_ratio", "budget_left") for objective in Objective
    ),
}
_USUAL = {
    "ks": (0.4, 0.15),
    "chi_squared": (9.0, 2.0),
    "expected_calibration_error": (0.02, 0.004),
    "roc_auc": (0.82, 0.006),
    "expected_roc_auc": (0.82, 0.004),
    "brier": (0.13, 0.004),
    "log_loss": (0.4, 0.01),
    "accuracy": (0.81, 0.006),
    "bad_ratio": (0.0008, 0.0002),
    "budget_left": (0.7, 0.08),
}
"""What each metric is like, and how far it strays."""


class Year:
    """Writes the year into a platform's home that holds nothing yet.

    Args:
        settings: of the platform; its model folders lie under its home.
        template: a model folder that all models are copies of.
        models: how many.
        days: how long the year is.
    """

    def __init__(self, settings: Settings, template: ModelFolder, models: int, days: int = 365) -> None:
        self._settings, self._template = settings, template
        self._names = tuple(f"model_{number:02}" for number in range(1, models + 1))
        self._start = END - timedelta(days=days)
        self._random = Random(7)  # noqa: S311 - figures, no secrets
        self._now = self._start

    def write(self) -> None:
        """Write model folders, the ledger's events and all measurements."""
        upgrade(self._settings.ledger_uri)
        for name in self._names:
            copy_folder(self._template, self._settings.model_folders[0] / name)
        ledger = Ledger(self._settings.ledger_uri, clock=lambda: self._now)
        contracts = {
            name: folder.written for name, folder in model_folders(self._settings.model_folders).items()
        }
        packages = Packages(self._settings, contracts[self._names[0]])
        for number in range(1, (END - self._start).days // _MONTH + 1):
            for name in self._names:
                self._month(ledger, packages, contracts[name], number)
        ledger.close()
        self._measure()

    def _month(self, ledger: Ledger, packages: Packages, contract: ModelContract, number: int) -> None:
        """A release, and alerts that are raised, looked after and resolved."""
        self._now = self._start + timedelta(days=_MONTH * (number - 1))
        version = f"1.{number}.0"
        self._register(ledger, packages, contract, version)
        self.ramp(ledger, contract, version)
        for day in range(0, 28, 4):
            self._alert(ledger, contract.name, day, still_open=number == 12 and day > 20)  # noqa: PLR2004
        ledger.request_retrain(contract.name, RetrainReason.DATA, self._now, "system")
        ledger.claim_retrain(contract.name, f"{contract.name}_train:{number}", "system")
        ledger.end_retrain(f"{contract.name}_train:{number}", version, "system")

    def _register(self, ledger: Ledger, packages: Packages, contract: ModelContract, version: str) -> None:
        champion = ledger.champion_version(contract.name)
        digest = packages.publish(contract, version, champion, self._now)
        ledger.register_version(
            model=contract.name,
            version=version,
            artefact_sha256=digest,
            package_uri=packages.uri(contract, digest),
            run_id=f"run-{version}",
            requested_by="operator",
            actor="system",
        )

    def ramp(self, ledger: Ledger, contract: ModelContract, version: str, until: float = 1.0) -> None:
        """Release a registered version, step by step; one that ends below full traffic stays on its ramp."""
        before = ledger.route_state(contract.name)
        release = self._approved(ledger, contract, version)
        artefact = release.artefact_sha256
        for place, share in enumerate(each for each in SHARES if each <= until):
            self._now += timedelta(hours=16)
            route = _route(contract, (version, artefact), before.route, share, release.release_id)
            state = ledger.route_state(contract.name)
            release = ledger.advance_release(
                release.release_id,
                release.revision,
                ReleaseStage.BAKING if share == 1.0 or before.route is None else ReleaseStage.RAMPING,
                actor="system",
                share=share,
                route=RouteUpdate(route, state.revision),
                ramp=Ramp(
                    place=place,
                    began_at=self._now,
                    entered_at=self._now,
                    due_at=self._now + timedelta(hours=16),
                ),
            )
            if release.stage is ReleaseStage.BAKING:
                self._now += timedelta(hours=24)
                end = ReleaseStage.PROMOTED
                ledger.advance_release(release.release_id, release.revision, end, actor="system")
                return

    def _approved(self, ledger: Ledger, contract: ModelContract, version: str) -> Release:
        release = ledger.open_release(
            release_id=f"{contract.name}-{version}",
            model=contract.name,
            version=version,
            champion_version=ledger.champion_version(contract.name),
            artefact_sha256=ledger.known_version(contract.name, version).artefact_sha256,
            contract_sha256=contract.sha256,
            plan=_PLAN,
            thresholds={"roc_auc.minimum": 0.77},
            approvers=contract.approvers.users,
            quorum=1,
            requested_by="operator",
            triggered_by="operator",
        )
        self._now += timedelta(hours=2)
        answer = Approval(
            release_id=release.release_id,
            model=contract.name,
            version=version,
            artefact_sha256=release.artefact_sha256,
            decision=Decision.APPROVED,
            decided_by=contract.approvers.users[0],
            decided_at=self._now,
            evidence_sha256=publish_evidence(artefact_store(self._settings), contract.name, _SHOWN),
            reason="as good as before, on newer data",
        )
        ledger.record_approval(answer)
        for stage in (ReleaseStage.APPROVED, ReleaseStage.LOADED):
            release = ledger.advance_release(release.release_id, release.revision, stage, actor="system")
        return release

    def _alert(self, ledger: Ledger, model: str, day: int, *, still_open: bool) -> None:
        self._now += timedelta(days=1)
        feature = f"feature_{self._random.randrange(_FEATURES):02}"
        content = AlertContent(
            kind=AlertKind.FEATURE_DRIFT,
            subject=f"feature:{feature}",
            model=model,
            severity=self._random.choice((Severity.WARNING, Severity.ERROR)),
            message=f"{feature} is not what it was in training",
            figures={"p_value": self._random.random() / 100, "day": day},
        )
        alert = ledger.raise_alert(content, "system")
        if not still_open:
            ledger.acknowledge_alert(alert.alert_id, "operator", "a campaign began")
            ledger.resolve_alert(alert.alert_id, "system", "it came back")

    def _measure(self) -> None:
        """Write the first model's measurements; the others' are the same, a little higher each."""
        first, *others = self._names
        engine = open_engine(self._settings.ledger_uri)
        with writing(engine) as connection:
            for monitor, every in _EVERY.items():
                rows = self._rows(first, monitor, every)
                while chunk := list(islice(rows, _CHUNK)):
                    runs = [run for run, _ in chunk]
                    figures = [figure for _, found in chunk for figure in found]
                    connection.execute(insert(monitor_runs), runs)
                    connection.execute(insert(measurements), figures)
            for number, name in enumerate(others, 1):
                for table in (monitor_runs, measurements):
                    connection.execute(_copied(table, first, name, 1.0 + number * _HIGHER))
        engine.dispose()

    def _rows(
        self, model: str, monitor: Monitor, every: timedelta
    ) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
        moment = self._start + every
        while moment <= END:
            run = {
                "model": model,
                "monitor": monitor.value,
                "as_of": moment,
                "recorded_at": moment,
                "verdict": Verdict.OK.value,
                "summary": "nothing drifted",
                "report_uri": None,
            }
            yield (
                run,
                [
                    self._figure(run, position, *names, every)
                    for position, names in enumerate(_METRICS[monitor])
                ],
            )
            moment += every

    def _details(self, metric: str) -> dict[str, Any]:
        if metric == "bad_ratio":
            return {"latency_p99_ms": self._random.gauss(34.0, 4.0)}
        if metric == "chi_squared":
            return {
                "shares": [0.1 + 0.02 * ((number * 7) % 5 - 2) for number in range(_BINS)],
                "reference_shares": [1 / _BINS] * _BINS,
            }
        return {"threshold": 0.01}

    def _figure(
        self, run: dict[str, Any], position: int, subject: str, metric: str, every: timedelta
    ) -> dict[str, Any]:
        usual, stray = _USUAL[metric]
        value = max(0.0, self._random.gauss(usual, stray))
        bad = self._random.random() < 0.01  # noqa: PLR2004 - one in a hundred
        return {
            "model": run["model"],
            "monitor": run["monitor"],
            "as_of": run["as_of"],
            "position": position,
            "version": None,
            "variant": None,
            "slice": None,
            "subject": subject,
            "metric": metric,
            "window_start": run["as_of"] - every,
            "window_end": run["as_of"],
            "value": value,
            "low": max(0.0, value - 2 * stray),
            "high": value + 2 * stray,
            "n": 2_000,
            "verdict": (Verdict.ALARM if bad else Verdict.OK).value,
            "reason": "beyond_threshold" if bad else "within_threshold",
            "details": self._details(metric),
        }


def _copied(table: Table, first: str, name: str, factor: float) -> Insert:
    """Return what writes one model's rows again for another one."""
    new: dict[str, ColumnElement[Any]] = {"model": literal(name)}
    new |= {each: table.c[each] * factor for each in ("value", "low", "high") if each in table.c}
    columns = [new.get(column.name, column) for column in table.c]
    return insert(table).from_select(
        [column.name for column in table.c], select(*columns).where(table.c.model == first)
    )


def newest(days: int) -> str:
    """Return the version that serves each model at the end of a year of so many days."""
    return f"1.{days // _MONTH}.0"


def _route(
    contract: ModelContract, named: tuple[str, str], before: ModelRoute | None, share: float, change_id: str
) -> ModelRoute:
    version, artefact_sha256 = named
    new = VersionRoute(
        version=version,
        artefact_sha256=artefact_sha256,
        signature=contract.signature,
        endpoints=("127.0.0.1:8001",),
    )
    whole = before is None or share == 1.0
    return ModelRoute(
        model=contract.name,
        entity=contract.entity,
        feature_ttl_seconds=dict.fromkeys(contract.signature.views, 86_400.0),
        stale_policy=contract.features.stale_policy,
        fallbacks=(),
        deadline_seconds=0.5,
        champion=new if before is None or whole else before.champion,
        challenger=None if whole else new,
        share=0.0 if whole else share,
        change_id=None if whole else change_id,
        previous=before.champion if before is not None and whole else None,
    )


def copy_folder(template: ModelFolder, target: Path) -> None:
    """Write a copy of a model's folder under another name."""
    shutil.copytree(template.path, target, ignore=shutil.ignore_patterns("__pycache__", "experiments"))
    path = target / CONTRACT_NAME
    contract = yaml.safe_load(path.read_text(encoding="utf-8"))
    contract["name"] = target.name
    contract["features"]["service"] = f"{target.name}_v1"
    path.write_text(json.dumps(contract), encoding="utf-8")
