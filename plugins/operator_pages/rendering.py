"""Templates, and how figures and moments are written on pages."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from include.config.settings import settings
from include.contracts.experiment_results import JudgedGuardrail
from include.contracts.guardrails import GuardrailResult
from include.pages import decision_plots, evaluation_plots, monitor_plots
from include.pages.moments import NOTHING, ago, duration
from operator_pages import assets

_TEMPLATES = Path(__file__).parent / "templates"
_THOUSAND = 1_000
_TITLES = {
    "bad_ratio": "share of requests that failed or came late",
    "budget_left": "error budget that is left",
    "chi_squared": "distance of scores from unseen rows, chi squared",
    "latency_p99_ms": "time to answer of all but the slowest 1 %, ms",
    "requests_per_second": "requests a second",
    "roc_auc": "ROC AUC",
}
"""What monitors' metrics are called on pages, where their names say too little."""


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        cache_size=100,
        auto_reload=False,
    )
    environment.filters |= {
        "ago": ago,
        "counted": counted,
        "dict_with": dict_with,
        "duration": duration,
        "figure": figure,
        "guarded": guarded,
        "moment": moment,
        "percent": percent,
        "json_text": json_text,
        "markdown": markdown,
        "title_of": title_of,
        "words": words,
    }
    environment.globals |= {
        "asset": assets.named,
        "decision_plots": decision_plots,
        "evaluation_plots": evaluation_plots,
        "monitor_plots": monitor_plots,
    }
    return environment


def compile_templates() -> None:
    """Compile every template, which takes a while, before the first is asked for."""
    environment = _environment()
    for name in environment.list_templates():
        environment.get_template(name)


def page(request: Request, template: str, code: int = 200, **values: Any) -> HTMLResponse:
    """Render a page."""
    root = request.scope.get("root_path", "")
    context = {
        "url": lambda *parts: place(root, *parts),
        "airflow": lambda *parts: place(request.scope.get("app_root_path", ""), *parts),
        "mlflow": lambda run_id: f"{settings().mlflow_url}/#/runs/{quote(run_id, safe='')}",
        "here": request.url.path.removeprefix(root),
        "query": dict(request.query_params),
        "now": datetime.now(UTC),
        **values,
    }
    return HTMLResponse(_environment().get_template(template).render(context), code)


def error_page(request: Request, status: int, detail: str) -> HTMLResponse:
    """Render what went wrong."""
    return page(request, "error.html.jinja", status, status=status, detail=detail, reader=None)


def place(root: str, *parts: object) -> str:
    """Return the address of a page, each part quoted."""
    return "/".join((root, *(quote(str(part), safe="") for part in parts)))


def figure(value: float | None) -> str:
    """Write a figure with four digits that count."""
    if value is None:
        return NOTHING
    if isinstance(value, int) or (abs(value) >= _THOUSAND and value == int(value)):
        return f"{int(value):,}"
    return f"{value:.4g}"


def percent(value: float | None) -> str:
    """Write a ratio as percent."""
    return NOTHING if value is None else f"{100 * value:.3g} %"


def moment(value: datetime | date | None) -> str:
    """Write a moment, in UTC."""
    if value is None:
        return NOTHING
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return value.isoformat()


def counted(number: int, thing: str) -> str:
    """Write how many of something there are."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def title_of(metric: str) -> str:
    """Write what a metric of a monitor is, for people."""
    return _TITLES.get(metric) or words(metric)


def dict_with(given: dict[str, str], name: str, value: object) -> dict[str, str]:
    """Return a query with one entry set."""
    return given | {name: str(value)}


def guarded(judged: Sequence[JudgedGuardrail]) -> list[tuple[str, GuardrailResult]]:
    """Return guardrails by the name they are shown under."""
    return [(f"{each.name} {each.part or ''}".strip(), each.result) for each in judged]


def words(value: object) -> str:
    """Write an enumeration's value as words."""
    return str(getattr(value, "value", value)).replace("_", " ")


def json_text(value: object) -> str:
    """Write plain JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True, default=str)


def markdown(text: str) -> Markup:
    """Render Markdown; HTML in it is shown as text, links lead nowhere but to http and https."""
    # markdown-it escapes raw HTML where `html` is off, and refuses javascript: links by itself.
    return Markup(MarkdownIt("commonmark", {"html": False}).enable("table").render(text))  # noqa: S704
