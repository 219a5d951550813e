"""Manifests against Kubernetes' own schemas, which kubernetes-validate carries; values as YAML."""

import re
from typing import Any

import kubernetes_validate
import pytest
import yaml

from include.config.settings import REPOSITORY_ROOT

FOLDER = REPOSITORY_ROOT / "docker" / "kubernetes"
VERSION = "1.34"
MANIFESTS = [
    pytest.param(document, id=f"{document['kind']} {document['metadata']['name']}")
    for name in ("gateway.yaml", "triton.yaml", "reconciler.yaml")
    for document in yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_a_manifest_is_what_kubernetes_expects(manifest: dict[str, Any]) -> None:
    """Nothing is missing, of the wrong kind, or unknown."""
    kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_a_wrong_manifest_is_refused() -> None:
    """The check above can say no."""
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"port": 1}},
            VERSION,
            strict=True,
        )


def test_no_pod_runs_as_root_or_speaks_to_the_cluster() -> None:
    """A user of its own, no token of the cluster, no capability."""
    for parameter in MANIFESTS:
        manifest = parameter.values[0]
        if manifest["kind"] not in {"Deployment", "StatefulSet"}:
            continue
        pod = manifest["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["automountServiceAccountToken"] is False
        assert all(c["securityContext"]["capabilities"] == {"drop": ["ALL"]} for c in pod["containers"])


def test_triton_is_reached_by_the_platform_alone() -> None:
    """Its policy lets in the gateways, Airflow's tasks and Prometheus, and lets nothing out."""
    (policy,) = [p.values[0] for p in MANIFESTS if p.id == "NetworkPolicy ninety-triton"]
    peers = [peer for rule in policy["spec"]["ingress"] for peer in rule["from"]]
    assert 3 == len(peers)
    assert [] == policy["spec"]["egress"]


def test_what_was_not_run_says_so() -> None:
    """Each file's head, and the values', which nothing here could hold against the chart."""
    for path in FOLDER.iterdir():
        assert "not yet run on a cluster" in re.sub(r"\s*\n# ", " ", path.read_text(encoding="utf-8")), path
    values = yaml.safe_load((FOLDER / "airflow-values.yaml").read_text(encoding="utf-8"))
    assert "CeleryExecutor" == values["executor"]
