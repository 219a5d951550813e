"""A training counts once it reached a verdict; until then what was asked for waits on."""

from datetime import UTC, datetime

import pytest

from include.adapters.artefacts import ArtefactStore
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.config.settings import Settings
from include.contracts.reports import Verdict
from include.contracts.retraining import RetrainReason
from include.training.outcome import end_claim
from tests.registry.candidates import model_folder, write_candidate
from tests.synthetic import customers, frozen

AS_OF = datetime(2017, 11, 1, tzinfo=UTC)
RUN = "churn_train:one"


@pytest.fixture
def settings(tmp_path) -> Settings:
    """A migrated home of its own."""
    found = Settings(home=tmp_path / "home")
    upgrade(found.ledger_uri)
    return found


@pytest.fixture
def ledger(settings):
    """A ledger in which one run holds a request of the monitoring and what ada asked for."""
    opened = Ledger(settings.ledger_uri)
    opened.request_retrain("churn", RetrainReason.DRIFT, AS_OF, "system")
    opened.claim_retrain("churn", RUN, "ada", [(RetrainReason.MANUAL, AS_OF)])
    yield opened
    opened.close()


def candidate(settings, verdict):
    """Write a candidate with a readable training set and one gate of this verdict."""
    store, folder = ArtefactStore(settings.artefacts_folder), model_folder(settings.home)
    return write_candidate(store, folder, "run1", verdict=verdict, snapshot=frozen(store, customers()))


@pytest.mark.parametrize(
    ("ended", "outcome", "counts"),
    [
        ((Verdict.PASS, "1.0.0"), "registered 1.0.0", True),
        ((Verdict.FAIL, None), "judged, not registered", True),
        ((Verdict.NOT_MEASURED, None), "a gate was not measured", False),
        ((Verdict.PASS, None), "passed its gates, but was not registered", False),
    ],
)
def test_only_a_verdict_counts_as_a_training(settings, ledger, ended, outcome, counts):
    """Without one the next timed run finds it due, and the monitoring's request waits for it."""
    verdict, version = ended
    uri = candidate(settings, verdict)
    for _ in range(2):
        told = end_claim(
            settings, ledger, RUN, candidate_uri=uri, version=version, overrides=({}, None), actor="ada"
        )
        assert outcome == told
    assert counts == (ledger.last_training("churn") is not None)
    waiting = [] if counts else [(RetrainReason.DRIFT, None, outcome)]
    found = [(item.reason, item.claimed_by, item.outcome) for item in ledger.retrain_requests("churn")]
    assert waiting == found
    assert () == ledger.claimants("churn")
    assert ledger.verify() > 0


def test_a_run_that_failed_before_is_no_training(settings, ledger):
    """Its request waits and the next run takes it; what a person asked for is over with their run."""
    told = end_claim(
        settings, ledger, RUN, candidate_uri=None, version=None, overrides=({}, None), actor="ada"
    )
    assert "failed before it was judged" == told
    (again,) = ledger.claim_retrain("churn", "churn_train:two", "system")
    assert (RetrainReason.DRIFT, "churn_train:two", None) == (again.reason, again.claimed_by, again.outcome)
