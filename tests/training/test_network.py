import pytest

from include.contracts.errors import ContractError
from include.contracts.networks import NetworkSignature
from include.training.network import load_network
from tests.synthetic import churn_folder

SIGNATURE = NetworkSignature(numeric=4, vocabularies=(4,), outputs=1)
HYPERPARAMETERS = {"hidden": 8, "embedding": 2, "dropout": 0.0}
LINEAR = "import torch\ndef build(signature, hyperparameters):\n    return torch.nn.Linear(8, 1)\n"


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("x = 1\n", r"defines no function build\(signature, hyperparameters\)"),
        ("import nothing_of_the_kind\n", "build failed: ModuleNotFoundError"),
        ("def build(signature, hyperparameters):\n    return 1\n", "returned a int"),
        (LINEAR, "forward failed on numeric .*TypeError"),
        (
            "import torch\nclass N(torch.nn.Linear):\n"
            "    def forward(self, n, c):\n        return super().forward(n)[:, 0]\n"
            "def build(signature, hyperparameters):\n    return N(8, 1)\n",
            r"returned shape \(2,\) for \(2, 1\)",
        ),
        (
            "def build(signature, hyperparameters):\n    return hyperparameters['width']\n",
            "build failed: KeyError: 'width'",
        ),
    ],
)
def test_a_network_that_cannot_be_used_is_refused(tmp_path, code, complaint):
    """Each mistake in network.py is a contract error that names the file and the mistake."""
    folder = churn_folder(tmp_path)
    (folder.path / "network.py").write_text(code)
    with pytest.raises(ContractError, match=rf"network\.py:? .*{complaint}"):
        load_network(folder, SIGNATURE, HYPERPARAMETERS)


def test_churns_network_can_be_built(tmp_path):
    """The network of the first model fits its signature."""
    assert load_network(churn_folder(tmp_path), SIGNATURE, HYPERPARAMETERS)
