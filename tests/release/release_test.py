#!/usr/bin/python3
"""scripts/release: signatures, scan, promotion, roll-out. Small images of our own; other programs where they are."""

import base64
import contextlib
import datetime
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts/release"
sys.path[:0] = [str(SCRIPTS), str(ROOT / "image")]
# pylint: disable=wrong-import-position
import debian_security
import oci
from release import Problem

NAME = "registry.test/detection/detection-api"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
REGISTRY = ROOT / ".cache/tools/bin/registry"
SKOPEO = shutil.which("skopeo")
COSIGN = shutil.which("cosign") or (str(ROOT / ".cache/tools/bin/cosign") if (ROOT / ".cache/tools/bin/cosign").exists() else "")


def command(*words, **environment):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=180, check=False,
                          env={**os.environ, "GITHUB_OUTPUT": "", "GITHUB_STEP_SUMMARY": "", **{k: str(v) for k, v in environment.items()}})
    return done.returncode, done.stdout + done.stderr


def small_image(folder, content, packages=()):
    """As image/build leaves one."""
    root = folder / "rootfs"
    root.mkdir(parents=True)
    (root / "detection-api").write_bytes(content)
    digest, _ = oci.write(root, folder / "oci", folder / "image.tar", oci.Settings(
        name=f"{NAME}:{COMMIT}", architecture="amd64", epoch=1_790_000_000, config={"Labels": {}}))
    (folder / "digest").write_text(digest + "\n", encoding="ascii")
    bill = {"packages": [{"name": name, "versionInfo": version, "sourceInfo": f"Debian source package {name} {version}"} for name, version in packages]}
    (folder / "sbom.spdx.json").write_text(json.dumps(bill), encoding="utf-8")
    return digest


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def run_script(self, name, *words, code=0, **environment):
        got, said = command(SCRIPTS / name, *words, **environment)
        self.assertEqual(got, code, f"{name} {words}: {said}")
        return said

    def program(self, name, text):
        """A program in a folder that goes before PATH."""
        place = self.folder / "bin"
        place.mkdir(exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
        (place / name).chmod(0o755)
        return f"{place}:{os.environ['PATH']}"


class Signed(Case):
    @classmethod
    def setUpClass(cls):
        cls.keys = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        (cls.keys / "passphrase").write_text("a passphrase of the tests\n", encoding="ascii")
        for name in ("ours", "theirs"):
            code, said = command(SCRIPTS / "signing-key", cls.keys / name, cls.keys / "passphrase")
            assert code == 0, said

    def setUp(self):
        super().setUp()
        self.image = self.folder / "image"
        self.digest = small_image(self.image, b"program")
        self.public = self.keys / "ours/release.pub"

    def sign(self, key="ours", name=NAME):
        self.run_script("sign", "--image", self.image, "--repository", name, "--key", self.keys / key / "release.key", "--passphrase-file", self.keys / "passphrase")

    def verify(self, code=0, name=NAME):
        return self.run_script("verify", "--image", self.image, "--repository", name, "--key", self.public, code=code)


class Signatures(Signed):
    def test_key_is_encrypted_and_never_overwritten(self):
        key = self.keys / "ours/release.key"
        self.assertIn("ENCRYPTED PRIVATE KEY", key.read_text(encoding="ascii"))
        self.assertEqual(key.stat().st_mode & 0o777, 0o600)
        self.assertIn("there already", self.run_script("signing-key", self.keys / "ours", self.keys / "passphrase", code=1))

    def test_wrong_passphrase(self):
        self.run_script("sign", "--image", self.image, "--repository", NAME, "--key", self.keys / "ours/release.key", code=1, RELEASE_SIGNING_PASSPHRASE="wrong")
        self.run_script("sign", "--image", self.image, "--repository", NAME, "--key", self.keys / "ours/release.key",
                        RELEASE_SIGNING_PASSPHRASE="a passphrase of the tests")
        self.verify()

    def test_only_a_key_of_the_right_kind(self):
        subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-out", self.folder / "rsa.key"], check=True, capture_output=True)
        self.assertIn("not an ECDSA key", self.run_script("sign", "--image", self.image, "--repository", NAME, "--key", self.folder / "rsa.key", code=1))

    def test_good(self):
        self.assertIn("is not signed", self.verify(code=1))
        self.sign()
        self.assertIn(self.digest, self.verify())
        self.run_script("verify", "--repository", NAME, code=2)

    def test_each_alteration_is_found(self):
        def bill(): (self.image / "sbom.spdx.json").write_text("{}", encoding="utf-8")
        def payload(): self.swap("payload.json", "detection-api", "another-api")
        def manifest(): next(p for p in (self.image / "oci/blobs/sha256").iterdir() if p.name == self.digest[7:]).write_bytes(b"{}")
        def digest(): (self.image / "digest").write_text("sha256:" + "0" * 64, encoding="ascii")
        def signature(): (self.image / "signature/payload.sig").write_text(base64.b64encode(b"x" * 70).decode(), encoding="ascii")
        def rubbish(): (self.image / "signature/payload.sig").write_text("!", encoding="ascii")
        def by_another(): self.sign("theirs")
        def for_another(): self.sign(name="registry.test/another")
        for alter in (bill, payload, manifest, digest, signature, rubbish, by_another, for_another):
            with self.subTest(alter.__name__):
                shutil.rmtree(self.image)
                small_image(self.image, b"program")
                self.sign()
                self.verify()
                alter()
                self.verify(code=1)

    def swap(self, name, old, new):
        path = self.image / "signature" / name
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

    def test_of_another_image(self):
        self.sign()
        kept = self.folder / "signature"
        shutil.copytree(self.image / "signature", kept)
        shutil.rmtree(self.image)
        small_image(self.image, b"another program")
        shutil.copytree(kept, self.image / "signature")
        self.assertIn("of another image", self.verify(code=1))


@unittest.skipUnless(SKOPEO and REGISTRY.exists(), "skopeo or a registry (scripts/chart_tools.sh registry) is not here")
class Published(Signed):
    """A real registry on this machine."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.place = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        (cls.place / "config.yml").write_text(f"version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {cls.place}/data}}}}\n"
                                              "http: {addr: '127.0.0.1:0'}\n", encoding="utf-8")
        with (cls.place / "log").open("wb") as log:
            process = subprocess.Popen([REGISTRY, "serve", cls.place / "config.yml"], stdout=log, stderr=subprocess.STDOUT)
        cls.addClassCleanup(lambda: (process.terminate(), process.wait(timeout=30)))
        ends = time.monotonic() + 30
        while not (found := re.search(r"listening on (127\.0\.0\.1:[1-9][0-9]*)", (cls.place / "log").read_text(encoding="utf-8", errors="replace"))):
            assert process.poll() is None and time.monotonic() < ends, (cls.place / "log").read_text(encoding="utf-8", errors="replace")
            time.sleep(0.05)
        cls.address = found[1]

    def setUp(self):
        super().setUp()
        self.name = f"{self.address}/detection/{self.id().rpartition('.')[2].replace('_', '-').lower()}"

    def publish(self, code=0, tag=COMMIT):
        return self.run_script("publish", "--image", self.image, "--repository", self.name, "--tag", tag, "--key", self.public, "--insecure", code=code)

    def verify_there(self, code=0, key="ours", digest="", name=""):
        return self.run_script("verify", "--digest", digest or self.digest, "--repository", name or self.name, "--key", self.keys / key / "release.pub",
                               "--insecure", code=code)

    def test_published_and_verified(self):
        self.sign(name=self.name)
        self.assertIn(f"{self.name}:{COMMIT}@{self.digest}", self.publish())
        self.publish()  # again is harmless
        self.verify_there()
        self.assertIn("not by", self.verify_there(code=1, key="theirs"))
        with urllib.request.urlopen(f"http://{self.address}/v2/{self.name.partition('/')[2]}/tags/list", timeout=20) as answer:
            self.assertEqual(set(json.load(answer)["tags"]), {COMMIT, self.digest.replace(":", "-") + ".sig"})

    def test_what_is_not_signed_is_not_published(self):
        self.assertIn("not signed", self.publish(code=1))
        self.sign("theirs", name=self.name)
        self.publish(code=1)
        self.sign(name="registry.test/another")
        self.publish(code=1)
        self.publish(code=2, tag="latest")

    def test_a_tag_never_moves(self):
        self.sign(name=self.name)
        self.publish()
        shutil.rmtree(self.image)
        small_image(self.image, b"another program")
        self.sign(name=self.name)
        self.assertIn("a tag never moves", self.publish(code=1))

    def test_pushed_past_us_is_not_rolled_out(self):
        code, said = command("skopeo", "copy", "--insecure-policy", "--preserve-digests", "--dest-tls-verify=false", f"oci:{self.image}/oci", f"docker://{self.name}:{COMMIT}")
        self.assertEqual(code, 0, said)
        self.assertIn("is not signed", self.verify_there(code=1))

    @unittest.skipUnless(COSIGN, "cosign is not here: whether it takes our signatures")
    def test_cosign_takes_it(self):
        """The program that the format is of: with the key alone, no transparency log, no network but the registry."""
        self.sign(name=self.name)
        self.publish()
        for key, code in (("ours", 0), ("theirs", 1)):
            got, said = command(COSIGN, "verify", "--key", self.keys / key / "release.pub", "--insecure-ignore-tlog", "--allow-http-registry",
                                "--new-bundle-format=false", f"{self.name}@{self.digest}", HOME=self.folder)
            self.assertEqual(bool(got), bool(code), said)
        self.assertIn("ignature", said)


class Scanned(Case):
    def setUp(self):
        super().setUp()
        self.image = self.folder / "image"
        small_image(self.image, b"program", [("libpq5", "15.1-1"), ("libssl3", "3.0.1-1")])
        self.exceptions = self.folder / "exceptions.yaml"
        self.exceptions.write_text("[]\n", encoding="utf-8")

    def trivy(self, *findings, code=0, family="debian"):
        answer = json.dumps({"Metadata": {"OS": {"Family": family}}, "Results": [{"Target": "x", "Packages": [{"Name": "libpq5"}], "Vulnerabilities": [
            {"VulnerabilityID": name, "PkgName": package, "InstalledVersion": "1", "FixedVersion": "2", "Severity": severity} for name, package, severity in findings]}]})
        return self.program("trivy", f"#!/bin/sh\ncat <<'T'\n{answer}\nT\n[ {code} = 0 ] || echo 'FATAL failed to download vulnerability DB' >&2\nexit {code}\n")

    def scan(self, path, code=0):
        report = self.folder / "report.json"
        said = self.run_script("scan", "--image", self.image, "--exceptions", self.exceptions, "--report", report, code=code, PATH=path)
        return said, json.loads(report.read_text(encoding="utf-8"))

    def test_critical_blocks_high_is_reported(self):
        said, report = self.scan(self.trivy(("CVE-1", "libpq5", "HIGH"), ("CVE-2", "libssl3", "LOW")))
        self.assertIn("reported HIGH     CVE-1", said)
        self.assertEqual((report["by"], report["counts"]), ("trivy, database of an unknown date", {"blocks": 0, "reported": 1, "allowed": 0, "low": 1}))
        said, _ = self.scan(self.trivy(("CVE-3", "libpq5", "CRITICAL")), code=1)
        self.assertIn("blocks   CRITICAL CVE-3", said)

    def test_exceptions_end(self):
        path, today = self.trivy(("CVE-3", "libpq5", "CRITICAL")), datetime.date.today()
        for package, days, code in (("libpq5", 1, 0), ("libssl3", 1, 1), ("libpq5", -1, 1)):
            until = today + datetime.timedelta(days=days)
            self.exceptions.write_text(f"[{{id: CVE-3, package: {package}, reason: not reached, until: {until}}}]\n", encoding="utf-8")
            self.scan(path, code=code)
        self.exceptions.write_text("[{id: CVE-3, package: libpq5}]\n", encoding="utf-8")
        self.run_script("scan", "--image", self.image, "--exceptions", self.exceptions, code=1, PATH=path)

    def test_nothing_looked_at_is_no_pass(self):
        (self.image / "sbom.spdx.json").write_text('{"packages": []}', encoding="utf-8")
        said = self.run_script("scan", "--image", self.image, "--exceptions", self.exceptions, "--cache", self.folder / "apt", code=1,
                               PATH=self.trivy(code=1))
        self.assertIn("failed to download vulnerability DB", said)
        self.assertIn("not released", said)

    def test_the_database_is_fetched_only_where_that_is_asked_for_and_its_date_is_said(self):
        calls = self.folder / "calls"
        body = f"""#!/bin/sh
echo "$TRIVY_DISABLE_TELEMETRY $TRIVY_SKIP_VERSION_CHECK $*" >>{calls}
case "$*" in
  *--download-db-only*) echo 'FATAL no route' >&2; exit 1 ;;
  version*) echo '{{"VulnerabilityDB": {{"UpdatedAt": "2026-11-20T06:00:00Z"}}}}' ;;
  *) echo '{{"Metadata": {{"OS": {{"Family": "debian"}}}}, "Results": [{{"Target": "x", "Packages": [{{"Name": "libpq5"}}]}}]}}' ;;
