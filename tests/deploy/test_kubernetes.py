"""The Kubernetes manifests: valid by Kubernetes' own schemas, and every command, setting and port in them exists."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from pydantic import SecretStr
from typer.main import get_command

from streams.bus.health import parse_listen
from streams.cli.app import make_app
from streams.cli.health import LISTENS
from streams.settings import Settings, load_settings

BASE = Path(__file__).parents[2] / "deploy/kubernetes/base"
EXAMPLE = BASE.parent / "example"
OPERATIONS = Path(__file__).parents[2] / "docs/operations.md"
VERSION = "1.37"
OTHERS = {"Kustomization", "PodMonitor"}
"""Kinds that Kubernetes itself does not know."""


def documents(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """Every document of a folder with the name of its file."""
    paths = sorted(folder.glob("*.yaml"))
    return [(path.name, each) for path in paths for each in yaml.safe_load_all(path.read_text())]


MANIFESTS = [*documents(BASE), *documents(EXAMPLE)]
PODS = [
    (each["metadata"]["name"], each["spec"]["template"]["spec"])
    for _, each in documents(BASE)
    if each["kind"] in ("Deployment", "StatefulSet", "Job")
]
PROCESSES = [(name, pod) for name, pod in PODS if name != "topics"]
SETTINGS = next(each["data"] for _, each in documents(BASE) if each["kind"] == "ConfigMap")


@pytest.mark.parametrize(("file", "manifest"), MANIFESTS, ids=[f"{name}-{each['kind']}" for name, each in MANIFESTS])
def test_kubernetes_takes_the_manifest(file: str, manifest: dict[str, Any]) -> None:
    """Strictly: no field that it does not know."""
    if manifest["kind"] in OTHERS or (file == "workers.yaml"):
        assert manifest["apiVersion"] and manifest["kind"]  # noqa: PT018 - a patch, or a resource of an operator
        return
    kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_the_patches_change_what_is_there() -> None:
    """By kind and name, as kustomize finds them; and their fields are valid in the whole."""
    base = {(each["kind"], each["metadata"]["name"]): each for _, each in documents(BASE) if "metadata" in each}
    example = yaml.safe_load((EXAMPLE / "kustomization.yaml").read_text())

    for patch in example["patches"]:
        each = yaml.safe_load((EXAMPLE / patch["path"]).read_text())
        assert (each["kind"], each["metadata"]["name"]) in base
    workers = yaml.safe_load((EXAMPLE / "workers.yaml").read_text())
    whole = base["StatefulSet", "worker"]
    kubernetes_validate.validate({**whole, "spec": {**whole["spec"], **workers["spec"]}}, VERSION, strict=True)


def test_every_file_of_the_base_is_used_and_there() -> None:
    """What is not listed is not installed."""
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]

    assert sorted([*listed, "kustomization.yaml"]) == sorted(path.name for path in BASE.glob("*.yaml"))


def test_the_settings_exist() -> None:
    """Those of the base, and with the example's over them."""
    example = yaml.safe_load((EXAMPLE / "settings.yaml").read_text())["data"]

    for given in (SETTINGS, SETTINGS | example):
        load_settings(environment={name: value for name, value in given.items() if name != "LOGINWATCH_SECRETS_DIR"})


def test_an_upgrade_can_choose_what_it_applies() -> None:
    """Each has its name as a label, by which the page of operations takes one after the other, the panel and what it asks last."""
    labels = {
        each["metadata"]["name"]: each["metadata"]["labels"]["app.kubernetes.io/name"]
        for _, each in documents(BASE)
        if each["kind"] in ("Deployment", "StatefulSet", "Job")
    }
    chosen = re.findall(r"kubectl apply -k \$k -l \"?\$name(?:=| in \()([\w,]+)", OPERATIONS.read_text())

    assert labels == {name: name for name, _ in PODS}
    assert [set(names.split(",")) for names in chosen] == [
        {"topics"},
        set(labels) - {"topics", "worker", "panel", "canary"},
        {"worker"},
    ]


def test_the_secrets_that_the_example_names_are_settings() -> None:
    """And enforcement, which has nobody to tell there, does not run."""
    text = (EXAMPLE / "kustomization.yaml").read_text()
    named = set(re.findall(r"LOGINWATCH_\w+", text)) - {"LOGINWATCH_ENFORCEMENT_DOVEADM_URLS"}
    settings = SETTINGS | yaml.safe_load((EXAMPLE / "settings.yaml").read_text())["data"]

    assert len(named) == 6
    for name in named:
        field = Settings.model_fields[name.removeprefix("LOGINWATCH_").lower()]
        assert isinstance(field.default, SecretStr), name
    assert not any(name.startswith("LOGINWATCH_ENFORCEMENT_") and "LISTEN" not in name for name in settings)
    assert yaml.safe_load(text)["replicas"] == [{"name": "enforcement", "count": 0}]


@pytest.mark.parametrize(("name", "pod"), PODS, ids=[name for name, _ in PODS])
def test_every_pod_runs_a_command_that_exists_and_may_do_little(name: str, pod: dict[str, Any]) -> None:
    """As Pod Security's level `restricted` demands."""
    container = pod["containers"][0]
    command: Any = get_command(make_app())
    for word in container["args"]:
        assert word in command.commands, f"{name} runs {container['args']}"
        command = command.commands[word]

    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["resources"]["limits"]["memory"]
    assert pod["automountServiceAccountToken"] is False


@pytest.mark.parametrize(("name", "pod"), PROCESSES, ids=[name for name, _ in PROCESSES])
def test_probes_and_ports_are_where_the_process_listens(name: str, pod: dict[str, Any]) -> None:
    """The port `health` is that of the setting, and the door's port that of the door."""
    environment = {key: value for key, value in SETTINGS.items() if key != "LOGINWATCH_SECRETS_DIR"}
    settings = load_settings(environment=environment)
    container = pod["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}

    assert parse_listen(getattr(settings, LISTENS[name])) == ("0.0.0.0", ports["health"])
    if name == "postfix":
        assert parse_listen(settings.postfix_listen) == ("0.0.0.0", ports["door"])
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["port"] == "health"
        assert asked["path"] == ("/health/ready" if probe == "readinessProbe" else "/health/live")


def test_a_worker_keeps_its_name_over_restarts() -> None:
    """Static membership: the pod's name is the worker's."""
    worker = dict(PODS)["worker"]["containers"][0]

    assert {"name": "LOGINWATCH_WORKER_ID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}} in worker["env"]


def test_a_worker_has_a_folder_for_its_compiled_code_and_time_to_compile() -> None:
    """Where the image looks for it; health is served meanwhile, and the node may be busy."""
    image = (BASE.parents[1] / "Containerfile").read_text()
    [caches] = re.findall(r"XDG_CACHE_HOME=(\S+)", image)
    folder = f"{caches}/loginwatch"
    pod = dict(PODS)["worker"]
    probe = pod["containers"][0]["startupProbe"]
    mounts = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}

    assert {"name": mounts[folder], "emptyDir": {"sizeLimit": "100Mi"}} in pod["volumes"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 240


def test_doors_can_be_replaced_while_logins_go_on() -> None:
    """Two at least, one at most away, and never fewer while a new version is rolled out."""
    by_kind = {(each["kind"], each["metadata"]["name"]): each for _, each in documents(BASE) if "metadata" in each}
    for door in ("gateway", "postfix"):
        assert by_kind["Deployment", door]["spec"]["replicas"] >= 2
        assert by_kind["Deployment", door]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        assert by_kind["PodDisruptionBudget", door]["spec"]["maxUnavailable"] == 1
