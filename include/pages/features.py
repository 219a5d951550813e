"""Features: what there is, who answers for it and uses it, how fresh it is, whether it was served right."""

from datetime import date, datetime

from pydantic import BaseModel

from include.config.settings import Settings
from include.config.views import SHARED_VIEWS, VIEWS_NAME
from include.contracts.moments import UtcDatetime, format_duration
from include.contracts.skew import FeatureSkew, SkewReport
from include.features.catalogue import Catalogue, catalogue, freshness
from include.features.views import View, offline_folder
from include.pages.airflow_facts import STRICT
from include.pages.desk import Desk, stamp
from include.pages.distributions import Distribution, distributions


class FeatureLine(BaseModel):
    """One feature of a view."""

    model_config = STRICT

    name: str
    dtype: str
    description: str
    used_by: tuple[str, ...]
    skew: tuple[FeatureSkew, ...]
    """What the last audit found, by model."""
    spread: Distribution | None
    """Of the newest computed day's values."""


class ViewSection(BaseModel):
    """One view."""

    model_config = STRICT

    name: str
    description: str
    owner: str
    entity: str
    ttl: str
    sources: tuple[str, ...]
    offline: date | None
    """Newest computed day."""
    online: UtcDatetime | None
    """Newest value in the online store; None also where it cannot be asked cheaply."""
    features: tuple[FeatureLine, ...]


class SkewSummary(BaseModel):
    """The last audit of what was served against what should have been."""

    model_config = STRICT

    start: UtcDatetime
    end: UtcDatetime
    as_of: UtcDatetime
    logged: int
    audited: int
    unresolved: int
    threshold: float
    failures: int


class FeaturesPage(BaseModel):
    """Every feature."""

    model_config = STRICT

    now: UtcDatetime
    views: tuple[ViewSection, ...]
    at_request: dict[str, tuple[str, ...]]
    """Models by feature that is computed at the moment of the request."""
    audit: SkewSummary | None


def features_page(desk: Desk, now: datetime) -> FeaturesPage:
    """Return the page."""
    found, report = _catalogue(desk), last_audit(desk.settings)
    skew: dict[tuple[str | None, str], tuple[FeatureSkew, ...]] = {}
    for item in report.features if report else ():
        key = (item.view, item.feature)
        skew[key] = (*skew.get(key, ()), item)
    return FeaturesPage(
        now=now,
        views=tuple(_section(desk.settings, found, view, skew) for view in found.views),
        at_request={name: tuple(models) for name, models in sorted(found.at_request.items())},
        audit=_summary(report),
    )


def _catalogue(desk: Desk) -> Catalogue:
    """Return the catalogue, read anew when a contract or a view changed."""
    folders = (folder.path for folder in desk.folders().values())
    places = [SHARED_VIEWS, *(place for folder in folders for place in (folder, folder / VIEWS_NAME))]
    files = (path for place in places if place.is_dir() for path in place.iterdir() if path.is_file())
    return desk.kept("catalogue", stamp(files), lambda: catalogue(desk.settings))


def freshest(settings: Settings) -> dict[str, date | None]:
    """Return the newest computed day of every view there is a folder of."""
    root = offline_folder(settings, "any").parent
    folders = [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
    return {
        folder.name: max((date.fromisoformat(day.stem) for day in folder.glob("*.parquet")), default=None)
        for folder in folders
    }


def last_audit(settings: Settings) -> SkewReport | None:
    """Return the skew audit of the latest day; None before the first."""
    reports = sorted(settings.skew_folder.glob("*.json")) if settings.skew_folder.is_dir() else []
    return SkewReport.model_validate_json(reports[-1].read_text(encoding="utf-8")) if reports else None


def _section(
    settings: Settings,
    found: Catalogue,
    view: View,
    skew: dict[tuple[str | None, str], tuple[FeatureSkew, ...]],
) -> ViewSection:
    definition, fresh = view.definition, freshness(settings, view)
    spread = distributions(settings, view)
    return ViewSection(
        name=view.name,
        description=definition.description,
        owner=definition.owner,
        entity=definition.entity.name,
        ttl=format_duration(definition.ttl),
        sources=tuple(definition.sources),
        offline=fresh.offline,
        online=fresh.online,
        features=tuple(
            FeatureLine(
                name=field.name,
                dtype=str(field.dtype),
                description=field.description,
                used_by=tuple(found.used.get((view.name, field.name), ())),
                skew=skew.get((view.name, field.name), ()),
                spread=spread.get(field.name),
            )
            for field in definition.fields
        ),
    )


def _summary(report: SkewReport | None) -> SkewSummary | None:
    if report is None:
        return None
    shown = report.model_dump(include=set(SkewSummary.model_fields))
    return SkewSummary(**shown, failures=len(report.failures))