esac
"""
        path = self.program("trivy", body)
        _, report = self.scan(path)
        self.assertEqual(report["by"], "trivy, database of 2026-11-20")
        said = calls.read_text(encoding="utf-8").splitlines()
        self.assertTrue(all(line.startswith("true true ") for line in said), said)
        self.assertTrue("--skip-db-update" in said[0] and "--offline-scan" in said[0], said)
        self.assertNotIn("--download-db-only", " ".join(said))
        said = self.run_script("scan", "--image", self.image, "--exceptions", self.exceptions, "--fetch-database", PATH=path)
        self.assertIn("cannot be fetched: FATAL no route", said)

    @unittest.skipUnless((ROOT / ".cache/tools/bin/trivy").exists(), "trivy was not built (scripts/chart_tools.sh trivy)")
    def test_the_real_one_without_its_database_does_not_pass_silently(self):
        """In a network namespace of its own: it reaches nobody."""
        done = subprocess.run(["unshare", "--net", SCRIPTS / "scan", "--image", self.image, "--exceptions", self.exceptions, "--cache", self.folder / "apt"], capture_output=True,
                              text=True, timeout=300, check=False, env={**os.environ, "TRIVY_CACHE_DIR": str(self.folder / "trivy")})
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, 1, said)  # apt reaches nobody either: nothing was looked at
        self.assertIn("NOT LOOKED AT BY TRIVY: trivy cannot look", said)
        self.assertIn("not released", said)

    def test_an_empty_answer_of_trivy_is_no_pass(self):
        (self.image / "sbom.spdx.json").write_text('{"packages": []}', encoding="utf-8")
        for put, words in ((lambda: self.program("trivy", "#!/bin/sh\necho '{}'\n"), "found no packages"), (lambda: self.trivy(family="none"), "takes the image for one of 'none'")):
            said = self.run_script("scan", "--image", self.image, "--exceptions", self.exceptions, "--cache", self.folder / "apt", code=1, PATH=put())
            self.assertIn(words, said)
            self.assertIn("cannot have looked", said)


class DebianSuite(unittest.TestCase):
    def test_what_is_older_than_the_suite_is_found(self):
        known = {"libpq5": ("15.20-0+deb12u1", "postgresql-15"), "libssl3": ("3.0.22-1~deb12u2", "openssl"), "other": ("9", "other")}
        original, debian_security.newest = debian_security.newest, lambda cache: known
        self.addCleanup(setattr, debian_security, "newest", original)
        have = {"libpq5": "15.18-0+deb12u1", "libssl3": "3.0.22-1~deb12u2", "libc6": "2.36"}
        found = debian_security.compare(have, pathlib.Path())
        self.assertEqual([(f["package"], f["fixed"], f["severity"]) for f in found], [("libpq5", "15.20-0+deb12u1", "UNKNOWN")])
        self.assertEqual(debian_security.compare({**have, "libpq5": "15.20-0+deb12u1"}, pathlib.Path()), [])

    def test_every_package_of_a_real_bill_counts(self):
        bill = {"packages": [{"name": "libpq5", "versionInfo": "1", "sourceInfo": "Debian source package postgresql-15 1"}, {"name": "detection-api", "versionInfo": "2"}]}
        self.assertEqual(debian_security.packages_of(bill), {"libpq5": "1"})
        with self.assertRaises(Problem):
            debian_security.packages_of({"packages": []})


class Promoted(unittest.TestCase):
    def live(self, common, blue, green, active="blue"):
        loader = importlib.machinery.SourceFileLoader("live", str(SCRIPTS / "live"))  # the script has no ending
        module = importlib.util.module_from_spec(importlib.util.spec_from_loader("live", loader))
        loader.exec_module(module)
        with tempfile.TemporaryDirectory() as folder:
            home = pathlib.Path(folder)
            (home / "chart").mkdir()
            (home / "environments/dev").mkdir(parents=True)
            (home / "chart/values.yaml").write_text(json.dumps({"image": {"repository": "r/n", "tag": "", "digest": "", **common}}), encoding="utf-8")
            (home / "environments/dev/slots.yaml").write_text(json.dumps({"slots": {"active": active, "blue": {"image": blue}, "green": {"image": green}}}), encoding="utf-8")
            return module.live("dev", home)

    def test_the_active_slot_s_own_image(self):
        one, two = "sha256:" + "1" * 64, "sha256:" + "2" * 64
        self.assertEqual(self.live({}, {"tag": "a", "digest": one}, {"tag": "b", "digest": two}), ("r/n", "a", one))
        self.assertEqual(self.live({}, {"tag": "a", "digest": one}, {"repository": "r/m", "tag": "b", "digest": two}, "green"), ("r/m", "b", two))
        self.assertEqual(self.live({"tag": "c", "digest": one}, {"tag": "", "digest": ""}, {}), ("r/n", "c", one))

    def test_without_a_digest_nothing_is_promoted(self):
        for common, blue in (({}, {"tag": "a", "digest": ""}), ({"tag": "c", "digest": "sha256:" + "1" * 64}, {"tag": "a"}), ({}, {"tag": "a", "digest": "latest"})):
            with self.assertRaises(Problem):
                self.live(common, blue, {})


class RolledOut(Case):
    """With a slotctl that does nothing but note what it was asked, and fail where it is told to."""

    def rollout(self, *stages, fail="", phase="watching", code=0):
        calls = self.folder / "calls"
        calls.write_text("", encoding="utf-8")
        path = self.program("slotctl", f"""#!/bin/sh
