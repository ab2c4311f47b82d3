"""The Kubernetes manifests as kustomize itself renders them, where `kubectl` is there (Debian's is too old to tell)."""

import shutil
import subprocess
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.deploy.test_kubernetes import EXAMPLE, OTHERS, SETTINGS, VERSION


@pytest.fixture(scope="module")
def rendered() -> list[dict[str, Any]]:
    """What `kubectl apply --kustomize deploy/kubernetes/example` would send."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run(["kubectl", "kustomize", str(EXAMPLE)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "kustomize warns"
    return list(yaml.safe_load_all(done.stdout))


def test_kubernetes_takes_what_kustomize_renders(rendered: list[dict[str, Any]]) -> None:
    """With the example's patches in it, strictly; all in the example's namespace."""
    for each in rendered:
        if each["kind"] not in OTHERS:
            kubernetes_validate.validate(each, VERSION, strict=True)
        if each["kind"] != "Namespace":
            assert each["metadata"]["namespace"] == "loginwatch"


def test_the_examples_changes_are_in_it(rendered: list[dict[str, Any]]) -> None:
    """Settings over those of the base, and its number of workers; no setting of the base is lost."""
    found = {(each["kind"], each["metadata"]["name"].partition("-")[0]): each for each in rendered}
    wanted = yaml.safe_load((EXAMPLE / "settings.yaml").read_text())["data"]
    workers = yaml.safe_load((EXAMPLE / "workers.yaml").read_text())
    settings = next(each["data"] for each in rendered if each["kind"] == "ConfigMap")

    assert settings == SETTINGS | wanted
    assert found["StatefulSet", "worker"]["spec"]["replicas"] == workers["spec"]["replicas"]
