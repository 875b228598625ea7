"""The manifests of deploy/kubernetes, as they are applied: valid, and agreeing with each other."""

import json
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml
from typer.testing import CliRunner

from controller.policy import Intent
from sidecar.cli import app
from sidecar.permit import binding_fault
from sidecar.routefile import Loaded, load_routefile
from tests.deploy.kustomize import Key, Manifest, documents, render

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
OVERLAYS = sorted(path.name for path in (FOLDER / "overlays").iterdir())
APPLIED = ["base", "monitoring", *(f"overlays/{name}" for name in OVERLAYS)]
WITH_PODS = [name for name in APPLIED if name != "monitoring"]
VERSIONS = ("1.30", "1.37")
"""The oldest that the manifests are for (`preStop.sleep`), and one that is recent."""
CUSTOM = {"PodMonitor", "InferenceService"}
COMPONENT = {"minReplicas", "maxReplicas", "deploymentStrategy", "labels"}
"""What a KServe predictor has beside the fields of a PodSpec."""
TOKENS = "/etc/understudy-tokens/"
CHALLENGER = ("Deployment", "model-challenger")


@cache
def applied(name: str) -> dict[Key, Manifest]:
    return render(FOLDER / name)


def template_of(manifest: Manifest) -> Manifest:
    """The pods that ``manifest`` makes: labels and spec."""
    if manifest["kind"] == "InferenceService":
        predictor = manifest["spec"]["predictor"]
        spec = {name: value for name, value in predictor.items() if name not in COMPONENT}
        return {"metadata": {"labels": predictor["labels"]}, "spec": spec}
    template: Manifest = manifest["spec"]["template"]
    return template


def templates(name: str) -> list[Manifest]:
    return [
        template_of(manifest)
        for manifest in applied(name).values()
        if manifest["kind"] in ("StatefulSet", "Deployment", "InferenceService")
    ]


