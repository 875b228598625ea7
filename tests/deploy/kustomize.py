"""What `kubectl kustomize` makes of a folder, for the part that deploy/kubernetes uses.

Resources, JSON patches (add, remove, replace, move), `$patch: delete` and ConfigMaps from files.
Anything else is refused, so that no manifest is checked in another form than it is applied in.
"""

import copy
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]
Key = tuple[str, str]
"""Kind and name."""
KNOWN = {
    *("apiVersion", "kind", "resources", "patches", "configMapGenerator", "generatorOptions"),
}


def documents(path: Path) -> list[Any]:
    """Return the YAML documents of ``path``."""
    return [one for one in yaml.safe_load_all(path.read_text()) if one is not None]


def render(folder: Path) -> dict[Key, Manifest]:
    """Return the manifests of the kustomization in ``folder``, patched."""
    (kustomization,) = documents(folder / "kustomization.yaml")
    unknown = set(kustomization) - KNOWN
    assert not unknown, f"{folder}: {unknown}"
    made: dict[Key, Manifest] = {}
    for named in kustomization["resources"]:
        path = folder / named
        found = list(render(path).values()) if path.is_dir() else documents(path)
        for manifest in found:
            key = key_of(manifest)
            assert key not in made, f"{folder}: {key} is there twice"
            made[key] = manifest
    for patch in kustomization.get("patches", []):
        _patch(made, folder, patch)
    for generator in kustomization.get("configMapGenerator", []):
        assert kustomization["generatorOptions"] == {"disableNameSuffixHash": True}
        _generate(made, folder, generator)
    return made


def key_of(manifest: Manifest) -> Key:
    return manifest["kind"], manifest["metadata"]["name"]


def _generate(made: dict[Key, Manifest], folder: Path, generator: dict[str, Any]) -> None:
    key = ("ConfigMap", generator["name"])
    assert (key in made) is (generator.get("behavior") == "replace"), f"{folder}: {key}"
    made[key] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": generator["name"]},
        "data": {name: (folder / name).read_text() for name in generator["files"]},
    }


def _patch(made: dict[Key, Manifest], folder: Path, patch: dict[str, Any]) -> None:
    (content,) = documents(folder / patch["path"])
    if isinstance(content, dict):
        assert content.pop("$patch") == "delete", f"{folder}: only deletions are merged"
        del made[key_of(content)]
        return
    key = (patch["target"]["kind"], patch["target"]["name"])
    made[key] = copy.deepcopy(made[key])
    for step in content:
        _step(made[key], step)


def _step(manifest: Manifest, step: dict[str, Any]) -> None:
    """Do one operation of RFC 6902."""
    match step["op"]:
        case "move":
            value = _take(manifest, step["from"])
        case "remove":
            _take(manifest, step["path"])
            return
        case "replace":
            _take(manifest, step["path"])
            value = step["value"]
        case "add":
            value = step["value"]
    parent, last = _find(manifest, step["path"])
    if isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else int(last), value)
    else:
        parent[last] = value


def _take(manifest: Manifest, pointer: str) -> Any:
    parent, last = _find(manifest, pointer)
    return parent.pop(int(last) if isinstance(parent, list) else last)


def _find(manifest: Manifest, pointer: str) -> tuple[Any, str]:
    """Return what holds the end of ``pointer``, and its last part."""
    *way, last = pointer.removeprefix("/").split("/")
    parent: Any = manifest
    for part in way:
        parent = parent[int(part) if isinstance(parent, list) else part]
    return parent, last
