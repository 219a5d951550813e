"""The catalogue of features: each view, who answers for it, who uses it, and how fresh it is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from include.adapters.online_backend import is_redis
from include.adapters.online_features import PROJECT
from include.adapters.sqlite_stamps import newest_stamp
from include.config.models import ModelFolder, model_folders
from include.config.settings import Settings
from include.contracts.errors import ContractError
from include.contracts.moments import format_duration
from include.features.views import View, load_views, offline_folder

PAGE_HEADING = """# Features

Written by `make features PAGE=1` from the view files and the model contracts; how fresh each view is on a
machine says `make features`.
"""


@dataclass(frozen=True)
class Freshness:
    """The newest rows of a view; None where there is none."""

    offline: date | None
    online: datetime | None
    """Also None where the online store cannot be asked for it cheaply: on Redis."""


def users(folders: Iterable[ModelFolder]) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the models that use a feature, by view and feature; a broken contract uses nothing."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for folder in folders:
        try:
            views = folder.contract.signature.views
        except ContractError:
            continue
        for view, features in views.items():
            for feature in features:
                found[view, feature] = (*found.get((view, feature), ()), folder.name)
    return found


def freshness(settings: Settings, view: View) -> Freshness:
    """Return how fresh a view is on this machine."""
    days = [date.fromisoformat(path.stem) for path in offline_folder(settings, view.name).glob("*.parquet")]
    online = None if is_redis(settings) else newest_stamp(settings.online_store, f"{PROJECT}_{view.name}")
    return Freshness(max(days, default=None), online)


def page(views: Sequence[View], used: Mapping[tuple[str, str], Sequence[str]]) -> str:
    """Return the catalogue as Markdown, without what depends on a machine."""
    return "\n".join([PAGE_HEADING, *(_section(view, used) for view in views)])


def catalogue(settings: Settings) -> tuple[list[View], dict[tuple[str, str], tuple[str, ...]]]:
    """Return all views by name and who uses their features."""
    views = load_views(settings)
    return [views[name] for name in sorted(views)], users(model_folders(settings.model_folders).values())


def _section(view: View, used: Mapping[tuple[str, str], Sequence[str]]) -> str:
    definition = view.definition
    rows = [
        f"| `{field.name}` | {field.dtype} | {field.description} "
        f"| {', '.join(used.get((view.name, field.name), ())) or '-'} |"
        for field in definition.fields
    ]
    return "\n".join(
        [
            f"## {view.name}",
            "",
            definition.description,
            "",
            f"Owner **{definition.owner}** · entity `{definition.entity.name}` ({definition.entity.type}) · "
            f"TTL {format_duration(definition.ttl)} · from {', '.join(definition.sources)}",
            "",
            "| feature | type | what it is | models |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )
