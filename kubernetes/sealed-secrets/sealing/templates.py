"""The templates of the secrets, and what a value must be like before it is sealed."""

import base64
import binascii
import json
import re
import secrets
import subprocess

import yaml

from .basics import HERE, Problem, tool

FOLDER = HERE / "templates"


class Template:
    """A secret as one environment has it."""

    def __init__(self, body: dict, environment: str) -> None:
        self.name, self.type = body["name"], body["type"]
        self.keys = {key: rule or {} for key, rule in body["keys"].items()}
        self.labels = {"app.kubernetes.io/part-of": "detection-cop"}
        self.together, self.more = body.get("together", []), body.get("more_keys")
        self.days, self.how = body["rotation"]["days"], body["rotation"]["how"]
        self.wanted, self.optional = environment not in body.get("without", []), body.get("optional", False)
        self.namespace = body.get("namespace", "")  # empty: the environment's
        variant = body.get("variants", {}).get(environment, {})
        self.type = variant.get("type", self.type)
        self.labels.update(variant.get("labels", {}))
        for key in variant.get("drop", []):
            self.keys.pop(key)

    def rule(self, key: str) -> dict:
        if key in self.keys:
            return self.keys[key]
        if self.more and re.fullmatch(self.more["pattern"], key):
            return self.more
        raise Problem(f"{self.name} has no key '{key}'; it has: {', '.join(self.keys)}")

    def check_names(self, keys: set[str]) -> None:
        """The keys of a whole secret."""
        for key in keys:
            self.rule(key)
        missing = [key for key, rule in self.keys.items() if rule.get("required") and key not in keys]
        if missing:
            raise Problem(f"{self.name} needs {', '.join(missing)}")
        if not keys:
            raise Problem(f"{self.name} would be empty")
        for group in self.together:
            if keys & set(group) and not keys >= set(group):
                raise Problem(f"{self.name}: {' and '.join(group)} go together")

    def check_value(self, key: str, value: bytes) -> None:
        check = self.rule(key).get("check", "text")
        why = CHECKS[check](value)
        if why:
            raise Problem(f"{self.name}, {key}: {why}")

    def generate(self, key: str) -> bytes:
        if not self.rule(key).get("generate"):
            raise Problem(f"{self.name}, {key}: cannot be made here, somebody else gives it out")
        return new_value()


def new_value() -> bytes:
    """48 random bytes, as text without characters that a URL or a shell takes apart."""
    return base64.urlsafe_b64encode(secrets.token_bytes(48))


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(name: str, environment: str) -> Template:
    if name not in names():
        raise Problem(f"there is no template '{name}'; there are: {', '.join(names())}")
    return Template(yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8")), environment)


# ---- checks: nothing, or why a value is refused
def text(value: bytes) -> str:
    if not value.strip():
        return "is empty"
    if b"\0" in value:
        return "has a zero byte in it"
    if value != value.strip() and b"\n" not in value.strip():
        return "has white space around it: printf %s VALUE >FILE makes a file without"
    return ""


def signing_key(value: bytes) -> str:
    """As the service takes it (src/security/hmac_key.cpp is stricter still, and refuses it at the start)."""
    bare = value.strip()
    if len(bare) < 32:
        return f"has {len(bare)} bytes, and must have 32: leave it to --generate"
    if len(set(bare)) < 12:
        return "repeats itself: leave it to --generate"
    return ""


def password(value: bytes) -> str:
    return text(value) or ("is shorter than 16 characters: leave it to --generate" if len(value.strip()) < 16 else "")


def sink(value: bytes) -> str:
    if not re.fullmatch(rb"(tls|tcp|udp)://[^\s/]+(\?\S*)?", value.strip()):
        return "is not a TAK server as --tak-sink takes it: tls://HOST:8089"
    return ""


def docker_config(value: bytes) -> str:
    how = "is not a docker config: {\"auths\": {\"REGISTRY\": {\"auth\": \"base64 of user:password\"}}}"
    try:
        body = json.loads(value)
        entries = body["auths"].items()
        for _, entry in entries:
            if b":" not in base64.b64decode(entry["auth"], validate=True):
                return how
        return "" if entries else how
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        return how


def openssl(*arguments: str, value: bytes) -> bool:
    return subprocess.run([tool("openssl"), *arguments], input=value, capture_output=True, timeout=60).returncode == 0


def certificate(value: bytes) -> str:
    return "" if openssl("x509", "-noout", value=value) else "is not a PEM certificate"


def private_key(value: bytes) -> str:
    return "" if openssl("pkey", "-noout", "-passin", "pass:", value=value) else "is not a PEM private key without a passphrase"


CHECKS = {"text": text, "signing_key": signing_key, "password": password, "sink": sink, "docker_config": docker_config,
          "certificate": certificate, "private_key": private_key}
