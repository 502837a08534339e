#!/usr/bin/python3
"""Strict JSON schemas for kubeconform, from the OpenAPI documents and CRDs of the projects' own Go modules.

Small on purpose: only the kinds that the chart and observability/kubernetes have, no descriptions; one file of definitions a Kubernetes release."""
import argparse
import json
import pathlib
import re
import sys

import yaml

KINDS = {"Namespace": "v1", "ResourceQuota": "v1", "LimitRange": "v1", "ServiceAccount": "v1", "ConfigMap": "v1", "Service": "v1",
         "PersistentVolumeClaim": "v1", "Pod": "v1", "Deployment": "apps/v1", "Job": "batch/v1", "CronJob": "batch/v1",
         "HorizontalPodAutoscaler": "autoscaling/v2", "PodDisruptionBudget": "policy/v1", "NetworkPolicy": "networking.k8s.io/v1",
         "Ingress": "networking.k8s.io/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1", "Role": "rbac.authorization.k8s.io/v1",
         "RoleBinding": "rbac.authorization.k8s.io/v1", "ClusterRole": "rbac.authorization.k8s.io/v1",
         "ClusterRoleBinding": "rbac.authorization.k8s.io/v1"}
DROPPED = {"description", "x-kubernetes-group-version-kind", "x-kubernetes-patch-merge-key", "x-kubernetes-patch-strategy", "example"}
SERVER_ONLY = {"managedFields", "status"}  # nobody writes these into a manifest


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, separators=(",", ":"), sort_keys=True) + "\n", encoding="utf-8")


def strict(node):
    """Without prose and vendor keys; an object with properties takes no others; a value may be null only where that is said."""
    if isinstance(node, list):
        return [strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    out = {}
    for key, value in node.items():
        if key == "properties":
            out[key] = {name: strict(item) for name, item in value.items() if name not in SERVER_ONLY}
        elif key in DROPPED or (key.startswith("x-kubernetes-") and isinstance(value, (str, list, bool))):
            continue
        elif key == "$ref":
            out[key] = value.replace("#/definitions/", "_definitions.json#/definitions/")
        else:
            out[key] = strict(value)
    if node.get("x-kubernetes-int-or-string") or node.get("format") == "int-or-string":
        out.pop("type", None)
        out.pop("format", None)
        out.setdefault("anyOf", [{"type": "integer"}, {"type": "string"}])
    if out.get("format") in ("int32", "int64", "double", "float", "byte"):
        out.pop("format")
    if "properties" in out and "additionalProperties" not in out and not node.get("x-kubernetes-preserve-unknown-fields"):
        out["additionalProperties"] = False
    return out


def kubernetes(version, source, target):
    definitions = json.loads(source.read_text(encoding="utf-8"))["definitions"]
    # Quantities are numbers or texts; the document says text only.
    definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"] = {"anyOf": [{"type": "number"}, {"type": "string"}]}
    kinds = {}
    for name, definition in definitions.items():
        for group in definition.get("x-kubernetes-group-version-kind", []):
            api = "/".join(part for part in (group["group"], group["version"]) if part)
            if KINDS.get(group["kind"]) == api:
                kinds[group["kind"]] = name
    missing = KINDS.keys() - kinds.keys()
    if missing:
        sys.exit(f"make_schemas.py: {source} has no {', '.join(sorted(missing))}")
    kept, left = {}, list(kinds.values())
    while left:
        name = left.pop()
        if name not in kept:
            kept[name] = strict(definitions[name])
            left += re.findall(r'_definitions\.json#/definitions/([^"]+)"', json.dumps(kept[name]))
    own = {name: json.loads(json.dumps(item).replace("_definitions.json#", "#")) for name, item in kept.items()}
    write(target / version / "_definitions.json", {"definitions": own})
    for kind, name in kinds.items():
        api = re.sub(r"\..*/", "/", KINDS[kind]).replace("/", "-")  # kubeconform names a group by its first word
        head = {"properties": {"apiVersion": {"const": KINDS[kind]}, "kind": {"const": kind}}, "required": ["apiVersion", "kind", "metadata"]}
        write(target / version / f"{kind.lower()}-{api}.json", {"allOf": [{"$ref": f"_definitions.json#/definitions/{name}"}, head]})


def crd(source, target):
    for document in yaml.safe_load_all(source.read_text(encoding="utf-8")):
        spec = document["spec"]
        served = [version for version in spec["versions"] if version["served"] and not version.get("deprecated")]
        stable = [version for version in served if "beta" not in version["name"] and "alpha" not in version["name"]]
        for version in stable or served:
            schema = strict(version["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = {"type": "object"}
            group = spec["group"].split(".", maxsplit=1)[0]
            write(target / "crd" / f"{spec['names']['kind'].lower()}-{group}-{version['name']}.json", schema)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kubernetes", nargs=2, action="append", default=[], metavar=("RELEASE", "SWAGGER"), help="v1.33.0 swagger.json")
    parser.add_argument("--crd", action="append", default=[], type=pathlib.Path, metavar="FILE")
    parser.add_argument("target", type=pathlib.Path)
    arguments = parser.parse_args()
    for version, source in arguments.kubernetes:
        kubernetes(version, pathlib.Path(source), arguments.target)
    for source in arguments.crd:
        crd(source, arguments.target)


if __name__ == "__main__":
    main()
