import pytest

from include.adapters.ledger.ledger import Ledger
from include.commands.prepare import prepare
from include.config.settings import Settings


@pytest.mark.slow
def test_everything_is_there_afterwards_however_often_it_runs(tmp_path):
    """Secrets stay what they are; the ledger and Airflow's database can be used."""
    settings = Settings(home=tmp_path)
    prepare(settings)
    before = {path.name: path.read_bytes() for path in settings.secrets_folder.iterdir()}
    prepare(settings)
    ledger = Ledger(settings.ledger_uri)
    assert 0 == ledger.verify()
    ledger.close()
    assert before == {path.name: path.read_bytes() for path in settings.secrets_folder.iterdir()}
    assert (settings.airflow_home / "airflow.db").exists()
