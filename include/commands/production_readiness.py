"""`make readiness MODEL=… [AS_OF=…]`: what is left to do before a model goes to production; 1 if anything."""

import argparse
import os
import subprocess
import sys
from contextlib import closing
from datetime import UTC, date, datetime

from include.adapters.artefact_home import artefact_store
from include.adapters.label_store import read_labels
from include.adapters.ledger.ledger import Ledger
from include.commands.champion import known_champion
from include.commands.readiness_review import Evidence, Finding, review
from include.commands.terminal import moment_of, run_command
from include.config.models import ModelFolder, model_folder
from include.config.settings import REPOSITORY_ROOT, Settings, settings
from include.config.views import named_views
from include.contracts.errors import ContractError, NinetyError
from include.contracts.model import ModelContract
from include.contracts.networks import NetworkSignature
from include.contracts.packages import Version
from include.contracts.windows import frozen_moments, training_windows
from include.features.views import offline_folder
from include.pages.provenance import Origin
from include.training.network import load_network

_PARSE = """
import pathlib, runpy, sys
model = sys.argv[1]
from airflow.sdk import DAG
for path in sorted(pathlib.Path("dags").glob("*.py")):
    for dag in [v for v in runpy.run_path(str(path)).values() if isinstance(v, DAG)]:
        if f"model:{model}" in dag.tags and "broken-contract" in dag.tags:
            sys.exit(dag.doc_md)
"""
_PARSE_SECONDS = 120.0


def main() -> None:
    """Print the review; end with 1 where a line failed."""
    parser = argparse.ArgumentParser(prog="make readiness", description=__doc__)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("as_of", metavar="AS_OF", nargs="?", default="", help="a day; now unless given")
    given = parser.parse_args()
    run_command(lambda: show(given.model, given.as_of))


def show(model: str, as_of: str) -> None:
    """Print a model's review and end with 1 where a line failed."""
    findings = findings_of(settings(), model, moment_of(as_of, datetime.now(UTC)))
    print(as_text(model, findings))
    if not all(finding.passed for finding in findings):
        sys.exit(1)


def findings_of(settings: Settings, model: str, as_of: datetime) -> tuple[Finding, ...]:
    """Return a model's review; where the contract does not load, that is its only line.

    Raises:
        ContractError: there is no such model.
    """
    folder = model_folder(settings.model_folders, model)
    try:
        _ = folder.contract
    except ContractError as error:
        return (Finding("contract", passed=False, detail=str(error), fix="see docs/contract.md"),)
    whole = Finding("contract", passed=True, detail=f"loads, {folder.contract.sha256[:12]}")
    return (whole, *review(gather(settings, folder, as_of)))


def as_text(model: str, findings: tuple[Finding, ...]) -> str:
    """Return the review for the terminal."""
    width = max(len(finding.subject) for finding in findings)
    lines = [f"production readiness of {model}", ""]
    for finding in findings:
        lines.append(
            f"  {'ok  ' if finding.passed else 'FAIL'}  {finding.subject:<{width}}  {finding.detail}"
        )
        if not finding.passed:
            lines.append(f"        {'':<{width}}  -> {finding.fix}")
    failed = sum(not finding.passed for finding in findings)
    verdict = f"{failed} of {len(findings)} to do" if failed else f"ready: all {len(findings)} passed"
    return "\n".join([*lines, "", verdict])


def gather(settings: Settings, folder: ModelFolder, as_of: datetime) -> Evidence:
    """Collect what a review looks at."""
    contract = folder.contract
    views = named_views(contract, folder.path)
    champion = known_champion(settings, folder.name)
    return Evidence(
        contract=contract,
        runbook=(folder.path / contract.runbook).read_text(encoding="utf-8"),
        views=views,
        newest={name: _newest(settings, name) for name in views},
        labels=rows_to_train_on(settings, contract, as_of),
        as_of=as_of,
        network=_network_problem(folder),
        dags=_dag_problem(settings, folder.name),
        champion=champion.version if champion else None,
        trace=trace_problem(settings, champion) if champion else "",
    )


def rows_to_train_on(settings: Settings, contract: ModelContract, as_of: datetime) -> int:
    """Return how many labels a training at a moment would learn from, as it counts them itself.

    Raises:
        ContractError: the history is too short for the training's windows.
    """
    known = read_labels(settings, contract.name, as_of)
    since = as_of - contract.training.history
    moments = (moment for moment in known["event_at"].unique().to_pylist() if moment >= since)
    held = frozen_moments(moments, contract.training.snapshot_every)
    window = training_windows(contract.training, contract.label, as_of).train
    rows = zip(known["event_at"].to_pylist(), known["known_at"].to_pylist(), strict=True)
    return sum(event in held and window.contains(event, known_at) for event, known_at in rows)


def _newest(settings: Settings, view: str) -> date | None:
    days = (date.fromisoformat(path.stem) for path in offline_folder(settings, view).glob("*.parquet"))
    return max(days, default=None)


def _network_problem(folder: ModelFolder) -> str:
    signature = folder.contract.signature
    sizes = NetworkSignature(len(signature.numeric), (2,) * len(signature.categorical), signature.outputs)
    try:
        load_network(folder, sizes, folder.contract.training.hyperparameters)
    except ContractError as error:
        return str(error)
    return ""


def _dag_problem(settings: Settings, model: str) -> str:
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(settings.airflow_home),
        "PYTHONPATH": os.pathsep.join(map(str, (REPOSITORY_ROOT, REPOSITORY_ROOT / "plugins"))),
    }
    done = subprocess.run(  # noqa: S603 - our own interpreter and text
        [sys.executable, "-W", "ignore", "-c", _PARSE, model],
        cwd=REPOSITORY_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=_PARSE_SECONDS,
    )
    return (done.stderr.strip().splitlines() or ["parsing failed"])[-1] if done.returncode else ""


def trace_problem(settings: Settings, champion: Version) -> str:
    """Return what `make trace` would miss of the champion, or that no commit holds its code; else nothing."""
    with closing(Ledger(settings.ledger_uri)) as ledger:
        try:
            origin = Origin(ledger, artefact_store(settings), champion)
        except NinetyError as error:
            return str(error)
    found = [*origin.gaps(datetime.now(UTC))]
    if origin.manifest.code.dirty:
        found.append(f"{champion.version} was trained from code that no commit holds")
    return "; ".join(found)


if __name__ == "__main__":
    main()
