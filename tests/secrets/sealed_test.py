#!/usr/bin/python3
"""`sealed` without a cluster (needs kubeseal and openssl), and the search for plain secrets."""

import base64
import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import light_cluster
from light_cluster import ROOT

import yaml

HERE = ROOT / "kubernetes" / "sealed-secrets"
sys.path.insert(0, str(HERE))
from sealing import documents, rotation, templates
from sealing.basics import environment, environments

KUBESEAL = light_cluster.find("kubeseal")
BEGIN = "-----" + "BEGIN "  # this file is looked at too


def command(*arguments, stdin=b""):
    done = subprocess.run([str(part) for part in arguments], input=stdin, capture_output=True, timeout=120,
                          env={**os.environ, "DETECTION_KUBESEAL": KUBESEAL or "kubeseal"})
    return done.returncode, (done.stdout + done.stderr).decode()


class PlainSecrets(unittest.TestCase):
    """What must be found, and what must not."""

    FOUND = {
        "data.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {b: Yw==}\n",
        "string.yaml": "kind: Service\napiVersion: v1\n---\nkind: Secret\napiVersion: v1\nstringData:\n  password: hello\n",
        "list.json": json.dumps({"kind": "List", "items": [{"apiVersion": "v1", "kind": "Secret", "data": {"a": "Yg=="}}]}),
        "flow.yaml": '{"apiVersion": "v1", "kind": "Secret", "stringData": {"a": "b"}}',
        "template.yaml": "apiVersion: v1\nkind: Secret # x\n{{- if .Values.a }}\nstringData:\n  a: {{ .Values.password }}\n{{- end }}\n",
        "inline.tpl": "{{ if x }}\nkind: Secret\nstringData: {a: b}\n{{ end }}",
        "key.pem": BEGIN + "PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj\n" * 3,
        "rsa.txt": BEGIN + "RSA PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj\n" * 3,
        "code.py": 'KEY = "' + BEGIN + 'PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj\\n"',
        "config.json": json.dumps({"auths": {"r": {"auth": base64.b64encode(b"robot:token-0123456789").decode()}}}),
        "key.md": "dsk_" + "abcdefgh" + "_" + "A1b2C3d4" * 6,
    }
    NOT = {
        "empty.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: Opaque\n",
        "null.yaml": "apiVersion: v1\nkind: Secret\ndata: {a: '', b: null}\n",
        "sealed.yaml": "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nspec: {encryptedData: {a: AgB}}\n",
        "named.yaml": "apiVersion: v1\nkind: ConfigMap\ndata: {kind: Secret}\n",
        "reference.yaml": "subjects: [{kind: Secret, name: a}]\n",
        "template.yaml": "{{ if x }}\nkind: Secret\nmetadata: {name: a}\n{{ end }}\n---\nkind: ConfigMap\ndata: {a: b}\n",
        "public.pem": BEGIN + "PUBLIC KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj\n" * 3,
    }

    def test_each(self):
        with tempfile.TemporaryDirectory() as folder:
            for wanted, files in ((1, self.FOUND), (0, self.NOT)):
                for name, text in files.items():
                    path = pathlib.Path(folder) / name
                    path.write_text(text, encoding="utf-8")
                    code, said = command(HERE / "plain_secrets", path)
                    self.assertEqual(code, wanted, f"{name}: {said}")

    def test_this_repository(self):
        code, said = command(HERE / "plain_secrets")
        self.assertEqual(code, 0, said)


