"""The controller's sealing keys: kept outside the cluster, encrypted, and put back.

Encrypted to a recovery certificate (CMS, AES-256-GCM, RSA-OAEP; openssl alone): whoever makes the backup, a nightly job too, can make
it and cannot read it. The recovery key lies elsewhere, itself encrypted by a passphrase (PKCS#8, scrypt). An altered backup does not open.
"""

import json
import pathlib
import subprocess
import tempfile

from . import documents, templates
from .basics import Environment, Problem, run, tool, write_private

LABEL = "sealedsecrets.bitnami.com/sealed-secrets-key"
ANYWHERE = ("name", "labels", "annotations")  # of a key's metadata, what means something in another cluster
PASSPHRASE_LEAST = 20


def passphrase(path: pathlib.Path) -> pathlib.Path:
    """The file, looked at: openssl reads it itself, so that it is in no argument and no environment."""
    first = path.read_text(encoding="utf-8").split("\n", 1)[0]
    if len(first) < PASSPHRASE_LEAST:
        raise Problem(f"the passphrase in the first line of {path} is shorter than {PASSPHRASE_LEAST} characters")
    return path


def make_recovery_key(folder: pathlib.Path, secret: pathlib.Path, days: int) -> tuple[pathlib.Path, pathlib.Path]:
    key, certificate = folder / "recovery.key", folder / "recovery.pem"
    for path in (key, certificate):
        if path.exists():
            raise Problem(f"{path} is there already; backups that were made for it need it")
    plain = run("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096", what="making a key")
    sealed = run("openssl", "pkcs8", "-topk8", "-scrypt", "-scrypt_N", "16384", "-scrypt_p", "8", "-v2", "aes-256-cbc", "-passout", f"file:{passphrase(secret)}",
                 stdin=plain, what="encrypting the key")
    public = run("openssl", "req", "-x509", "-new", "-key", "/dev/stdin", "-sha256", "-days", days, "-subj", "/CN=sealed-secrets recovery",
                 "-addext", "keyUsage=critical,keyEncipherment,dataEncipherment", stdin=plain, what="making the certificate")
    write_private(key, sealed)
    certificate.write_bytes(public)
    return key, certificate


def keys_in_cluster(environment: Environment) -> list[dict]:
    said = run("kubectl", *environment.context_flags(), "-n", environment.controller_namespace, "get", "secrets", "-l", LABEL, "-o", "json",
               what="reading the sealing keys")
    found = []
    for item in json.loads(said)["items"]:
        metadata = {key: item["metadata"][key] for key in ANYWHERE if key in item["metadata"]}
        metadata.get("annotations", {}).pop("kubectl.kubernetes.io/last-applied-configuration", None)
        found.append({"apiVersion": "v1", "kind": "Secret", "type": item["type"], "metadata": metadata, "data": item["data"]})
    return found


def backup(environment: Environment, recipient: pathlib.Path, output: pathlib.Path) -> int:
    keys = keys_in_cluster(environment)
    if not keys:
        raise Problem(f"there is no sealing key in the namespace {environment.controller_namespace}: is this the right cluster?")
    body = json.dumps({"apiVersion": "v1", "kind": "List", "items": keys}).encode()
    made = run("openssl", "cms", "-encrypt", "-binary", "-aes-256-gcm", "-outform", "DER", "-recip", recipient,
               "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256", stdin=body, what="encrypting the backup")
    write_private(output, made)
    return len(keys)


def open_backup(path: pathlib.Path, key: pathlib.Path, secret: pathlib.Path) -> dict:
    for file in (path, key):
        if not file.is_file():
            raise Problem(f"{file} is not there")
    whole = subprocess.run([tool("openssl"), "pkey", "-in", str(key), "-passin", f"file:{passphrase(secret)}", "-noout"], capture_output=True, timeout=60)
    if whole.returncode != 0:
        raise Problem(f"{key} does not open: it was cut off or altered, or {secret} is not its passphrase")
    opened = subprocess.run([tool("openssl"), "cms", "-decrypt", "-binary", "-inform", "DER", "-in", str(path), "-inkey", str(key),
                             "-passin", f"file:{passphrase(secret)}"], capture_output=True, timeout=120)
    if opened.returncode != 0:
        raise Problem(f"{path} does not open: it was cut off or altered, or was made for another recovery key than {key}")
    try:
        body = json.loads(opened.stdout)
        if body["kind"] == "List" and body["items"]:
            return body
    except (ValueError, KeyError, TypeError):
        pass
    raise Problem(f"{path} opens, but holds no sealing keys")


def restore(environment: Environment, body: dict, restart: bool) -> list[str]:
    """Puts every key back. A key that is there already stays: keys of before and of now are all tried at opening."""
    names = [item["metadata"]["name"] for item in body["items"]]
    namespace = ["-n", environment.controller_namespace]
    run("kubectl", *environment.context_flags(), *namespace, "apply", "--server-side", "--field-manager=sealed", "--force-conflicts", "-f", "-",
        stdin=json.dumps(body).encode(), what="putting the sealing keys back")
    if restart:  # the controller reads its keys at its start
        deployment = f"deployment/{environment.controller}"
        run("kubectl", *environment.context_flags(), *namespace, "rollout", "restart", deployment)
        run("kubectl", *environment.context_flags(), *namespace, "rollout", "status", deployment, "--timeout=100s")
    return names


def opens_nothing(environment: Environment, body: dict) -> str:
    """Why a backup must be another one's: it opens none of the environment's sealed secrets. Nothing, where it opens one or there is none."""
    results = drill(environment, body)
    if any(not fault for _, fault in results) or not results:
        return ""
    return f"it opens none of the {len(results)} sealed secrets of {environment.name}: another cluster's, or older than all of them"


def drill(environment: Environment, body: dict) -> list[tuple[str, str]]:
    """Opens every sealed secret of an environment with the keys of a backup, without a cluster -> (file, fault or nothing)."""
    results = []
    # kubeseal wants the keys as a file: in memory where the machine has such a place, and gone with this block.
    place = "/dev/shm" if pathlib.Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=place, prefix="sealed-") as folder:
        keys = pathlib.Path(folder) / "keys.json"
        write_private(keys, json.dumps(body).encode())
        for document in documents.all_of(environment):
            results.append((str(document.where), opens(environment, document, keys)))
    return results


def opens(environment: Environment, document: documents.Sealed, keys: pathlib.Path) -> str:
    try:
        said = run("kubeseal", "--recovery-unseal", "--recovery-private-key", keys, "--format", "json",
                   stdin=document.where.read_bytes(), what="does not open")
        template = templates.load(document.name, environment.name)
        data = json.loads(said)["data"]
        template.check_names(set(data))
        for key, value in data.items():
            template.check_value(key, documents.base64.b64decode(value))
    except Problem as problem:
        return str(problem)
    return ""
