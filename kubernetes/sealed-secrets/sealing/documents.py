"""Sealed secrets as they lie in Git: reading, sealing, merging, checking. Plain values are in memory and in pipes only."""

import base64
import binascii
import copy
import datetime
import json
import pathlib
import re

import yaml

from . import templates
from .basics import Environment, Problem, run

KIND = {"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret"}
ROTATED = "detection-system/rotated"  # when its values were last new, UTC
WAVE = {"argocd.argoproj.io/sync-wave": "-2"}  # before everything that mounts it (phase05-kubernetes-production.md)
SYNC = "argocd.argoproj.io/sync-options"
# With a sealed secret its Secret goes too, and pods that start after that do not: no sync takes one away, not even one with prune.
KEPT = {SYNC: "Prune=false,Delete=false"}
SCOPES = ("sealedsecrets.bitnami.com/cluster-wide", "sealedsecrets.bitnami.com/namespace-wide")
FORM = "%Y-%m-%dT%H:%M:%SZ"


class Dumper(yaml.SafeDumper):
    def increase_indent(self, flow=False, indentless=False):
        return super().increase_indent(flow, False)


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


def stamp(time: datetime.datetime) -> str:
    return time.strftime(FORM)


def parse_stamp(text: str) -> datetime.datetime:
    return datetime.datetime.strptime(text, FORM).replace(tzinfo=datetime.timezone.utc)


class Sealed:
    """One file."""

    def __init__(self, where: pathlib.Path, body: dict) -> None:
        self.where, self.body = where, body

    @property
    def name(self) -> str:
        return self.body["metadata"]["name"]

    @property
    def data(self) -> dict:
        return self.body["spec"]["encryptedData"]

    @property
    def notes(self) -> dict:
        """The annotations: what rotation remembers."""
        return self.body["metadata"].setdefault("annotations", {})

    def rotated(self) -> datetime.datetime | None:
        return parse_stamp(self.notes[ROTATED]) if ROTATED in self.notes else None

    def text(self) -> str:
        head = "# Sealed by kubernetes/sealed-secrets/sealed: only the controller of this environment opens it.\n"
        return head + yaml.dump(self.body, Dumper=Dumper, sort_keys=False, width=100_000, default_style=None)

    def write(self) -> None:
        self.where.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.where.with_suffix(".new")
        temporary.write_text(self.text(), encoding="utf-8")
        temporary.replace(self.where)


def namespace_of(environment: Environment, template: templates.Template) -> str:
    return template.namespace or environment.namespace


def path_of(environment: Environment, name: str) -> pathlib.Path:
    """What is for another namespace is in a folder of that name: another Application applies it."""
    return environment.folder / templates.load(name, environment.name).namespace / f"{name}.yaml"


def load(environment: Environment, name: str) -> Sealed:
    path = path_of(environment, name)
    if not path.is_file():
        raise Problem(f"{path} is not there: seal it first (sealed seal {name} --env {environment.name} ...)")
    return read(path)


def read(path: pathlib.Path) -> Sealed:
    try:
        body = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise Problem(f"{path} is no YAML: {problem}") from None
    if not isinstance(body, dict) or {key: body.get(key) for key in KIND} != KIND:
        raise Problem(f"{path} is not one {KIND['kind']} of {KIND['apiVersion']}")
    try:
        body["metadata"]["name"], body["spec"]["encryptedData"].keys()  # pylint: disable=expression-not-assigned
    except (KeyError, TypeError, AttributeError):
        raise Problem(f"{path} has no metadata.name or spec.encryptedData") from None
    return Sealed(path, body)


def encrypt(environment: Environment, template: templates.Template, values: dict[str, bytes]) -> dict[str, str]:
    """Each value sealed for exactly this name and namespace, by kubeseal with the environment's certificate. No cluster is asked."""
    if not environment.certificate.is_file():
        raise Problem(f"the certificate of {environment.name} is not there ({environment.certificate}): "
                      f"sealed certificate --env {environment.name} fetches it from the cluster")
    for key, value in values.items():
        template.check_value(key, value)
    plain = {"apiVersion": "v1", "kind": "Secret", "type": template.type,
             "metadata": {"name": template.name, "namespace": namespace_of(environment, template)},
             "data": {key: base64.b64encode(value).decode() for key, value in values.items()}}
    sealed = run("kubeseal", "--cert", environment.certificate, "--scope", "strict", "--format", "json",
                 stdin=json.dumps(plain).encode(), what=f"sealing {template.name}")
    return json.loads(sealed)["spec"]["encryptedData"]


