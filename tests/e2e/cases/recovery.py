"""Backups as the chart makes them, a migration that fails, and the whole cluster lost. A lost node is `crash`, in faults.py."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from cases import case, want
from cases.policies import Network, api_labels
from harness.cluster import LOCAL, Failure, run, until
from harness.jobs import COMPONENT, ended, release_job, started_now
from harness.peers import NAMESPACE, START_LISTENER, TAKY, namespace, pod
from harness.sealed import Sealed, docker_config

GROUP = "recovery"
BACKUPS = {"persistence": {"backup": {"enabled": True}}}
CLIENT = pathlib.Path(__file__).resolve().parents[1] / "load_client.py"
FOLDER = "/var/backups/detection"


@case("backup-jobs", group=GROUP)
def backup_jobs(world):
    """The Job of a release, a run of each CronJob under load, their times in the metrics, and what their network policy lets through."""
    release, cluster = world.release, world.cluster
    active, _ = release.baseline()
    began = time.time()
    with release.load(20000, 100) as load:
        release.upgrade(BACKUPS)
        first = release_job(cluster, release.space)
        ended(cluster, release.space, first)
        took = time.time() - began
        ended(cluster, release.space, started_now(cluster, release.space, "detection-backup"))
        said = ended(cluster, release.space, started_now(cluster, release.space, "detection-backup-verify"))
        load.finish(stop=True)
    load.want_none_failed()

    def shown():
        metrics = [release.metrics(one) for one in release.live_pods(active)]
        times = [m[f"backup_last_{kind}_timestamp_seconds"] for m in metrics for kind in ("success", "verified")]
        return times if len(metrics) == 3 and min(times) >= began else None
    until(90, "every pod shows the times of the backup and of its check", shown, pause=2)
    words = closed_to_backups(world)
    claim = cluster.get("-n", release.space, "pvc", "detection-backup")
    size = claim["spec"]["resources"]["requests"]["storage"]
    want(claim["status"]["phase"] == "Bound" and size == "100Gi", f"the volume: {claim['spec']}, {claim['status']}")
    return (f"the release's Job had made and checked one {took:.0f} s after the command, on a volume of {size}; one run of each CronJob ({said[:120]}); the times "
            f"are in the metrics of all three pods; {words}; {load.figures()}")


def closed_to_backups(world):
    """From a pod with the labels of a backup: the database and DNS, nothing else. -> words"""
    release, cluster = world.release, world.cluster
    labels = {**api_labels(release), COMPONENT: "backup"}
    node = cluster.nodes()[-1]
    cluster.apply(pod(release.space, "as-backup", "load:test", ["/usr/bin/python3", "-c", START_LISTENER], labels=labels, node=node, port=9999, prefix=world.prefix))
    try:
        cluster.kubectl("-n", release.space, "wait", "--for=condition=Ready", "pod/as-backup", "--timeout=60s")
        at = {p["metadata"]["name"]: p["status"]["podIP"] for p in cluster.items("-n", NAMESPACE, "pods")}
        own = cluster.get("-n", release.space, "pod", "as-backup")["status"]["podIP"]
        dns = cluster.get("-n", "kube-system", "service", "kube-dns")["spec"]["clusterIP"]
        live = [p for p in release.live_pods(release.active) if p["spec"]["nodeName"] != node]
        outside = {"PostgreSQL": (at["postgres"], 5432), "DNS": (dns, "dns-udp"), "taky": (at["taky"], 8087), "listener:9999": (at["listener"], 9999)}
        network = Network(world)
        network.look(NAMESPACE, "stranger", {words: (*target, True) for words, target in outside.items()})  # they do answer
        network.look(NAMESPACE, "load-1", {"the service": (live[0]["status"]["podIP"], 8000, True), "as-backup": (own, 9999, False)})
        network.look(release.space, "as-backup", {words: (*target, words in ("PostgreSQL", "DNS")) for words, target in outside.items()}
                     | {"the service": (live[0]["status"]["podIP"], 8000, False), "itself": (own, 9999, True)})
        want(not network.wrong, "; ".join(network.wrong))
        return f"a backup's pod reaches PostgreSQL and DNS, and none of {network.refused} others"
    finally:
        cluster.kubectl("-n", release.space, "delete", "pod", "as-backup", "--wait=false")


@case("migration-fails", group=GROUP)
def migration_fails(world):
    """A release whose migration fails at its first statement: the hook fails, the live slot serves on, and the same commit goes through once the cause is gone."""
    release, cluster, peers = world.release, world.cluster, world.peers
    active, idle = release.baseline()
    version = int(peers.sql("SELECT version FROM schema_version"))
    want(version == 2, f"schema step {version} is new: write down here how it is undone")
    peers.sql(f"DROP TABLE backup_result; UPDATE schema_version SET version = {version - 1}")
    peers.sql("CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no tables in this drill'; END $$")
    peers.sql("CREATE EVENT TRIGGER obstacle ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION refuse()")
    commit = {"slots": {idle: {"state": "running"}}, "hooks": {"backoffLimit": 1}}
    try:
        with release.watch_pods() as pods, release.load(60000, 100) as load:
            began = time.monotonic()
            release.upgrade(commit, timeout=120, check=False)
            failed = time.monotonic() - began
            hook = cluster.get("-n", release.space, "job", "detection-api-migrate")["status"]
            want(hook.get("failed"), f"the hook did not fail: {hook}")
            want(peers.sql("SELECT version FROM schema_version") == str(version - 1), "a part of the failed step has stayed")
            want(not release.pods(idle), f"the commit went on behind the failed hook: {release.words()}")
            peers.sql("DROP EVENT TRIGGER obstacle")
            began = time.monotonic()
            release.upgrade(commit, timeout=240)
            mended = time.monotonic() - began
            load.finish(stop=True)
    finally:
        peers.sql("DROP EVENT TRIGGER IF EXISTS obstacle; DROP FUNCTION IF EXISTS refuse()")
    want(peers.sql("SELECT version FROM schema_version") == str(version), "the step is not there after the second try")
    load.want_none_failed()
    want(pods.least_ready(active) >= 3, f"{active} had {pods.least_ready(active)} ready pods")
    release.baseline()
    return f"the hook failed {failed:.0f} s after the command, no pod of {idle} came; the same commit without the cause: {mended:.0f} s; {load.figures()}"


class Source:
    """A client outside of the cluster that keeps what it posted; on the network of the first node, which is as near as it gets."""

    def __init__(self, release, folder):
        self.release, self.kept, self.stop_file = release, folder / "kept", folder / "stop"
        self.token = folder / "token"
        self.token.write_text(release.token, encoding="ascii")
        self.name, self.process = os.urandom(4).hex(), None

    def command(self, *words):
        """At the Service's address: this machine does not ask the cluster's DNS."""
        address = self.release.cluster.get("-n", self.release.space, "service", "detection-api")["spec"]["clusterIP"]
        return [str(word) for word in (LOCAL, "exec", "/usr/bin/python3", CLIENT, "--url", f"http://{address}:8000", "--token-file", self.token, "--run", self.name, *words)]

    def start(self, rate):
        self.process = subprocess.Popen(self.command("--rate", rate, "--requests", 60000, "--keep", "--timeout", 3, "--kept", self.kept, "--stop-file", self.stop_file),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def stop(self):
        """-> its figures"""
        self.stop_file.touch()
        out, err = self.process.communicate(timeout=120)
        if not out.startswith("{"):
            raise Failure(f"the client ended with {self.process.returncode}: {err[-600:]}")
        return json.loads(out)

    def acknowledged(self):
        """-> ({number: when}, all that it kept)"""
        with open(self.kept, encoding="ascii") as file:
            lines = {line["number"]: line["acknowledged"] for line in map(json.loads, file)}
        return {number: when for number, when in lines.items() if when}, set(lines)

    def post_again(self):
        """-> {status: numbers}"""
        return {int(status): numbers for status, numbers in json.loads(run(*self.command("--keep", "--again", self.kept), timeout=300)).items()}


def volume_of(cluster, space, claim):
    """The folder of a volume of the local cluster, which is this machine's."""
    name = cluster.get("-n", space, "pvc", claim)["spec"]["volumeName"]
    return pathlib.Path(cluster.get("pv", name)["spec"]["hostPath"]["path"])


