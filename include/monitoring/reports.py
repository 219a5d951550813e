"""Where the pages of monitors' runs lie in the artefact store, and how long they are kept."""

from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta

from include.adapters.artefact_home import artefact_store
from include.adapters.measurements import MeasurementStore
from include.config.settings import Settings
from include.contracts.measurements import Monitor

_STAMP = "%Y%m%dT%H%M%SZ"
_PAGES = "monitoring/*/*/*.html"


def page_uri(model: str, monitor: Monitor, as_of: datetime) -> str:
    """Return where the page of a run lies in the artefact store."""
    return f"monitoring/{model}/{monitor.value}/{as_of:{_STAMP}}.html"


def forget_old_reports(settings: Settings, today: date) -> int:
    """Delete the pages of runs further back than `settings.report_days`; 0 keeps all. Returns how many went.

    What was measured stays. First the runs forget their pages, so that nothing leads to one that is gone;
    pages that a killed run left lying are found by the next one.

    A replay plays days of long ago, and keeps them.

    Raises:
        LedgerError: the store of measurements cannot be written.
        ArtefactError: the artefact store cannot be changed.
    """
    if settings.report_days == 0 or settings.replay:
        return 0
    first = datetime.combine(today - timedelta(days=settings.report_days), time(), UTC)
    with closing(MeasurementStore(settings.ledger_uri)) as store:
        store.detach_reports(first)
    artefacts = artefact_store(settings)
    old = [uri for uri in artefacts.uris(_PAGES) if _stamp(uri) < f"{first:{_STAMP}}"]
    for uri in old:
        artefacts.delete(uri)
    return len(old)


def _stamp(uri: str) -> str:
    """Return the moment a page speaks of, written so that earlier ones sort first."""
    return uri.rpartition("/")[2].removesuffix(".html")
