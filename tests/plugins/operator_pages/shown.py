"""Three models with two months behind them, made up, for pages that people look at."""

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from include.adapters.artefact_home import artefact_store
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.routes import RouteUpdate
from include.adapters.packages import package_uri, publish_package
from include.commands.bench_pages.year import END, Year
from include.config.models import ModelFolder, model_folders
from include.config.settings import Settings
from include.contracts.alerts import AlertContent, AlertKind, Severity
from include.contracts.identifiers import uuid7
from include.contracts.packages import EVALUATION_NAME, PAGE_NAME, Manifest, Version
from include.contracts.ramps import RampDecision, RampReason, RampVerdict
from include.contracts.releases import ReleaseStage
from include.contracts.reports import EvaluationReport
from include.evaluation.page import report_page
from include.registry.model_card import write_card
from tests.adapters.ledger.trials import experiment, plan, split
from tests.adapters.test_prediction_log import logged, row
from tests.plugins.operator_pages.conftest import analysis, guardrail
from tests.registry.candidates import training_record
from tests.reports import full_report

FIRST, SECOND, THIRD = "model_01", "model_02", "model_03"
VERSION = "2.0.0"
RELEASE = f"{FIRST}-{VERSION}"
EXPERIMENT = "offers-1"
PREDICTION = uuid7(END - timedelta(hours=1))


def write_history(settings: Settings, template: ModelFolder) -> None:
    """Write everything there is to look at."""
    Year(settings, template, models=3, days=61).write()
    planned = settings.model_folders[0] / SECOND / "experiments" / "offers.yaml"
    planned.parent.mkdir()
    planned.write_text(json.dumps(plan().model_dump(mode="json")), encoding="utf-8")
    ledger = Ledger(settings.ledger_uri)
    version = _registered(settings, ledger)
    _ramp(settings, template, ledger)
    _decisions(ledger)
    _experiment(ledger)
    _alerts(ledger)
    predicted = row(
        END - timedelta(hours=1),
        prediction_id=PREDICTION,
        model=FIRST,
        served_version=VERSION,
        artefact_sha256=version.artefact_sha256,
        recorded_at=datetime.now(UTC),
    )
    logged(settings.predictions_folder, [predicted])
    ledger.close()


def _registered(settings: Settings, ledger: Ledger) -> Version:
    """Register a version with a whole package, report and card."""
    folder = model_folders(settings.model_folders)[FIRST]
    shown = full_report()
    report = shown.model_copy(
        update={"model": FIRST, "champion_version": "1.2.0", "slices": shown.slices[:1]}
    )
    files = {
        EVALUATION_NAME: report.model_dump_json().encode(),
        PAGE_NAME: report_page(report).encode(),
    }
    manifest = Manifest(
        **dict(training_record(folder, "run-new")),
        files={name: sha256(content).hexdigest() for name, content in files.items()},
    )
    store = artefact_store(settings)
    digest = publish_package(store, manifest, files)
    version = ledger.register_version(
        model=FIRST,
        version=VERSION,
        artefact_sha256=digest,
        package_uri=package_uri(FIRST, digest),
        run_id="run-new",
        requested_by="ada",
        actor="ada",
    )
    write_card(store, folder.contract, version, manifest, EvaluationReport.model_validate(report))
    return version


def _ramp(settings: Settings, template: ModelFolder, ledger: Ledger) -> None:
    """Bring the new version to a quarter of the units."""
    year = Year(settings, template, models=3, days=61)
    year.ramp(ledger, model_folders(settings.model_folders)[FIRST].contract, VERSION, until=0.25)


def _decisions(ledger: Ledger) -> None:
    """Tell of a stage that was passed, and of one that holds."""
    for place, verdict, reason, requests in (
        (0, RampVerdict.PROMOTE, RampReason.GUARDRAILS_KEPT, 13_929),
        (1, RampVerdict.HOLD, RampReason.TOO_FEW_REQUESTS, 9_120),
    ):
        release = ledger.release(RELEASE)
        assert release is not None
        decision = RampDecision(
            verdict=verdict,
            reason=reason,
            place=place,
            detail=f"{requests:,} requests of the new version",
            requests=requests,
            guardrails=tuple(
                guardrail().model_copy(
                    update={
                        "metric": metric,
                        "harm_low": harm - 0.004,
                        "harm": harm,
                        "harm_high": harm + 0.004,
                    }
                )
                for metric, harm in (
                    ("error_ratio", 0.001),
                    ("fallback_ratio", -0.001),
                    ("latency_p99", 0.002),
                )
            ),
        )
        ledger.advance_release(
            RELEASE, release.revision, ReleaseStage.RAMPING, actor="system", decision=decision
        )


def _experiment(ledger: Ledger) -> None:
    """Run an experiment on the second model, and look at it twice."""
    trial = experiment(model=SECOND, plan=plan(), control_version="1.2.0", treatment_version="1.3.0")
    state = ledger.route_state(SECOND)
    assert state.route is not None
    challenger = split().challenger
    route = state.route.model_copy(
        update={"challenger": challenger, "share": 0.5, "change_id": trial.experiment_id, "previous": None}
    )
    ledger.start_experiment(trial, RouteUpdate(route, state.revision))
    for number in (1, 2):
        said = analysis(trial.experiment_id, number)
        judged = tuple(each.model_copy(update={"name": "error_ratio"}) for each in said.guardrails)
        ledger.record_analysis(
            SECOND,
            said.model_copy(update={"detail": "no bound was crossed", "guardrails": judged}),
            "system",
            earlier=number - 1,
        )


def _alerts(ledger: Ledger) -> None:
    """Raise two alerts, and look after one."""
    for subject, severity in (("feature_07", Severity.WARNING), ("feature_11", Severity.ERROR)):
        alert = ledger.raise_alert(
            AlertContent(
                kind=AlertKind.FEATURE_DRIFT,
                subject=subject,
                model=THIRD,
                severity=severity,
                message=f"{subject} is not what it was in training",
                figures={"effect": 0.34},
            ),
            "system",
        )
    ledger.acknowledge_alert(alert.alert_id, "operator", "a campaign began on Monday")
