"""Paths, the environments, running other programs."""

import dataclasses
import os
import pathlib
import shutil
import subprocess

import yaml

HERE = pathlib.Path(__file__).resolve().parents[1]
ENVIRONMENTS = "environments.yaml"


class Problem(Exception):
    """What is wrong, in words for the person who called."""


@dataclasses.dataclass(frozen=True)
class Environment:
    name: str
    folder: pathlib.Path  # of its sealed secrets
    certificate: pathlib.Path
    namespace: str
    controller_namespace: str
    controller: str
    context: str
    token_life_h: float

    def controller_flags(self) -> list[str]:
        return ["--controller-namespace", self.controller_namespace, "--controller-name", self.controller, *self.context_flags()]

    def context_flags(self) -> list[str]:
        return ["--context", self.context] if self.context else []


def environments(home: pathlib.Path = HERE) -> dict:
    return yaml.safe_load((home / ENVIRONMENTS).read_text(encoding="utf-8"))


def environment(name: str, home: pathlib.Path = HERE, certificate: str = "") -> Environment:
    """`home` holds environments.yaml, the certificates and a folder for each environment."""
    known = environments(home)
    if name not in known:
        raise Problem(f"there is no environment '{name}' in {home / ENVIRONMENTS}; there are: {', '.join(known)}")
    one = known[name]
    return Environment(
        name=name, folder=home / name, certificate=pathlib.Path(certificate) if certificate else home / one["certificate"],
        namespace=one["namespace"], controller_namespace=one["controller"]["namespace"], controller=one["controller"]["name"],
        context=one.get("context") or "", token_life_h=float(one["token_life_h"]))


def tool(name: str) -> str:
    """A program: DETECTION_KUBESEAL and the like name it, else PATH."""
    named = os.environ.get(f"DETECTION_{name.upper()}", "")
    found = shutil.which(named or name)
    if not found:
        raise Problem(f"{named or name} is not there: put it into PATH, or name it by DETECTION_{name.upper()}")
    return found


def run(name: str, *arguments: object, stdin: bytes = b"", what: str = "") -> bytes:
    """-> standard output. Arguments are seen by everyone on the machine: never a secret among them."""
    done = subprocess.run([tool(name), *map(str, arguments)], input=stdin, capture_output=True, timeout=120)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise Problem(f"{what or name + ' ' + str(arguments[0])}: {said[-700:]}")
    return done.stdout


def write_private(path: pathlib.Path, data: bytes) -> None:
    """A file that only its owner reads, there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