def restore_job(cluster, space, file):
    """docs/architecture/phase05-ha-resilience.md: the pod of a backup with other words. The file is named: the newest may be one of an empty record."""
    job = json.loads(cluster.kubectl("-n", space, "create", "job", "restore", "--from=cronjob/detection-backup", "--dry-run=client", "-o", "json"))
    job["spec"]["template"]["spec"]["containers"][0]["args"] = ["restore", f"{FOLDER}/{file}", "--replace"]
    cluster.apply(job)
    return ended(cluster, space, "restore")


def scale(release, pods):
    """Of the active slot; an autoscaler leaves a Deployment of 0 alone."""
    release.cluster.kubectl("-n", release.space, "scale", f"deployment/detection-api-{release.active}", f"--replicas={pods}")
    until(120, f"{pods} pods", lambda: len(release.pods()) == pods)


@case("cluster-lost", group=GROUP)
def cluster_lost(world):
    """All of the cluster is gone with every volume, under load; built anew from the chart, the kept sealing keys and one snapshot; the source sends again what it kept."""
    release, cluster = world.release, world.cluster
    cluster.only_ours("takes the whole cluster away")
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cluster-lost-")))
        sealed = Sealed(cluster, folder)
        release.baseline()
        others = release.base["networkPolicy"]["api"]
        release.upgrade({**BACKUPS, "networkPolicy": {"api": [*others, {"cidr": "10.99.0.11/32"}]}})
        ended(cluster, release.space, release_job(cluster, release.space))
        keep_secrets(world, sealed)
        source = Source(release, folder)
        source.start(100)
        time.sleep(8)
        snapshot, began_backup = copied_elsewhere(release, folder)
        time.sleep(12)
        lost = time.time()
        run(LOCAL, "down")
        source.stop()
        began = time.monotonic()
        steps = rebuild(world, sealed, snapshot)
        took = time.monotonic() - began
        acknowledged, kept = source.acknowledged()
        there = stored(world, source)
        gone = {number: when for number, when in acknowledged.items() if number not in there}
        want(gone, "nothing was lost: the drill has shown no loss window")
        want(min(gone.values()) >= began_backup, f"{len(gone)} lost, the first acknowledged {began_backup - min(gone.values()):.2f} s before the snapshot")
        for once_more in ("first", "second"):
            statuses = source.post_again()
            want(set(statuses) <= {200, 201, 202}, f"sent again a {once_more} time: {({status: len(numbers) for status, numbers in statuses.items()})}")
        until(60, "all that the source kept is in the database", lambda: stored(world, source) == kept)
        arrived(world, source, kept - there)
        return (f"recovery point {lost - began_backup:.1f} s (the age of the snapshot: {len(gone)} of {len(acknowledged)} acknowledged were lost, none from before it), "
                f"recovery time {took:.0f} s ({steps}); the source sent all {len(kept)} that it had kept, twice: all are there once, the {len(kept - there)} new ones at TAK; "
                "the audit holds, the fence stands")