def containers(template: Manifest) -> list[Manifest]:
    spec = template["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def pod_of(name: str) -> Manifest:
    """The pods in which Understudy runs."""
    (found,) = [one for one in templates(name) if any(map(is_sidecar, containers(one)))]
    return found


def is_sidecar(container: Manifest) -> bool:
    return str(container["image"]).startswith("understudy:")


def sidecar_of(name: str) -> Manifest:
    (found,) = filter(is_sidecar, containers(pod_of(name)))
    return found


def champion_of(name: str) -> Manifest:
    (found,) = [one for one in containers(pod_of(name)) if not is_sidecar(one)]
    return found


def loaded(name: str, folder: Path) -> Loaded:
    """The ConfigMap's routing file, checked beside a file of tokens; ConfigError if refused."""
    text = applied(name)["ConfigMap", "understudy-routing"]["data"]["routing.yaml"]
    (folder / "tokens.yaml").write_text("tokens: []\n")
    file = folder / "routing.yaml"
    file.write_text(text.replace(TOKENS, f"{folder}/"))
    return load_routefile(file)


def test_overlays_are_those_that_are_promised() -> None:
    assert {"plain", "ephemeral", "kserve", "mlserver", "triton", "vllm"} == set(OVERLAYS)


def distinct() -> list[Manifest]:
    """Each manifest of the API itself once, though several overlays apply it."""
    found = {json.dumps(one, sort_keys=True) for name in APPLIED for one in applied(name).values()}
    return [one for text in sorted(found) if (one := json.loads(text))["kind"] not in CUSTOM]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_valid_by_the_schema_of_the_api(version: str) -> None:
    for manifest in distinct():
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_pods_of_the_inference_service_are_valid_too(version: str) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", **pod_of("overlays/kserve")}
    kubernetes_validate.validate(pod, version, strict=True)


def test_schema_refuses_a_key_that_is_not_there() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [], "restartPolice": "Always"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(pod, VERSIONS[-1], strict=True)


def test_every_file_is_applied_by_somebody() -> None:
    named: set[Path] = set()
    for name in APPLIED:
        folder = FOLDER / name
        (content,) = documents(folder / "kustomization.yaml")
        files = [*content["resources"], *(one["path"] for one in content.get("patches", []))]
        files += [file for one in content.get("configMapGenerator", []) for file in one["files"]]
        named |= {Path(name) / file for file in [*files, "kustomization.yaml"]}
    kept = {path.relative_to(FOLDER) for path in FOLDER.rglob("*") if path.is_file()}
    assert kept <= named


def test_pod_monitor_asks_the_admin_port_with_a_token() -> None:
    (monitor,) = applied("monitoring").values()
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    assert set(monitor["spec"]) == {"selector", "podMetricsEndpoints"}
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert set(endpoint) == {"port", "path", "interval", "authorization"}
    assert endpoint["path"] == "/metrics"
    assert set(endpoint["authorization"]["credentials"]) == {"name", "key"}
    for name in WITH_PODS:
        assert monitor["spec"]["selector"]["matchLabels"].items() <= labels(pod_of(name)).items()
        assert endpoint["port"] in ports(sidecar_of(name))


def test_inference_service_is_a_raw_deployment_of_one_pod_at_a_time() -> None:
    service = applied("overlays/kserve")["InferenceService", "digits"]
    predictor = service["spec"]["predictor"]
    assert service["apiVersion"] == "serving.kserve.io/v1beta1"
    assert service["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "RawDeployment"
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (1, 1)
    assert predictor["deploymentStrategy"] == {"type": "Recreate"}
    names = [container["name"] for container in predictor["containers"]]
    assert names == ["transformer-container", "kserve-container"]
    assert "StatefulSet" not in {kind for kind, _ in applied("overlays/kserve")}


def labels(template: Manifest) -> dict[str, str]:
    found: dict[str, str] = template["metadata"]["labels"]
    return found


def ports(container: Manifest) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in container.get("ports", [])}


@pytest.mark.parametrize("name", WITH_PODS)
def test_every_selector_finds_pods_and_every_port_is_one_of_theirs(name: str) -> None:
    for (kind, _), manifest in applied(name).items():
        spec = manifest.get("spec", {})
        match kind:
            case "Service":
                chosen = spec["selector"]
            case "NetworkPolicy":
                chosen = spec["podSelector"]["matchLabels"]
            case "PodDisruptionBudget" | "StatefulSet" | "Deployment":
                chosen = spec["selector"]["matchLabels"]
            case _:
                continue
        found = [one for one in templates(name) if chosen.items() <= labels(one).items()]
        assert len(found) == 1, (kind, chosen)
        if kind == "Service":
            known = {port for container in containers(found[0]) for port in ports(container)}
            assert {port["targetPort"] for port in spec["ports"]} <= known
        if kind == "StatefulSet":
            assert applied(name)["Service", spec["serviceName"]]["spec"]["clusterIP"] == "None"


@pytest.mark.parametrize("name", WITH_PODS)
def test_every_pod_runs_with_the_least_rights(name: str) -> None:
    for template in templates(name):
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert ("ServiceAccount", spec["serviceAccountName"]) in applied(name)
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(template):
            context = container["securityContext"]
            assert context["runAsUser"] > 0
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
    assert sidecar_of(name)["securityContext"]["readOnlyRootFilesystem"] is True
    user = sidecar_of(name)["securityContext"]["runAsUser"]
    assert f"USER {user}:" in (FOLDER.parents[1] / "Dockerfile").read_text()


@pytest.mark.parametrize("name", WITH_PODS)
def test_every_mount_has_its_volume_and_what_may_change_is_mounted_as_a_folder(name: str) -> None:
    sets = [one for one in applied(name).values() if one["kind"] == "StatefulSet"]
    for template in templates(name):
        volumes = {volume["name"]: volume for volume in template["spec"].get("volumes", [])}
        claimed = {
            claim["metadata"]["name"]: claim
            for one in sets
            for claim in one["spec"].get("volumeClaimTemplates", [])
        }
        for container in containers(template):
            for mount in container["volumeMounts"]:
                volume = (volumes | claimed)[mount["name"]]
                if "configMap" in volume or "secret" in volume:
                    assert "subPath" not in mount and mount["readOnly"] is True
    volumes = {volume["name"]: volume for volume in pod_of(name)["spec"]["volumes"]}
    config = volumes["routing"]["configMap"]["name"]
    assert "routing.yaml" in applied(name)["ConfigMap", config]["data"]


@pytest.mark.parametrize("name", WITH_PODS)
def test_command_line_takes_the_arguments(name: str) -> None:
    sidecar = sidecar_of(name)
    assert CliRunner().invoke(app, [*sidecar["args"], "--help"]).exit_code == 0
    command, file = sidecar["args"]
    assert command == "run"
    assert {"name": "routing", "mountPath": str(Path(file).parent), "readOnly": True} in sidecar[
        "volumeMounts"
    ]


@pytest.mark.parametrize("name", WITH_PODS)
def test_routing_file_passes_check_and_fits_the_pod(name: str, tmp_path: Path) -> None:
    settings = loaded(name, tmp_path).settings
    sidecar = sidecar_of(name)
    mounted = {mount["mountPath"]: mount for mount in sidecar["volumeMounts"]}
    assert not mounted[str(settings.state)].get("readOnly")
    assert TOKENS.rstrip("/") in mounted
    assert ports(sidecar) == {"http": settings.listen_port, "admin": settings.admin_port}
    assert settings.listen_host == settings.admin_host == "0.0.0.0"
    assert settings.tokens is not None and binding_fault("0.0.0.0", settings.tokens, {}) == ""


@pytest.mark.parametrize("name", WITH_PODS)
def test_variants_are_where_the_routing_file_says(name: str, tmp_path: Path) -> None:
    intent: Intent = loaded(name, tmp_path).intent
    services = {key[1]: one for key, one in applied(name).items() if key[0] == "Service"}
    policy = applied(name)["NetworkPolicy", "understudy"]["spec"]
    for route in yaml_routes(name):
        champion = urlsplit(route["champion"]["url"])
        assert champion.hostname == "127.0.0.1"
        assert champion.port in ports(champion_of(name)).values()
        for variant in route.get("challengers", []):
            address = urlsplit(variant["url"])
            (port,) = services[str(address.hostname)]["spec"]["ports"]
            (challenger,) = containers(template_of(applied(name)[CHALLENGER]))
            assert address.port == port["port"] == ports(challenger)[port["targetPort"]]
            assert address.port in [p["port"] for rule in policy["egress"] for p in rule["ports"]]
    assert len(intent.routes) == len(yaml_routes(name))


def yaml_routes(name: str) -> list[dict[str, Any]]:
    text = applied(name)["ConfigMap", "understudy-routing"]["data"]["routing.yaml"]
    found: list[dict[str, Any]] = yaml.safe_load(text)["routes"]
    return found


@pytest.mark.parametrize("name", WITH_PODS)
def test_no_two_containers_of_a_pod_want_one_port(name: str) -> None:
    for template in templates(name):
        wanted = [port for one in containers(template) for port in ports(one).values()]
        assert len(wanted) == len(set(wanted))


@pytest.mark.parametrize("name", WITH_PODS)
def test_only_the_router_and_the_admin_port_are_reached_from_outside(name: str) -> None:
    sidecar = ports(sidecar_of(name))
    rules = applied(name)["NetworkPolicy", "understudy"]["spec"]["ingress"]
    opened = {port["port"]: rule.get("from") for rule in rules for port in rule["ports"]}
    assert set(opened) == set(sidecar.values())
    assert opened[sidecar["admin"]], "anybody may reach the admin port"
    (rule,) = applied(name)["NetworkPolicy", "model-challenger"]["spec"]["ingress"]
    (sender,) = rule["from"]
    assert sender["podSelector"]["matchLabels"].items() <= labels(pod_of(name)).items()


@pytest.mark.parametrize("name", WITH_PODS)
def test_probes_ask_what_needs_no_token(name: str) -> None:
    sidecar = sidecar_of(name)
    for kind in ("startup", "liveness"):  # the model starts after the first: it must not wait
        assert sidecar[f"{kind}Probe"]["httpGet"] == {"path": "/livez", "port": "admin"}
    assert sidecar["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "admin"}
    patience_s = (
        sidecar["livenessProbe"]["periodSeconds"] * sidecar["livenessProbe"]["failureThreshold"]
    )
    assert patience_s >= 120, "the routers go on while the controller is started again"


@pytest.mark.parametrize("name", WITH_PODS)
def test_champion_is_there_until_the_sidecar_is_drained(name: str, tmp_path: Path) -> None:
    settings = loaded(name, tmp_path).settings
    spec = pod_of(name)["spec"]
    drain_s = settings.stop_delay_s + settings.drain_s
    waits_s = champion_of(name)["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert settings.stop_delay_s >= 5
    assert waits_s > drain_s
    one_by_one_s = waits_s + drain_s + 6  # a native sidecar is told to stop after the model
    assert spec["terminationGracePeriodSeconds"] > one_by_one_s + 20  # and the model's own stop


@pytest.mark.parametrize("name", WITH_PODS)
def test_sidecar_is_native_but_where_it_cannot_be(name: str) -> None:
    spec = pod_of(name)["spec"]
    if name in ("overlays/plain", "overlays/kserve"):
        assert "initContainers" not in spec
    else:
        (sidecar,) = spec["initContainers"]
        assert sidecar["restartPolicy"] == "Always"


@pytest.mark.parametrize("name", WITH_PODS)
def test_one_sidecar_decides_and_no_two_have_one_state(name: str) -> None:
    for (kind, _), manifest in applied(name).items():
        if kind == "StatefulSet":
            assert manifest["spec"]["replicas"] == 1
    budget = applied(name)["PodDisruptionBudget", "understudy"]["spec"]
    assert budget["maxUnavailable"] == 1


def test_state_of_the_ephemeral_overlay_goes_with_the_pod() -> None:
    manifest = applied("overlays/ephemeral")["StatefulSet", "understudy"]
    assert "volumeClaimTemplates" not in manifest["spec"]
    volumes = {volume["name"]: volume for volume in pod_of("overlays/ephemeral")["spec"]["volumes"]}
    assert "emptyDir" in volumes["state"]
    claims = applied("base")["StatefulSet", "understudy"]["spec"]["volumeClaimTemplates"]
    assert [claim["metadata"]["name"] for claim in claims] == ["state"]
