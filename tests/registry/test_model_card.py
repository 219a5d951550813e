"""The card of a version, from its evidence."""

from pathlib import Path

from include.adapters.artefacts import ArtefactStore
from include.contracts.packages import Manifest, Version
from include.registry.model_card import card_uri, model_card, write_card
from tests.registry.candidates import DAY, model_folder, training_record
from tests.reports import HOSTILE, full_report

VERSION = Version(
    model="churn",
    version="1.0.0",
    artefact_sha256="e" * 64,
    package_uri="packages/churn/e",
    run_id="run-1",
    requested_by="ada",
    registered_at=DAY,
)


def _manifest(root: Path) -> Manifest:
    return Manifest(**dict(training_record(model_folder(root), "run-1")), files={})


def test_card_says_what_the_evidence_says(tmp_path: Path) -> None:
    """Owner, data, figures with their intervals, weak spots and origin, each from where it is recorded."""
    contract = model_folder(tmp_path / "a").contract
    card = model_card(contract, VERSION, _manifest(tmp_path / "b"), full_report())
    for text in (
        "# churn 1.0.0",
        "owner: retention (retention@example.com), on call: retention-on-call",
        "| total_spend_30d | numeric | customer_spending | at least 0 |",
        "| roc_auc | 0.8217 | 0.6886 | 0.8101 |",
        "60,000 rows of [2017-01-01, 2017-10-01)",
        "0.8000 (0.7500 to 0.8500)",
        "nothing is claimed for customer_demographics.age = no value: too few rows",
        "with `preferred_category` unknown category in 1,000 rows, roc_auc is 1.2 % worse",
        f"code at commit `{'c' * 40}`",
        "requested by ada",
    ):
        assert text in card
    assert f"customer_demographics.age = {HOSTILE}" in card


def test_value_with_a_bar_stays_in_its_cell(tmp_path: Path) -> None:
    """A bar in somebody's category does not open a column."""
    contract = model_folder(tmp_path / "a").contract
    report = full_report()
    barred = report.slices[0].model_copy(update={"value": "a|b"})
    card = model_card(
        contract, VERSION, _manifest(tmp_path / "b"), report.model_copy(update={"slices": (barred,)})
    )
    assert "| customer_demographics.age = a\\|b |" in card


def test_card_is_written_beside_the_packages(tmp_path: Path) -> None:
    """Written twice it is the same."""
    contract, store = model_folder(tmp_path / "a").contract, ArtefactStore(tmp_path / "store")
    manifest = _manifest(tmp_path / "b")
    uri = write_card(store, contract, VERSION, manifest, full_report())
    first = store.read(uri)
    assert card_uri("churn", "1.0.0") == write_card(store, contract, VERSION, manifest, full_report())
    assert first == store.read(uri)
