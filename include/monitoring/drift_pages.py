"""A page for people from each run of the monitor of inputs, kept as an artefact."""

from contextlib import closing
from datetime import datetime

import numpy as np
import pandas as pd

from include.adapters.artefact_home import artefact_store
from include.adapters.drift_report import DriftTests, drift_page
from include.adapters.ledger.ledger import Ledger
from include.adapters.measurements import MeasurementStore
from include.adapters.packages import read_manifest
from include.config.settings import Settings
from include.contracts.measurements import Monitor
from include.contracts.model import ModelContract
from include.contracts.packages import Manifest
from include.contracts.signatures import Signature
from include.monitoring.asked import asked_in
from include.monitoring.feature_drift import wanted
from include.monitoring.reference import Unusable, feature_reference
from include.monitoring.reports import page_uri
from include.monitoring.samples import Sample

ROWS = 10_000
"""Rows of either sample on the page: it holds what it draws, and a browser must bear it."""


def write_feature_page(settings: Settings, contract: ModelContract, as_of: datetime) -> str | None:
    """Write the page of a run and note it there; return its URI, None where there was nothing to show.

    Raises:
        DataError: the log is damaged, or Evidently cannot draw this window.
        ArtefactError: the champion's manifest is missing or altered.
    """
    drift, store = wanted(contract), artefact_store(settings)
    with closing(Ledger(settings.ledger_uri)) as ledger:
        version = ledger.champion(contract.name)
    with closing(MeasurementStore(settings.ledger_uri)) as seen:
        run = seen.run(contract.name, Monitor.FEATURE_DRIFT, as_of)
        if version is None or run is None:
            return None
        manifest = read_manifest(store, version)
        reference = feature_reference(settings, store, contract, drift, manifest)
        asked = asked_in(settings, contract.name, manifest.signature, as_of - drift.window, as_of)
        if isinstance(reference, Unusable) or not asked.rows.rows:
            return None
        rows = [_thinned(each, manifest) for each in (reference.rows, asked.rows)]
        tests = _tests(manifest.signature, rows, contract)
        uri = page_uri(contract.name, Monitor.FEATURE_DRIFT, as_of)
        heading = _heading(contract, as_of, reference.name, (reference.rows, asked.rows), run.summary)
        store.write(uri, drift_page(rows[0], rows[1], tests, heading))
        seen.attach_report(run, uri)
    return uri


def _thinned(rows: Sample, manifest: Manifest) -> pd.DataFrame:
    names = [item.name for item in manifest.signature.inputs]
    table = rows.table.select(names)
    if rows.rows > ROWS:
        dice = np.random.default_rng(manifest.seed)
        table = table.take(np.sort(dice.choice(rows.rows, ROWS, replace=False)))
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _tests(signature: Signature, rows: list[pd.DataFrame], contract: ModelContract) -> DriftTests:
    tests = wanted(contract).tests
    drawable = {name for name in rows[0].columns if all(each[name].notna().any() for each in rows)}
    return DriftTests(
        numeric=[name for name in signature.numeric if name in drawable],
        categorical=[name for name in signature.categorical if name in drawable],
        p_value=tests.continuous_features.threshold,
        index=tests.categorical_features.threshold,
    )


def _heading(
    contract: ModelContract, as_of: datetime, reference: str, samples: tuple[Sample, Sample], summary: str
) -> str:
    shown = [
        f"{min(each.rows, ROWS):,} of {each.rows:,} rows, drawn at random"
        if each.rows > ROWS
        else f"{each.rows:,} rows"
        for each in samples
    ]
    window = f"{as_of - wanted(contract).window:%Y-%m-%d %H:%M} to {as_of:%Y-%m-%d %H:%M} UTC"
    return (
        f"{contract.name}, {window}. Verdict, over all rows: {summary}. Reference {reference}: {shown[0]}. "
        f"Current: {shown[1]}. What Evidently marks below are raw p-values and indices of the rows shown; "
        "the verdict asks for a minimum effect and counts all inputs and looks of a week together."
    )
