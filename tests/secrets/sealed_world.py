"""A folder of sealed secrets and a cluster with the controller, and what can be shown with them in any cluster.

The cluster is what light_cluster.LightCluster is: kubectl(*arguments, text, check) and command(*arguments, check), which runs `sealed`.
"""

import base64
import json
import pathlib
import shutil

import yaml
from light_cluster import ROOT, until

TAK = {"username": "feeder", "password": "Pass-word-of-TAK-0123", "endpoint": "tls://tak.test:8089"}
DATABASE = {"username": "feeder"}  # its password is generated
PASSPHRASE = "a passphrase that is long enough\n"
DOCKER = {"auths": {"registry.test": {"auth": base64.b64encode(b"robot:token-0123456789").decode()}}}
SECRETS = ("tak-server-credentials", "jwt-signing-key", "registry-credentials", "database-credentials", "grafana-admin")


def space_of(name):
    return "monitoring" if name == "grafana-admin" else "detection-system"


def expect(condition, what):
    if not condition:
        raise RuntimeError(what)


class World:
    """tak, database: the values that are sealed; a database without a password has one made."""

    def __init__(self, folder, cluster, tak=None, database=None):
        self.folder, self.cluster = pathlib.Path(folder), cluster
        self.home = self.folder / "home"  # as kubernetes/sealed-secrets: environments, certificates, sealed secrets
        self.home.mkdir()
        shutil.copy(ROOT / "kubernetes/sealed-secrets/environments.yaml", self.home)
        self.tak, self.database = tak or TAK, database or DATABASE
        self.passphrase = self.file("passphrase", PASSPHRASE)
        self.steps = []  # the signing key before and after each step of its rotation

    def file(self, name, content):
        path = self.folder / name
        path.write_text(content, encoding="utf-8")
        return path

    def sealed(self, *arguments, cluster=None, check=True):
        return (cluster or self.cluster).command("--home", self.home, *arguments, check=check)

    def seal(self, name, values, *more):
        """From files; a value stands in no argument."""
        files = [a for key, value in values.items() for a in ("--from-file", f"{key}={self.file(f'{name}-{key}', value)}")]
        self.sealed("seal", name, "--env", "prod", *files, *more)

    def document(self, name):
        folder = self.home / "prod"
        return (folder / "monitoring" if space_of(name) == "monitoring" else folder) / f"{name}.yaml"

    def data(self, name):
        return yaml.safe_load(self.document(name).read_text(encoding="utf-8"))["spec"]["encryptedData"]

    def sync(self):
        """As Argo CD: what lies in Git is applied."""
        self.cluster.kubectl("apply", "-R", "-f", self.home / "prod")

    def opened(self, name, wanted=None):
        """The Secret that the controller has made -> values; waits for those keys."""
        def look():
            said = self.cluster.kubectl("-n", space_of(name), "get", "secret", name, "-o", "json", check=False)
            values = {k: base64.b64decode(v).decode() for k, v in json.loads(said)["data"].items()} if said else {}
            return values if values and (wanted is None or wanted(values)) else None
        return until(30, f"{name} opened as wanted", look)

    def all_opened(self):
        return {name: self.opened(name) for name in SECRETS}

    @property
    def recovery(self):
        return ("--key", self.folder / "recovery.key", "--passphrase-file", self.passphrase)


def opened_by_the_controller(world):
    _, said = world.sealed("certificate", "--env", "prod")
    expect("sha256 Fingerprint" in said, said)
    world.seal("tak-server-credentials", world.tak)
    world.seal("jwt-signing-key", {}, "--generate", "secret_key")
    world.seal("registry-credentials", {".dockerconfigjson": json.dumps(DOCKER)})
    world.seal("database-credentials", world.database, *(() if "password" in world.database else ("--generate", "password")))
    world.seal("grafana-admin", {}, "--generate", "admin-password")
    text = "".join(path.read_text(encoding="utf-8") for path in (world.home / "prod").rglob("*.yaml"))
    expect(not any(word in text for word in (*world.tak.values(), "robot:token")), "a plain value stands in a sealed file")
    world.sync()
    expect(world.opened("tak-server-credentials") == world.tak, "the TAK credentials are not what was sealed")
    expect(world.opened("database-credentials").items() >= world.database.items(), "the database's are not")
    expect(json.loads(world.opened("registry-credentials")[".dockerconfigjson"]) == DOCKER, "the registry's are not")
    expect(len(world.opened("jwt-signing-key")["secret_key"]) == 64, "the signing key is not")
    world.opened("grafana-admin")
    kind = world.cluster.kubectl("-n", "detection-system", "get", "secret", "registry-credentials", "-o", "jsonpath={.type}")
    expect(kind == "kubernetes.io/dockerconfigjson", f"the registry's is of type {kind}")
    world.sealed("validate", "--env", "prod", "--cluster", "--complete")
    return "5 secrets in 2 namespaces"


def keeps_the_sealing_keys(world):
    """Backed up; and what is not whole, or not the right one, is refused with its reason."""
    f = world.folder
    world.sealed("recovery-key", "--output", f, "--passphrase-file", world.passphrase)
    expect((f / "recovery.key").stat().st_mode & 0o777 == 0o600 and "ENCRYPTED" in (f / "recovery.key").read_text(), "the key lies open")
    _, said = world.sealed("backup", "--env", "prod", "--recipient", f / "recovery.pem", "--output", f / "keys.backup")
    count = int(said.rpartition(": ")[2].split()[0])
    data, key = (f / "keys.backup").read_bytes(), (f / "recovery.key").read_bytes()
    expect(b"PRIVATE KEY" not in data and b"tls.key" not in data, "the backup lies open")
    _, said = world.sealed("drill", "--env", "prod", "--backup", f / "keys.backup", *world.recovery)
    expect("5 of 5" in said, said)
    wrong = []
    for place in (100, len(data) // 2, len(data) - 1):
        altered = bytearray(data)
        altered[place] ^= 1
        wrong.append((f"a bit flipped at {place}", bytes(altered), key, world.passphrase, "keys.backup-wrong does not open"))
    wrong += [("a backup that was cut off", data[:-40], key, world.passphrase, "keys.backup-wrong does not open"),
              ("a recovery key that was cut off", data, key[:len(key) // 2], world.passphrase, "recovery-wrong.key does not open"),
              ("another passphrase", data, key, world.file("wrong", "another passphrase, long enough\n"), "recovery-wrong.key does not open")]
    for name, backup, recovery, passphrase, words in wrong:
        (f / "keys.backup-wrong").write_bytes(backup)
        (f / "recovery-wrong.key").write_bytes(recovery)
        for command in ("drill", "restore"):
            code, said = world.sealed(command, "--env", "prod", "--backup", f / "keys.backup-wrong", "--key", f / "recovery-wrong.key",
                                      "--passphrase-file", passphrase, check=False)
            expect(code == 1 and words in said, f"{command} with {name} was not refused as it should: {said}")
    return f"{count} keys, {len(data)} bytes; {', '.join(name for name, *_ in wrong)}: refused"


def other_keys_are_refused(world):
    """In a cluster whose keys were never those of these secrets: its own backup is no way back."""
    f = world.folder
    world.sealed("backup", "--env", "prod", "--recipient", f / "recovery.pem", "--output", f / "other.backup")
    code, said = world.sealed("restore", "--env", "prod", "--backup", f / "other.backup", *world.recovery, check=False)
    expect(code == 1 and "is not the backup of prod" in said and "nothing was restored" in said, f"it was restored: {said}")