def stored(world, source):
    """-> the numbers of the source's detections that the database has"""
    rows = world.peers.sql(f"SELECT encode(id, 'hex') FROM detection WHERE encode(id, 'hex') LIKE '{source.name}%'")
    return {int(row[-12:], 16) for row in rows.split()}


def keep_secrets(world, sealed):
    """Every secret of the release, sealed into Git, and the keys that open it, in the safe."""
    release, peers = world.release, world.peers
    sealed.install()
    sealed.command("certificate", "--env", "prod")
    sealed.seal("jwt-signing-key", secret_key=release.jwt_key)
    sealed.seal("tak-server-credentials", endpoint=f"tcp://{TAKY}:8087")
    sealed.seal("registry-credentials", **{".dockerconfigjson": docker_config()})
    sealed.seal("database-credentials", username="detection", password=peers.password, **{"ca.crt": peers.ca})
    sealed.keep_keys()


def copied_elsewhere(release, folder):
    """A backup now, and its file where the cluster's end does not reach: in a bucket, where `backup.s3.url` is set. -> (the file, when it was begun)"""
    cluster, space = release.cluster, release.space
    began = time.time()
    ended(cluster, space, started_now(cluster, space, "detection-backup"))
    newest = max(volume_of(cluster, space, "detection-backup").glob("detections-*.snapshot"))
    return pathlib.Path(shutil.copy(newest, folder)), began


def rebuild(world, sealed, snapshot):
    """-> how long each step took, in words"""
    cluster, release = world.cluster, world.release
    marks = [("", time.monotonic())]

    def step(name):
        marks.append((name, time.monotonic()))
    cluster.up(3)
    world.peers.start()
    step("a cluster with an empty PostgreSQL")
    cluster.apply(namespace(release.space))
    sealed.install()
    sealed.restore_keys()
    sealed.apply()
    secrets = {"jwt-signing-key", "tak-server-credentials", "registry-credentials", "database-credentials"}
    until(60, "the controller has opened every secret", lambda: sealed.opened(release.space) == secrets)
    step("its secrets")
    release.upgrade()
    ended(cluster, release.space, release_job(cluster, release.space), 300)
    step("the release, empty")
    scale(release, 0)
    there = volume_of(cluster, release.space, "detection-backup") / snapshot.name
    shutil.copy(snapshot, there)
    os.chown(there, 10001, 10001)
    restore_job(cluster, release.space, snapshot.name)
    step("the restore")
    scale(release, 3)
    release.settled(3, 0, 120)
    step("three pods")
    return ", ".join(f"{name} {now - before:.0f} s" for (_, before), (name, now) in zip(marks, marks[1:]))


def arrived(world, source, new):
    """What was new in the new cluster came to its TAK server; the chains and the fence are what they should be."""
    release, peers = world.release, world.peers
    excused = sorted(set(range(0, max(new) + 1, 2)) - new)
    peers.all_at_taky({source.name: (max(new) + 1, excused)})
    status, text, _ = peers.http("load-1", f"{release.url}/api/v1/audit/verify", token=release.token, timeout=60)
    want(status == 200 and json.loads(text)["valid"], f"the audit chain: {status} {text[:200]}")
    want(release.fence() == release.active, f"the fence is {release.fence()!r}, the active slot {release.active}")
