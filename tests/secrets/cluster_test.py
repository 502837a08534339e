#!/usr/bin/python3
"""Sealed secrets against the real controller: etcd, kube-apiserver and the controller as processes, no nodes (about 40 s).

Says "ok ...", "FAILED ..." or "SKIPPED ..." of each check. Takes the binaries of tests/e2e/cluster; with DETECTION_API (default: the dev
or release build) also rotates the signing key under two serving replicas.
"""

import concurrent.futures
import os
import re
import sys
import tempfile

sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import light_cluster
import replicas
from light_cluster import LightCluster, until
from sealed_world import TAK, World, expect, keeps_the_sealing_keys, opened_by_the_controller, other_keys_are_refused

import yaml


def rights_of_the_controller(world):
    can = world.cluster.can
    expect(can("list", "secrets", "detection-system") and can("create", "secrets", "monitoring"), "it may not do its work")
    expect(not can("get", "secrets", "kube-system") and not can("list", "secrets", "default"), "it may read Secrets of other namespaces")
    expect(not can("create", "pods", "detection-system"), "it may make pods")
    return "Secrets of its namespaces, nothing else"


def drift_of_the_controller_shows(world):
    """By the commands of the README: no Application heals it."""
    def differs():
        crd = world.cluster.kubectl("diff", "--server-side", "-f", light_cluster.PARTS / "crd.yaml", check=False)
        return crd + world.cluster.kubectl("diff", "-f", light_cluster.PARTS / "controller.yaml", "-f", light_cluster.PARTS / "rbac.yaml", check=False)
    expect(not differs(), f"what was just installed differs: {differs()[:600]}")
    world.cluster.kubectl("patch", "clusterrole", "sealed-secrets-opens", "--type=json", "-p", '[{"op": "add", "path": "/rules/0/verbs/-", "value": "delete"}]')
    said = differs()
    world.cluster.kubectl("apply", "-f", light_cluster.PARTS / "rbac.yaml")
    expect("-  - delete" in said, f"a right that was added does not show: {said[:600]}")
    return "a right that was added by hand"


def refuses_what_was_moved(world):
    """A sealed value is bound to its name: a copy under another one must not open."""
    body = yaml.safe_load(world.document("tak-server-credentials").read_text(encoding="utf-8"))
    taken = dict(body["spec"]["encryptedData"])
    jwt = yaml.safe_load(world.document("jwt-signing-key").read_text(encoding="utf-8"))
    kept = world.document("jwt-signing-key").read_text(encoding="utf-8")
    jwt["spec"]["encryptedData"]["secret_key"] = taken["password"]
    world.document("jwt-signing-key").write_text(yaml.safe_dump(jwt), encoding="utf-8")
    code, said = world.sealed("validate", "--env", "prod", "--cluster", check=False)
    world.document("jwt-signing-key").write_text(kept, encoding="utf-8")
    expect(code == 1 and "the controller does not open it" in said, f"it was not refused: {said}")
    return "a value of one secret does not open in another"


def rotates_tak(world):
    before = world.data("tak-server-credentials")["username"]
    world.file("new-password", "Another-pass-word-456")
    world.sealed("rotate", "tak-server-credentials", "--env", "prod", "--from-file", f"password={world.folder / 'new-password'}")
    world.sync()
    now = world.opened("tak-server-credentials", wanted=lambda v: v["password"] == "Another-pass-word-456")
    expect(now == {**TAK, "password": "Another-pass-word-456"}, f"{now.keys()}")
    expect(world.data("tak-server-credentials")["username"] == before, "what was not named was sealed anew")
    return "one value, the others unopened"


def rotates_the_signing_key(world):
    """The three steps, as two replicas see them that get each step seconds apart."""
    first = world.opened("jwt-signing-key")
    steps = [first]
    code, said = 0, ""
    for number in range(3):
        if number:
            code, said = world.sealed("rotate", "jwt-signing-key", "--env", "prod", check=False)
            expect(code == 1 and "too early" in said, f"step {number + 1} was not refused as too early: {said}")
        world.sealed("rotate", "jwt-signing-key", "--env", "prod", "--after", "0s")
        world.sync()
        steps.append(world.opened("jwt-signing-key", wanted=lambda values, last=steps[-1]: values != last))
    announced, signing, retired = steps[1:]
    expect(announced["secret_key"] == first["secret_key"] and len(set(announced.values())) == 2, "announced: the old one must sign")
    expect(signing["secret_key"] not in first.values() and set(signing.values()) == set(announced.values()), "signing: both must be good")
    expect(set(retired.values()) == {signing["secret_key"]}, "retired: the old one must be gone")
    world.steps = steps
    return "announce, sign, retire; each next one refused as too early"