def seal(environment: Environment, template: templates.Template, values: dict[str, bytes]) -> Sealed:
    """A new document."""
    template.check_names(set(values))
    who = {"name": template.name, "namespace": namespace_of(environment, template), "labels": template.labels}
    return Sealed(path_of(environment, template.name), {
        **KIND,
        "metadata": {**copy.deepcopy(who), "annotations": {**WAVE, **KEPT, ROTATED: stamp(now())}},
        "spec": {"encryptedData": dict(sorted(encrypt(environment, template, values).items())),
                 "template": {"metadata": copy.deepcopy(who), "type": template.type}}})


def merge(environment: Environment, template: templates.Template, document: Sealed, values: dict[str, bytes], remove: list[str]) -> None:
    """New values into a document; what is not named stays as it is, unopened."""
    for key in remove:
        if key not in document.data:
            raise Problem(f"{document.where} has no '{key}' to remove")
        del document.data[key]
    document.data.update(encrypt(environment, template, values))
    template.check_names(set(document.data))
    document.notes[ROTATED] = stamp(now())


def faults(environment: Environment, document: Sealed, key_bytes: int | None) -> list[str]:
    """What is wrong with a file, as far as it shows without a key. key_bytes: of the sealing certificate's RSA key."""
    found = []
    metadata, spec = document.body["metadata"], document.body["spec"]
    inner = spec.get("template") or {}
    try:
        template = templates.load(document.name, environment.name)
    except Problem as problem:
        return [str(problem)]
    namespace = namespace_of(environment, template)
    if document.where != (right := path_of(environment, document.name)):
        found.append(f"belongs in {right.relative_to(environment.folder)}")
    for place in (metadata, inner.get("metadata") or {}):
        if (place.get("name"), place.get("namespace")) != (template.name, namespace):
            found.append(f"is for {place.get('namespace')}/{place.get('name')}, not {namespace}/{template.name}: it would not open")
        if any(scope in (place.get("annotations") or {}) for scope in SCOPES):
            found.append("could be opened under other names: seal it with the scope strict")
    if not set(KEPT[SYNC].split(",")) <= set((metadata.get("annotations") or {}).get(SYNC, "").split(",")):
        found.append(f"could be pruned, and its Secret with it: {SYNC}: {KEPT[SYNC]}")
    if inner.get("type") != template.type:
        found.append(f"is of type {inner.get('type')}, not {template.type}")
    if inner.get("data"):
        found.append("has plain text in spec.template.data")
    if not template.wanted:
        found.append(f"is of no use in {environment.name}")
    try:
        template.check_names(set(document.data))
    except Problem as problem:
        found.append(str(problem))
    for key, value in document.data.items():
        found += [f"{key}: {why}" for why in not_a_ciphertext(value, key_bytes)]
    return found


def not_a_ciphertext(value: object, key_bytes: int | None) -> list[str]:
    """Sealed is: length of the RSA block (2 bytes), the block, AES-GCM of the value with its tag (16 bytes)."""
    try:
        data = base64.b64decode(value, validate=True)
    except (TypeError, binascii.Error, ValueError):
        return ["is not sealed (no base64)"]
    length = int.from_bytes(data[:2], "big")
    if length not in (256, 384, 512, 1024) or len(data) < 2 + length + 16:
        return ["is not sealed (not of kubeseal's form)"]
    if key_bytes and length != key_bytes:
        return [f"is sealed with a key of {8 * length} bits, the certificate's has {8 * key_bytes}"]
    return []


def key_bytes_of(certificate: pathlib.Path) -> int | None:
    if not certificate.is_file():
        return None
    said = run("openssl", "x509", "-in", certificate, "-noout", "-text", what=f"reading {certificate}").decode()
    bits = re.search(r"Public-Key: \((\d+) bit\)", said)
    if "rsaEncryption" not in said or not bits:
        raise Problem(f"{certificate} is not a certificate with an RSA key")
    return int(bits[1]) // 8


def all_of(environment: Environment) -> list[Sealed]:
    return [read(path) for path in sorted(environment.folder.rglob("*.yaml"))] if environment.folder.is_dir() else []
