"""Reports from the artefact store: pages of their own, which may run nothing of ours."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Request, status
from fastapi.responses import HTMLResponse

from include.config.models import model_folder
from include.config.settings import REPOSITORY_ROOT
from include.contracts.errors import RegistryError
from include.contracts.measurements import Monitor
from include.contracts.packages import PAGE_NAME
from include.pages.experiments import model_of_experiment
from operator_pages.access import ReaderDep
from operator_pages.places import desk
from operator_pages.rendering import page

router = APIRouter()

CLOSED = {
    # Without allow-same-origin a document is nobody's: its scripts reach neither cookie nor page.
    "Content-Security-Policy": (
        "sandbox allow-scripts allow-popups; default-src 'none'; "
        "script-src 'unsafe-inline' 'unsafe-eval' data: blob:; "
        "style-src 'unsafe-inline' data:; img-src data: blob:; font-src data:; frame-ancestors 'self'"
    )
}


@router.get("/models/{model}/versions/{version}/report", response_class=HTMLResponse)
def evaluation(model: str, version: str, reader: ReaderDep) -> HTMLResponse:
    """Serve the evaluation report of a version, as it travels with it."""
    found = desk().ledger.version(reader.see(model), version)
    if found is None:
        raise RegistryError(f"{model} has no version {version}")
    return _document(f"{found.package_uri}/{PAGE_NAME}")


@router.get("/models/{model}/monitors/{monitor}/report", response_class=HTMLResponse)
def monitored(model: str, monitor: Monitor, reader: ReaderDep, as_of: str = "") -> HTMLResponse:
    """Serve the report of a monitor's look: the last one, or that of a moment."""
    runs = desk().measurements.runs(reader.see(model), monitor=monitor, limit=1_000)
    chosen = next((run for run in runs if run.report_uri and as_of in {"", run.as_of.isoformat()}), None)
    if chosen is None or chosen.report_uri is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"{monitor.value} of {model} left no report")
    return _document(chosen.report_uri)


@router.get("/experiments/{experiment_id}/report", response_class=HTMLResponse)
def analysed(experiment_id: str, reader: ReaderDep) -> HTMLResponse:
    """Serve the report of an experiment's last analysis that left one."""
    model = reader.see(model_of_experiment(desk(), experiment_id, reader.models))
    told = reversed(desk().ledger.analyses(model, experiment_id))
    uri = next((each.report_uri for each in told if each.report_uri), None)
    if uri is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"{experiment_id} has no report yet")
    return _document(uri)


@router.get("/runbooks/{kind}", response_class=HTMLResponse)
def runbook(
    request: Request, kind: Annotated[str, Path(pattern=r"^[a-z0-9_]+$")], reader: ReaderDep
) -> HTMLResponse:
    """Show what to do about a kind of trouble."""
    found = REPOSITORY_ROOT / "docs" / "runbooks" / f"{kind}.md"
    if not found.is_file():
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"there is no runbook {kind!r}")
    return page(request, "text.html.jinja", reader=reader, text=found.read_text("utf-8"), title=kind)


@router.get("/models/{model}/runbook", response_class=HTMLResponse)
def model_runbook(request: Request, model: str, reader: ReaderDep) -> HTMLResponse:
    """Show what its team wrote for whoever is called."""
    contract = desk().contract(reader.see(model))
    if contract is None:
        raise RegistryError(f"{model} has no folder, and so no runbook")
    path = model_folder(desk().settings.model_folders, model).path / contract.runbook
    text = path.read_text(encoding="utf-8")
    return page(request, "text.html.jinja", reader=reader, text=text, title=f"{model} runbook")


def _document(uri: str) -> HTMLResponse:
    return HTMLResponse(desk().artefacts.read(uri), headers=CLOSED)