def no_token_is_refused(world):
    binary = replicas.binary()
    if not binary:
        raise LookupError("rotation under serving replicas: detection-api is not built")
    expect(len(world.steps) == 4, "there was no rotation")
    good, refused = replicas.rotate_under_load(binary, world.folder / "replicas", world.steps, stagger_s=1.5, life_s=3)
    expect(refused == 0, f"{refused} of {good + refused} requests were refused during the rotation")
    expect(good > 200, f"only {good} requests: nothing was shown")
    # That this can fail: the same without the two steps between.
    _, wrong = replicas.rotate_under_load(binary, world.folder / "at-once", [world.steps[0], world.steps[3]], stagger_s=1.5, life_s=3)
    expect(wrong > 0, "a key replaced at once refused no token: the test sees nothing")
    return f"{good} requests with tokens of either replica and age, 0 refused; replaced at once: {wrong} refused"


def reseals_after_renewal(world):
    before, old = world.data("tak-server-credentials"), (world.home / "certs/prod.pem").read_bytes()
    world.cluster.processes[light_cluster.NAME].send_signal(light_cluster.signal.SIGUSR1)
    until(30, "another sealing key", lambda: world.sealed("certificate", "--env", "prod") and (world.home / "certs/prod.pem").read_bytes() != old)
    values = world.opened("tak-server-credentials")
    world.sealed("reseal", "--env", "prod")
    after = world.data("tak-server-credentials")
    expect(not set(before.values()) & set(after.values()), "nothing was sealed anew")
    world.sync()
    world.sealed("validate", "--env", "prod", "--cluster")
    expect(world.opened("tak-server-credentials") == values, "a value has changed")
    twins = world.data("jwt-signing-key")
    expect(len(set(twins.values())) == len(twins) - 1, "the name of the key that signs was lost")
    return "every value with the newest key, none opened here"


def a_new_cluster_opens_everything(world):
    values = world.all_opened()
    world.cluster.stop()
    new = LightCluster(world.folder / "second")
    world.cluster = new
    new.start()
    new.controller_starts()
    code, said = world.sealed("validate", "--env", "prod", "--cluster", check=False)
    expect(code == 1 and "5 with faults" in said, f"a cluster without the keys should open nothing: {said}")
    world.sync()  # before the keys are there, as it would be
    other_keys_are_refused(world)
    _, said = world.sealed("restore", "--env", "prod", "--backup", world.folder / "keys.backup", *world.recovery, "--no-restart")
    expect("sealed-secrets-key" in said, said)
    new.controller_stops()
    new.controller_starts()
    for name, wanted in values.items():
        expect(world.opened(name) == wanted, f"{name} is another one in the new cluster")
    world.sealed("validate", "--env", "prod", "--cluster")
    return "5 of 5, the same values; before the restore 0 of 5"


CHECKS = (opened_by_the_controller, rights_of_the_controller, drift_of_the_controller_shows, refuses_what_was_moved, rotates_tak, rotates_the_signing_key,
          reseals_after_renewal, keeps_the_sealing_keys, a_new_cluster_opens_everything)


class Results:
    def __init__(self):
        self.passed = self.failed = 0

    def of(self, world, check):
        """Says what a check shows -> whether it was not failed."""
        name = "secrets " + re.sub("_", " ", check.__name__)
        try:
            print(f"ok {name}: {check(world)}", flush=True)
            self.passed += 1
        except LookupError as reason:
            print(f"SKIPPED {reason.args[0]}", flush=True)
        except Exception as problem:  # pylint: disable=broad-except  # the next check may still tell something
            self.failed += 1
            print(f"FAILED {name}: {type(problem).__name__}: {problem}", flush=True)
            print("\n".join(line[:220] for line in world.cluster.log().splitlines()[-6:]), flush=True)
            return False
        return True


def main():
    if why := light_cluster.why_not():
        print(f"SKIPPED sealed secrets in a cluster: {why}")
        return 0
    results = Results()
    with tempfile.TemporaryDirectory(prefix="sealed-secrets-") as folder, concurrent.futures.ThreadPoolExecutor(1) as beside:
        world, under_load = World(folder, LightCluster(f"{folder}/first")), None
        try:
            world.cluster.start()
            world.cluster.controller_starts()
            for check in CHECKS:
                if not results.of(world, check) and check is opened_by_the_controller:
                    break  # nothing else can be shown
                if check is rotates_the_signing_key:
                    under_load = beside.submit(results.of, world, no_token_is_refused)
            if under_load:
                under_load.result()
        except RuntimeError as problem:
            results.failed += 1
            print(f"FAILED secrets: the cluster did not come up: {problem}")
        finally:
            world.cluster.stop()
    print(f"{results.passed} passed, {results.failed} failed")
    return 1 if results.failed else 0


if __name__ == "__main__":
    os.environ.pop("KUBECONFIG", None)  # nobody else's cluster
    sys.exit(main())