echo "$@" >>{calls}
[ "$1" = status ] && {{ [ "{phase}" = none ] && exit 1; echo '{{"phase": "{phase}"}}'; exit 0; }}
case " {fail} " in *" $1 "*) echo "$1 refused" >&2; exit 1 ;; esac
""")
        said = self.run_script("rollout", "--env", "dev", "--tag", COMMIT, "--digest", "sha256:" + "1" * 64, *stages, code=code, PATH=path)
        return [line.split()[0] for line in calls.read_text(encoding="utf-8").splitlines()], said, calls.read_text(encoding="utf-8")

    def test_whole(self):
        calls, said, text = self.rollout()
        self.assertEqual(calls, ["deploy", "smoke", "switch", "watch", "finalize", "verify"])
        self.assertIn(f"deploy --env dev --tag {COMMIT} --digest sha256:{'1' * 64}", text)
        self.assertEqual(len(re.findall(r"(?m)^\w+ +[\d.]+ s  passed$", said)), 5)

    def test_each_gate_stops_and_goes_back(self):
        for stage, phase, expected in (("deploy", "warming", ["deploy"]), ("smoke", "warming", ["deploy", "smoke"]),
                                       ("switch", "warming", ["deploy", "smoke", "switch"]), ("watch", "watching", ["deploy", "smoke", "switch", "watch"])):
            calls, said, _ = self.rollout(fail=stage, phase=phase, code=1)
            self.assertEqual(calls, [*expected, "status", "rollback"])
            self.assertIn(f"{stage} did not pass", said)

    def test_what_the_watch_took_back_is_not_taken_back_again(self):
        for phase in ("rolled back", "at rest"):
            calls, _, _ = self.rollout(fail="watch", phase=phase, code=1)
            self.assertEqual(calls[-1], "status")

    def test_a_refused_finalize_takes_nothing_back(self):
        for refused in ("finalize", "verify"):
            calls, _, _ = self.rollout(fail=refused, code=1)
            self.assertNotIn("rollback", calls)

    def test_a_way_back_that_fails_is_said(self):
        _, said, _ = self.rollout(fail="watch rollback", code=1)
        self.assertIn("watch, and back did not pass", said)
        calls, said, _ = self.rollout(fail="watch", phase="none", code=1)
        self.assertEqual(calls[-1], "status")
        self.assertIn("look yourself", said)

    def test_one_stage(self):
        self.assertEqual(self.rollout("smoke")[0], ["smoke"])
        self.assertEqual(self.rollout("back", phase="warming")[0], ["status", "rollback"])
        self.assertEqual(self.rollout("watch", fail="watch", code=1)[0], ["watch"])

    def test_wrong_usage(self):
        for words in ((), ("--env", "dev"), ("--env", "dev", "--tag", "latest", "--digest", "sha256:" + "1" * 64),
                      ("--env", "dev", "--tag", COMMIT, "--digest", "x"), ("--env",), ("--what",)):
            self.run_script("rollout", *words, code=2)


class Others(unittest.TestCase):
    def test_every_script_helps_and_refuses_what_it_does_not_know(self):
        scripts = [path for path in SCRIPTS.iterdir() if path.is_file() and os.access(path, os.X_OK)]
        self.assertGreaterEqual(len(scripts), 9)
        for path in scripts:
            code, said = command(path, "--help")
            self.assertTrue(code == 0 and "usage:" in said and "xit 0" in said, f"{path.name}: {said}")
            self.assertEqual(command(path, "--no-such-option")[0], 2, path.name)

    def test_an_image_is_of_a_commit(self):
        with tempfile.NamedTemporaryFile(dir=ROOT, prefix="changed-", suffix=".txt"):
            code, said = command(SCRIPTS / "image", "--repository", NAME, "--key", "none")
        self.assertTrue(code == 1 and "tree has changes" in said, said)

    def test_a_binary_of_another_commit_is_not_taken_for_this_one(self):
        for said in ("0.1.0 (0123456789ab)", "0.1.0 (unknown)", ""):
            with tempfile.NamedTemporaryFile("w", suffix=".sh", delete=False) as file:
                file.write(f"#!/bin/sh\necho '{said}'\n")
            os.chmod(file.name, 0o755)
            self.addCleanup(os.unlink, file.name)
            code, words = command(SCRIPTS / "image", "--repository", NAME, "--key", "none", "--binary", file.name)
            self.assertTrue(code == 1 and "not of the commit that is checked out" in words, words)

    def test_the_secrets_part_of_the_check(self):
        code, said = command(SCRIPTS / "check", "secrets")
        self.assertTrue(code == 0 and "sealed secrets" in said, said)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        unittest.main(verbosity=2)
