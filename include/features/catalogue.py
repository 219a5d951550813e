"""The catalogue of features: each view, who answers for it, who uses it, and how fresh it is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from include.adapters.online_backend import is_redis
from include.adapters.online_rows import table_of
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
            contract = folder.contract
        except ContractError:
            continue
        for view, features in contract.signature.views.items():
            for feature in features:
                found[view, feature] = (*found.get((view, feature), ()), folder.name)
        for part in contract.slices:
            use = (part.view, part.column)
            found[use] = (*found.get(use, ()), f"{folder.name} (slice)")
    return found


def request_features(folders: Iterable[ModelFolder]) -> dict[str, tuple[str, ...]]:
    """Return the models that compute a feature at the moment of the request, by feature."""
    found: dict[str, tuple[str, ...]] = {}
    for folder in folders:
        try:
            transformed = folder.contract.signature.transformed
        except ContractError:
            continue
        for item in transformed:
            found[item.name] = (*found.get(item.name, ()), folder.name)
    return found


def freshness(settings: Settings, view: View) -> Freshness:
    """Return how fresh a view is on this machine."""
    days = [date.fromisoformat(path.stem) for path in offline_folder(settings, view.name).glob("*.parquet")]
    online = None if is_redis(settings) else newest_stamp(settings.online_store, table_of(view.name))
    return Freshness(max(days, default=None), online)


@dataclass(frozen=True)
class Catalogue:
    """Every feature, and who uses it."""

    views: tuple[View, ...]
    """By name."""
    used: Mapping[tuple[str, str], Sequence[str]]
    """Models by view and feature."""
    at_request: Mapping[str, Sequence[str]]
    """Models by feature that is computed at the moment of the request."""


def page(found: Catalogue) -> str:
    """Return the catalogue as Markdown, without what depends on a machine."""
    at_request = [f"| `{name}` | {', '.join(models)} |" for name, models in sorted(found.at_request.items())]
    sections = [_section(view, found.used) for view in found.views]
    if at_request:
        sections += ["## At the moment of the request\n\n| feature | models |\n|---|---|", *at_request, ""]
    return "\n".join([PAGE_HEADING, *sections])


def catalogue(settings: Settings) -> Catalogue:
    """Return every feature there is and who uses it."""
    views, folders = load_views(settings), model_folders(settings.model_folders).values()
    return Catalogue(tuple(views[name] for name in sorted(views)), users(folders), request_features(folders))


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
