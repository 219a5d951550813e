"""`make train MODEL=… [AS_OF=…]`: data to evaluation on this machine, without Airflow; never registers."""

import logging
import sys
from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta

from include.adapters.artefact_home import artefact_store
from include.adapters.sources import open_sources
from include.commands.champion import known_champion
from include.commands.terminal import moment_of, run_command, user_name
from include.config.models import ModelFolder, model_folder
from include.config.settings import Settings, settings
from include.config.views import named_views
from include.contracts.reports import EvaluationReport
from include.data.labels import compute_labels
from include.evaluation.evaluate import evaluate
from include.features.computed_days import outdated_days
from include.features.materialize import publish_features, stage_features
from include.features.training_set import freeze_training_set
from include.features.views import View, load_views
from include.training.train import train

log = logging.getLogger(__name__)

LOCAL_RUNS = "local.sqlite3"
"""MLflow's runs of this command: of this machine, beside those of the platform."""

_LONG_AGO = timedelta(days=36_500)
"""Where sources begin that do not say when something happened."""


def main() -> None:
    """Train as the command line says; end with 1 where a gate is missed."""
    parser = ArgumentParser(prog="make train", description=__doc__)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("as_of", metavar="AS_OF", nargs="?", default="", help="a day; today unless given")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("include").setLevel(logging.INFO)
    run_command(lambda: show(given.model, given.as_of))


def show(model: str, as_of: str) -> None:
    """Train a model, print its figures and gates, and end with 1 where one is missed."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    folder = model_folder(settings().model_folders, model)
    candidate, report = train_here(settings(), folder, moment_of(as_of, today))
    print(as_text(report))
    print(f"\ncandidate {artefact_store(settings()).place(candidate)}; nothing was registered")
    if report.failures:
        sys.exit(1)


def train_here(settings: Settings, folder: ModelFolder, as_of: datetime) -> tuple[str, EvaluationReport]:
    """Compute what is missing of features and labels, then freeze, train and evaluate.

    Args:
        settings: says where everything lies; without `NINETY_MLFLOW_URI` the run is kept in a file.
        folder: the model's folder.
        as_of: the moment it is trained as of.

    Returns:
        The candidate's URI in the artefact store, and its report.

    Raises:
        NinetyError: whatever a stage stops with.
    """
    local = _tracked_here(settings)
    contract = folder.contract
    for view in _views(local, folder):
        compute_outdated(local, view, as_of - contract.training.history, as_of - contract.label.delay, as_of)
    added = compute_labels(local, folder, as_of - contract.training.history, as_of, as_of)
    log.info("%s: %d labels added", folder.name, added)
    champion = known_champion(local, folder.name)
    log.info("%s: compared with %s", folder.name, champion.version if champion else "no champion")
    snapshot = freeze_training_set(local, contract, as_of, champion)
    candidate = train(local, folder, snapshot, user_name(), datetime.now(UTC))
    return candidate, evaluate(local, folder, candidate, champion)


def as_text(report: EvaluationReport) -> str:
    """Return a report's figures and gates for the terminal."""
    window = f"[{report.test_start:%Y-%m-%d}, {report.test_end:%Y-%m-%d})"
    champion = report.champion_version or "none"
    lines = [f"\n{report.model} on {report.test_rows:,} rows of {window}, champion {champion}"]
    lines += [f"  {name:<28} {value:10.4f}" for name, value in sorted(report.metrics.items())]
    lines += [f"  {gate.verdict.value:<14} {gate.kind.value}: {gate.detail}" for gate in report.gates]
    return "\n".join(lines)


def _tracked_here(settings: Settings) -> Settings:
    if settings.mlflow_uri:
        return settings
    settings.mlflow_folder.mkdir(parents=True, exist_ok=True)
    uri = f"sqlite:///{settings.mlflow_folder / LOCAL_RUNS}"
    return settings.model_copy(update={"mlflow_uri": uri})


def _views(settings: Settings, folder: ModelFolder) -> list[View]:
    views = load_views(settings)
    return [views[name] for name in named_views(folder.contract, folder.path)]


def compute_outdated(
    settings: Settings, view: View, since: datetime, until: datetime, as_of: datetime
) -> None:
    """Compute the days of a view that are new, or to which rows arrived late."""
    first = max(since, _first_moment(settings, view, as_of) + timedelta(days=1)).date()
    days = [first + timedelta(days=offset) for offset in range((until.date() - first).days + 1)]
    if due := outdated_days(settings, view, days, as_of):
        log.info("%s: computing %d days from %s to %s", view.name, len(due), due[0], due[-1])
        staged = stage_features(settings, due, as_of, only=[view.name])
        publish_features(settings, due, as_of, staged)


def _first_moment(settings: Settings, view: View, as_of: datetime) -> datetime:
    """Return when a view's sources begin; a day before it has no rows."""
    own = () if view.model_folder is None else (view.model_folder,)
    with open_sources(settings, as_of, view.definition.sources, own) as sources:
        begun = [first for first, _ in sources.coverage().values()]
    return max(begun, default=as_of - _LONG_AGO)


if __name__ == "__main__":
    main()
