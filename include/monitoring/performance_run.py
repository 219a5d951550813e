"""The steps of `<model>_performance`, each for a task: they meet in the stores, and may be run again."""

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta

from include.adapters.artefact_home import artefact_store
from include.adapters.labelled_store import LabelledStore
from include.adapters.ledger.ledger import Ledger
from include.adapters.measurements import MeasurementStore
from include.config.settings import Settings
from include.contracts.errors import DataError
from include.contracts.labelled import LabelledDay
from include.contracts.measurements import Measurement, Monitor, MonitorRun
from include.contracts.model import ModelContract
from include.monitoring.history import Past
from include.monitoring.performance import measure, run_of
from include.monitoring.performance_alerts import alert_on_performance
from include.monitoring.performance_page import performance_page
from include.monitoring.performance_plan import Plan, plan_of
from include.monitoring.reports import page_uri
from include.monitoring.retrain_requests import is_waiting, request_retrain


def measure_performance(settings: Settings, contract: ModelContract, as_of: datetime) -> MonitorRun:
    """Measure and store a run, with its page.

    Args:
        settings: says where logs and stores lie.
        contract: the model's.
        as_of: labels known later are not seen.

    Raises:
        ContractError: the contract has no performance monitoring.
        DataError: a log is damaged.
    """
    plan = plan_of(contract, as_of)
    with closing(MeasurementStore(settings.ledger_uri)) as store:
        measured = measure(settings, plan, store, _changed(settings, plan, store))
        run = run_of(plan, measured, datetime.now(UTC))
        store.record(run, measured)
        past = Past(store, contract.name, as_of + timedelta(microseconds=1))
        uri = page_uri(contract.name, Monitor.PERFORMANCE, as_of)
        artefact_store(settings).write(uri, performance_page(plan, run, measured, past))
        store.attach_report(run, uri)
    return run


def alert(settings: Settings, contract: ModelContract, as_of: datetime) -> list[str]:
    """Raise and resolve alerts by what a stored run found; return the subjects that are wrong.

    Raises:
        DataError: there is no such run.
    """
    plan = plan_of(contract, as_of)
    with (
        closing(MeasurementStore(settings.ledger_uri)) as store,
        closing(Ledger(settings.ledger_uri)) as ledger,
    ):
        run, measured = _stored(store, plan)
        return alert_on_performance(ledger, plan, run, measured)


def ask_for_training(settings: Settings, contract: ModelContract, as_of: datetime) -> tuple[str, bool]:
    """Ask for a training where the trigger says so; return the decision, and whether a request waits."""
    plan = plan_of(contract, as_of)
    with (
        closing(MeasurementStore(settings.ledger_uri)) as store,
        closing(Ledger(settings.ledger_uri)) as ledger,
    ):
        decision = request_retrain(ledger, store, plan)
        return decision.decision.value, is_waiting(ledger, contract.name)


def _changed(settings: Settings, plan: Plan, store: MeasurementStore) -> list[LabelledDay]:
    """Return the days that were joined anew since the run before, whichever run of the join that was."""
    earlier = store.runs(plan.contract.name, monitor=Monitor.PERFORMANCE, before=plan.as_of, limit=1)
    labelled = LabelledStore(settings, plan.contract.name)
    states = [state for day in labelled.days() if (state := labelled.day(day)) is not None]
    return [state for state in states if not earlier or state.as_of > earlier[0].as_of]


def _stored(store: MeasurementStore, plan: Plan) -> tuple[MonitorRun, Sequence[Measurement]]:
    run = store.run(plan.contract.name, Monitor.PERFORMANCE, plan.as_of)
    if run is None:
        raise DataError(f"{plan.contract.name}: performance was not measured as of {plan.as_of.isoformat()}")
    return run, store.measured(run)
