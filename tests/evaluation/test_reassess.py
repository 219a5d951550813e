"""A registered version compared anew, on real candidates."""

from datetime import timedelta

import msgspec
import pytest

from include.adapters.artefacts import ArtefactStore
from include.adapters.packages import load_evaluation
from include.adapters.prediction_log import PredictionLog
from include.config.settings import Settings
from include.contracts.errors import ArtefactError, GateError
from include.contracts.reports import Assessment
from include.evaluation.champion import open_champion
from include.evaluation.evaluate import judge_candidate
from include.evaluation.reassess import reassess
from include.training.train import train_candidate
from tests.evaluation.served import SERVED, answers, opened_candidate, register_champion
from tests.synthetic import AS_OF, Tracker, churn_folder, customers, frozen, request


def registered(store, folder, number, frame):
    """Train on a frame, judge without a champion, and package under a version number."""
    uri = train_candidate(store, Tracker(run_id=number), folder, request(frozen(store, frame)))
    report = judge_candidate(store, opened_candidate(store, folder.contract, uri), None, SERVED, ())
    return register_champion(store, uri, store, number=number, report=report)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Settings, folder, an honest version, and one whose training labels meant nothing."""
    home = tmp_path_factory.mktemp("home")
    settings = Settings(home=home)
    store, folder = ArtefactStore(settings.artefacts_folder), churn_folder(home / "models")
    honest = registered(store, folder, "1.0.0", customers())
    shuffled = customers()
    shuffled["label"] = shuffled["label"].sample(frac=1, random_state=1).to_numpy()
    return settings, folder, honest, registered(store, folder, "1.0.1", shuffled)


def test_report_that_compares_with_the_champion_stands(place):
    """Nothing is computed again where nothing changed."""
    settings, folder, honest, _ = place
    assert Assessment(champion_version=None, evaluation_uri=None) == reassess(
        settings, folder, honest, None, AS_OF
    )


def test_new_champion_is_compared_with(place):
    """The version is judged against who serves now; the report lies under its hash, once."""
    settings, folder, honest, worse = place
    found = reassess(settings, folder, honest, worse, AS_OF)
    assert found == reassess(settings, folder, honest, worse, AS_OF)
    store = ArtefactStore(settings.artefacts_folder)
    report = load_evaluation(store, found.evaluation_uri)
    assert ("1.0.1", "1.0.1") == (found.champion_version, report.champion_version)
    assert report.metrics["roc_auc"] > report.champion_metrics["roc_auc"] + 0.1
    path = store.path(found.evaluation_uri)
    path.write_bytes(path.read_bytes().replace(b"1.0.1", b"1.0.2"))
    with pytest.raises(ArtefactError, match="was altered"):
        load_evaluation(store, found.evaluation_uri)


def test_version_worse_than_the_champion_is_stopped(place):
    """Good enough once is not good enough for ever; the gate and its figures are named."""
    settings, folder, honest, worse = place
    with pytest.raises(GateError, match=r"churn 1\.0\.1 against champion 1\.0\.0: .*champion roc_auc"):
        reassess(settings, folder, worse, honest, AS_OF)


def test_what_a_new_champion_answered_since_is_replayed(place):
    """Champion since the version was trained, it answered later, and one answer comes out otherwise."""
    settings, folder, honest, worse = place
    champion = open_champion(ArtefactStore(settings.artefacts_folder), worse)
    rows = answers(champion, customers(units=20, weeks=1), AS_OF + timedelta(days=2))
    rows[3] = msgspec.structs.replace(rows[3], outputs=(1 - rows[3].outputs[0],))
    log = PredictionLog(settings.predictions_folder, 2**20)
    log.append(rows)
    log.close()
    with pytest.raises(GateError, match=r"20 answers of champion 1\.0\.1 scored again.* 1 differ"):
        reassess(settings, folder, honest, worse, AS_OF + timedelta(days=3))
