"""`make erase`: one entity's rows out of log, labels, features, training and scoring sets, and scores.

Erase it in the sources first: what is computed from them would bring it back. The ledger, which never held
the entity, keeps that it was erased, and which training set stands for which since, so that `make trace`
still follows. Packages stay: their golden predictions are feature values without any key.

A killed run is run again; what is done already is found done.
"""

import argparse
import shutil
from uuid import uuid4

from include.adapters.artefact_home import artefact_store
from include.adapters.erased_online import erase_online
from include.adapters.erased_rows import ErasedLog, erase_from_files, erase_outcomes, erase_predictions
from include.adapters.erased_scoring_sets import drop_scoring_sets
from include.adapters.erased_snapshots import drop_replaced, erase_from_snapshots
from include.adapters.ledger.ledger import Ledger
from include.adapters.quarantine import refused_labels_folder
from include.commands.terminal import run_command, user_name
from include.config.models import model_folders
from include.config.settings import Settings, settings
from include.contracts.erasures import Erasure, Successor
from include.contracts.errors import PlatformError
from include.contracts.routes import EntityKey, EntityType
from include.features.views import load_views, offline_folder


def main() -> None:
    """Erase as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("entity", help="name of the key, as the contract has it")
    parser.add_argument("value")
    parser.add_argument("reason")
    given = parser.parse_args()
    run_command(lambda: show(*erase(settings(), given.entity, given.value, given.reason, user_name())))


def show(erasure: Erasure, being_written: int) -> None:
    """Tell what was erased, and what is left to do."""
    for place, count in erasure.removed.items():
        print(f"{count:8} rows  {place}")
    print(f"{erasure.erasure_id} in the ledger; {len(erasure.snapshots)} training sets were replaced")
    if being_written:
        raise PlatformError(
            f"{being_written} segments of the log are being written and hold the entity: run it again once "
            "the gateways have started new ones (at their restart, or when a segment is full)"
        )


def erase(settings: Settings, entity: str, value: str, reason: str, actor: str) -> tuple[Erasure, int]:
    """Take an entity out of everything that the platform keeps.

    Returns:
        What was done, and how many segments that hold it are being written.

    Raises:
        PlatformError: no model or view has such an entity, the value does not fit its key, or no reason is
            given.
        DataError: a log is damaged.
    """
    if not reason.strip():
        raise PlatformError("say why: REASON=…")
    key = key_of(settings, entity, value)
    models = models_of(settings, entity)
    erasure_id = f"erasure-{uuid4().hex[:12]}"
    store = artefact_store(settings)
    replaced: dict[str, Successor] = {}
    removed, log = _from_logs(settings, entity, value, models)
    for model in models:
        count, found = erase_from_snapshots(store, model, value, erasure_id)
        removed[f"training sets of {model}"] = count
        removed[f"scoring sets of {model}"] = drop_scoring_sets(store, model, entity, value)
        replaced |= found
    removed |= _from_files(settings, key, value, models)
    erasure = Erasure(
        erasure_id=erasure_id,
        entity=entity,
        removed={place: count for place, count in removed.items() if count},
        snapshots={_digest(uri): found.sha256 for uri, found in replaced.items()},
        reason=reason,
    )
    ledger = Ledger(settings.ledger_uri)
    ledger.record_erasure(erasure, actor=actor)
    ledger.close()
    drop_replaced(store, replaced)
    return erasure, len(log.being_written)


def key_of(settings: Settings, entity: str, value: str) -> EntityKey:
    """Return the key of an entity's name.

    Raises:
        PlatformError: nothing has such a key, or the value is none of it.
    """
    keys = {view.definition.entity.name: view.definition.entity for view in load_views(settings).values()}
    if entity not in keys:
        raise PlatformError(f"no view has the entity {entity!r}; there are: {', '.join(sorted(keys))}")
    key = keys[entity]
    if key.type is EntityType.INT64 and value != str(_integer(value)):
        raise PlatformError(f"{value!r} is no {entity}, which is {key.type.value}")
    return key


def models_of(settings: Settings, entity: str) -> list[str]:
    """Return the models whose units an entity names."""
    contracts = [folder.contract for folder in model_folders(settings.model_folders).values()]
    return [contract.name for contract in contracts if contract.entity.name == entity]


def _from_logs(
    settings: Settings, entity: str, value: str, models: list[str]
) -> tuple[dict[str, int], ErasedLog]:
    log = erase_predictions(
        settings.predictions_folder,
        lambda row: entity in row.entity and str(row.entity[entity]) == value,
    )
    outcomes = erase_outcomes(
        settings.outcomes_folder,
        lambda row: (row.model in models and row.unit == value) or row.prediction_id in log.prediction_ids,
    )
    log.being_written += outcomes.being_written
    return {"prediction log": log.rows, "outcome log": outcomes.rows}, log


def _from_files(settings: Settings, key: EntityKey, value: str, models: list[str]) -> dict[str, int]:
    """Take an entity out of features, labels (joined and refused), scores and quarantine."""
    removed = {}
    views = [view.name for view in load_views(settings).values() if view.definition.entity.name == key.name]
    for view in views:
        paths = sorted(offline_folder(settings, view).rglob("*.parquet"))
        removed[f"features of {view}"] = erase_from_files(paths, key.name, value)
    typed = int(value) if key.type is EntityType.INT64 else value
    removed["features online"] = erase_online(settings, key, typed, views)
    for model in models:
        labels = sorted((settings.labels_folder / model).glob("*.parquet"))
        removed[f"labels of {model}"] = erase_from_files(labels, "unit", value)
        labelled = sorted((settings.labelled_folder / model).rglob("*.parquet"))
        removed[f"labelled predictions of {model}"] = erase_from_files(labelled, "unit", value)
        refused = sorted(refused_labels_folder(settings, model).glob("*.parquet"))
        removed[f"refused labels of {model}"] = erase_from_files(refused, "unit", value)
        scores = sorted((settings.scores_folder / model).rglob("*.parquet"))
        removed[f"scores of {model}"] = erase_from_files(scores, "unit", value)
    removed["quarantine"] = erase_from_files(
        sorted(settings.quarantine_folder.rglob("*.parquet")), key.name, value
    )
    shutil.rmtree(settings.artefact_cache_folder, ignore_errors=True)
    return removed


def _digest(uri: str) -> str:
    return uri.rpartition("/")[2].removesuffix(".parquet")


def _integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


if __name__ == "__main__":
    main()