class Tables(unittest.TestCase):
    def test_environments_are_those_of_the_manifests(self):
        there = {path.parent.name for path in (ROOT / "kubernetes/environments").glob("*/slots.yaml")}
        self.assertEqual(set(environments()), there)

    def test_templates_have_the_keys_that_the_chart_documents(self):
        text = (ROOT / "kubernetes/chart/values.yaml").read_text(encoding="utf-8")
        block = text[text.index("\nsecrets:"):text.index("\nslots:")]
        for line in ("tak", "jwt", "database", "registry"):
            said, name = re.search(rf"# -- (.*)\n  {line}: (\S+)", block).groups()
            body = templates.load(name, "prod")
            for key in re.findall(r"`([a-z_.]+)`", said.split(";")[0]):
                if "." not in key or key in ("tls.crt", "tls.key", "ca.crt", ".dockerconfigjson"):
                    body.rule(key)

    def test_the_grown_database_secret_of_the_air_gap(self):
        air = templates.load("database-credentials", "airgap")
        self.assertEqual(air.type, "kubernetes.io/basic-auth")
        self.assertNotIn("ca.crt", air.keys)

    def test_the_longest_token_life_is_the_service_s(self):
        for name in environments():
            self.assertLessEqual(environment(name).token_life_h, 24)

    def test_the_controller_sees_every_namespace_that_has_secrets(self):
        objects = list(yaml.safe_load_all((HERE / "controller/controller.yaml").read_text(encoding="utf-8")))
        pod = next(o for o in objects if o["kind"] == "Deployment")["spec"]["template"]["spec"]
        flag = next(a for a in pod["containers"][0]["args"] if a.startswith("--additional-namespaces="))
        wanted = {documents.namespace_of(environment("prod"), templates.load(name, "prod")) for name in templates.names()}
        self.assertEqual(set(flag.split("=")[1].split(",")), wanted)
        rights = list(yaml.safe_load_all((HERE / "controller/rbac.yaml").read_text(encoding="utf-8")))
        bound = {o["metadata"]["namespace"] for o in rights if o["kind"] == "RoleBinding"}
        self.assertEqual(bound, wanted | {"sealed-secrets"})


class Values(unittest.TestCase):
    def test_refused(self):
        for name, key, value in (("jwt-signing-key", "secret_key", b"short"), ("jwt-signing-key", "secret_key", b"ab" * 32),
                                 ("tak-server-credentials", "endpoint", b"tak.example.org"), ("tak-server-credentials", "username", b"  "),
                                 ("tak-server-credentials", "password", b"x\n"), ("tak-server-credentials", "tls.crt", b"no"),
                                 ("tak-server-credentials", "tls.key", b"no"), ("database-credentials", "password", b"short"),
                                 ("registry-credentials", ".dockerconfigjson", b"{}"), ("registry-credentials", ".dockerconfigjson", b'{"auths": {}}')):
            with self.assertRaises(documents.Problem, msg=f"{name} {key} {value!r}"):
                templates.load(name, "prod").check_value(key, value)

    def test_keys(self):
        jwt, tak = templates.load("jwt-signing-key", "prod"), templates.load("tak-server-credentials", "prod")
        jwt.check_names({"secret_key", "key-20261126T000000Z"})
        tak.check_names({"endpoint", "tls.crt", "tls.key"})
        for template, keys in ((jwt, set()), (jwt, {"secret_key", "other"}), (tak, set()), (tak, {"tls.crt"})):
            with self.assertRaises(documents.Problem):
                template.check_names(keys)

    def test_made_keys_are_good_and_different(self):
        one, two = templates.new_value(), templates.new_value()
        self.assertNotEqual(one, two)
        self.assertEqual(templates.signing_key(one), "")


def untrue(text):
    """Of a document: files that are not there, and names that are not in the file that is named before them in the same cell."""
    found = []
    for cell in (cell for line in text.splitlines() if line.startswith("| ") for cell in line.split("|")):
        path = None
        for word in re.findall(r"`([^`]+)`", cell):
            if re.fullmatch(r"[.\w-]+(/[\w.-]+)+", word):
                path = ROOT / word
                if not path.exists():
                    found.append(f"{word} is not there")
            elif path and path.is_file() and word not in path.read_text(encoding="utf-8"):
                found.append(f"{path.relative_to(ROOT)} has no '{word}'")
    return found


class SecurityDocument(unittest.TestCase):
    TEXT = (ROOT / "docs/architecture/phase05-security.md").read_text(encoding="utf-8")

    def test_every_claim_names_what_is_there(self):
        self.assertEqual(untrue(self.TEXT), [])
        self.assertGreater(len(re.findall(r"`[\w.-]+(?:/[\w.-]+)+`", self.TEXT)), 80)

    def test_it_would_be_found(self):
        for old, new in (("src/security/jose.cpp", "src/security/josey.cpp"), ("`HostileTokensAreRefused`", "`HostileTokensAreTaken`")):
            self.assertEqual(len(untrue(self.TEXT.replace(old, new))), 1)

    def test_every_row_says_by_what_it_is_shown(self):
        for section in re.split(r"(?m)^## ", self.TEXT):
            if not re.match(r"[1-7]\. ", section):
                continue
            rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| ")][1:]
            self.assertGreater(len(rows), 2, section[:30])
            for row in rows:
                self.assertTrue(len(row) == 3 and "`" in row[1] and ("`" in row[2] or row[2].startswith("read there")), row)


@unittest.skipUnless(KUBESEAL, "kubeseal is not here (tests/e2e/cluster/cluster install)")
class Offline(unittest.TestCase):
    """Against a sealing key of our own: what kubeseal seals with its certificate, the backup of that key opens."""

    @classmethod
    def setUpClass(cls):
        cls.keys = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", cls.keys / "tls.key", "-out",
                        cls.keys / "prod.pem", "-days", "2", "-subj", "/CN=x"], check=True, capture_output=True)

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        shutil.copy(HERE / "environments.yaml", self.folder)
        (self.folder / "certs").mkdir()
        shutil.copy(self.keys / "prod.pem", self.folder / "certs")

    def sealed(self, *arguments, code=0, stdin=b""):
        got, said = command(HERE / "sealed", "--home", self.folder, *arguments, stdin=stdin)
        self.assertEqual(got, code, said)
        return said

    def document(self, name="jwt-signing-key"):
        return yaml.safe_load((self.folder / "prod" / f"{name}.yaml").read_text(encoding="utf-8"))

    def change(self, function, name="jwt-signing-key"):
        body = self.document(name)
        function(body)
        (self.folder / "prod" / f"{name}.yaml").write_text(yaml.safe_dump(body), encoding="utf-8")

    def open(self, name="jwt-signing-key"):
        said = subprocess.run([KUBESEAL, "--recovery-unseal", "--recovery-private-key", self.keys / "tls.key"], check=True,
                              input=(self.folder / "prod" / f"{name}.yaml").read_bytes(), capture_output=True).stdout
        return {key: base64.b64decode(value) for key, value in json.loads(said)["data"].items()}

    def test_seal_from_standard_input(self):
        self.sealed("seal", "tak-server-credentials", "--env", "prod", "--from-file", "password=-", stdin=b"Pass-word")
        self.assertEqual(self.open("tak-server-credentials"), {"password": b"Pass-word"})
        self.assertIn("is there", self.sealed("seal", "tak-server-credentials", "--env", "prod", "--from-file", "password=-", code=1, stdin=b"x"))

    def test_wrong_calls_leave_nothing(self):
        for arguments in (("seal", "nothing", "--env", "prod"), ("seal", "jwt-signing-key", "--env", "nowhere"),
                          ("seal", "jwt-signing-key", "--env", "prod"), ("seal", "jwt-signing-key", "--env", "staging", "--generate", "secret_key"),
                          ("seal", "tak-server-credentials", "--env", "prod", "--generate", "password"),
                          ("seal", "registry-credentials", "--env", "edge", "--from-file", ".dockerconfigjson=-"),
                          ("rotate", "jwt-signing-key", "--env", "prod"), ("rotate", "tak-server-credentials", "--env", "prod")):
            self.sealed(*arguments, code=1)
        self.assertEqual(list(self.folder.glob("*/*.yaml")), [])
        self.assertEqual(command(HERE / "sealed", "seal")[0], 2)

    def test_rotation_never_opens_and_keeps_its_order(self):
        self.sealed("seal", "jwt-signing-key", "--env", "prod", "--generate", "secret_key")
        first = self.open()["secret_key"]
        self.assertIn("still signs", self.sealed("rotate", "jwt-signing-key", "--env", "prod"))
        self.assertEqual(self.open()["secret_key"], first)
        self.assertIn("too early", self.sealed("rotate", "jwt-signing-key", "--env", "prod", code=1))
        # Ten minutes later it is not.
        self.change(lambda body: body["metadata"]["annotations"].update(
            {rotation.SINCE: documents.stamp(documents.now() - rotation.SPREADS - datetime.timedelta(seconds=1))}))
        self.sealed("rotate", "jwt-signing-key", "--env", "prod")
        self.assertNotEqual(self.open()["secret_key"], first)
        self.assertIn(first, self.open().values())
        self.assertIn("too early by 24 h", self.sealed("rotate", "jwt-signing-key", "--env", "prod", code=1))
        self.sealed("rotate", "jwt-signing-key", "--env", "prod", "--after", "0s")
        self.assertNotIn(first, self.open().values())
        self.assertNotIn(rotation.PHASE, self.document()["metadata"]["annotations"])
        # The next one begins with the name that the key already has.
        names = set(self.document()["spec"]["encryptedData"])
        self.sealed("rotate", "jwt-signing-key", "--env", "prod")
        self.assertEqual(len(set(self.document()["spec"]["encryptedData"]) - names), 1)
        self.sealed("validate", "--env", "prod")

    def test_compromised_is_one_step(self):
        self.sealed("seal", "jwt-signing-key", "--env", "prod", "--generate", "secret_key")
        first = self.open()["secret_key"]
        self.sealed("rotate", "jwt-signing-key", "--env", "prod")
        self.sealed("rotate", "jwt-signing-key", "--env", "prod", "--compromised")
        self.assertNotIn(first, self.open().values())
        self.assertEqual(len(set(self.open().values())), 1)

    def test_faults_are_found(self):
        def wide(body): body["metadata"]["annotations"]["sealedsecrets.bitnami.com/cluster-wide"] = "true"
        def plain(body): body["spec"]["encryptedData"]["secret_key"] = base64.b64encode(b"plain").decode()
        def template(body): body["spec"]["template"]["data"] = {"a": "plain"}
        def space(body): body["metadata"]["namespace"] = "default"
        def kind(body): body["spec"]["template"]["type"] = "kubernetes.io/tls"
        def key(body): body["spec"]["encryptedData"]["more"] = body["spec"]["encryptedData"]["secret_key"]
        def none(body): del body["spec"]["encryptedData"]["secret_key"]
        def length(body): body["spec"]["encryptedData"]["secret_key"] = base64.b64encode(b"\x02\x00" + bytes(600)).decode()
        def other(body): body["kind"] = "Secret"
        def pruned(body): del body["metadata"]["annotations"][documents.SYNC]
        for fault in (wide, plain, template, space, kind, key, none, length, other, pruned):
            self.sealed("seal", "jwt-signing-key", "--env", "prod", "--generate", "secret_key", "--replace")
            self.sealed("validate", "--env", "prod")
            self.change(fault)
            self.assertIn("1 with faults", self.sealed("validate", "--env", "prod", code=1), fault.__name__)

    def test_one_that_vanished_is_found(self):
        for name in ("jwt-signing-key", "grafana-admin"):
            key = "secret_key" if name.startswith("jwt") else "admin-password"
            self.sealed("seal", name, "--env", "prod", "--generate", key)
        self.sealed("validate", "--env", "prod")
        said = self.sealed("validate", "--complete", code=1)  # the other environments have no certificate: no cluster, nothing is missing
        self.assertEqual(sorted(re.findall(r"([\w-]+)\.yaml: is not there, and (\w+) needs it", said)),
                         [("database-credentials", "prod"), ("registry-credentials", "prod"), ("tak-server-credentials", "prod")])
        self.assertIn("2 sealed secrets, 0 with faults, 3 missing", said)

    def test_status_says_what_is_due(self):
        self.sealed("seal", "jwt-signing-key", "--env", "prod", "--generate", "secret_key")
        rows = {row["secret"]: row for row in json.loads(self.sealed("status", "--env", "prod", "--json"))}
        self.assertEqual((rows["jwt-signing-key"]["state"], rows["registry-credentials"]["state"]), ("good", "missing"))
        for days, code, state in ((89, 0, "good"), (91, 1, "overdue")):
            time = documents.stamp(documents.now() - datetime.timedelta(days=days))
            self.change(lambda body, time=time: body["metadata"]["annotations"].update({documents.ROTATED: time}))
            self.assertIn(state, self.sealed("status", "--env", "prod", code=code))


if __name__ == "__main__":
    unittest.main()
