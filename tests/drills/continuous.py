"""Continuous protection: the log of the database is shipped as the chart configures it, and what is restored from it is at most so old."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import yaml
from harness.child import Child, Failure, Skip, wait_until
from harness.postgres import PostgresServer

from parts.chart import rendered, tool
from parts.drill import Drilled, Loss, drill, sent_again, wait, want
from parts.stand import Stand

RECOVERY_POINT_MOST_S = 60


class Litestream:
    """litestream with the ConfigMap of the edge profile, in a mount namespace that looks like its container."""

    def __init__(self, stand):
        self._program, self._stand = tool("litestream"), stand
        if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode != 0:
            raise Skip("no mount namespace can be made here (root is needed), and the chart's configuration names its container's folders")
        (config,) = [each["data"]["litestream.yml"] for each in rendered("edge", {"litestream": {"enabled": True, "url": "file:///var/backups/litestream"}}, "ConfigMap")
                     if "litestream.yml" in each["data"]]
        self.sync_s = int(yaml.safe_load(config)["dbs"][0]["replicas"][0]["sync-interval"].removesuffix("s"))
        self._config = stand.folder / "litestream.yml"
        self._config.write_text(config, encoding="utf-8")
        self.shipped = stand.folder / "shipped"
        self.shipped.mkdir()
        self._child = None

    def _command(self, *words):
        # The namespace has a /var of its own, so that nothing is made on this machine.
        script = """mount -t tmpfs drill /var && mkdir -p /var/lib/detection /var/backups && mount --bind "$1" /var/lib/detection &&
          mount --bind "$2" /var/backups && shift 2 && exec "$@" """
        return ["unshare", "--mount", "sh", "-c", script, "sh", self._stand.data, self.shipped, self._program, *words]

    def replicate(self):
        self._child = Child(self._command("replicate", "-config", self._config), self._stand.folder / "litestream.log")

    def end(self, number=signal.SIGKILL):
        if self._child:
            self._child.end(number)

    def output(self):
        return self._child.output()

    def restore(self):
        done = subprocess.run([str(word) for word in self._command("restore", "-config", self._config, "/var/lib/detection/detections.db")], capture_output=True, text=True,
                              timeout=120, check=False)
        if done.returncode != 0:
            raise Failure(f"litestream restore: {done.stdout}{done.stderr}")


@drill("sqlite-litestream")
def sqlite_litestream(world):
    """SQLite with litestream as the chart configures it; the node and its volume are gone at once; restored from what was shipped."""
    with Stand(service=False) as stand:
        litestream = Litestream(stand)
        stand.service.start()
        feeder = stand.feed()
        litestream.replicate()
        try:
            wait(2 * litestream.sync_s + 5)
            stand.service.kill()
            died = time.time()
        finally:
            litestream.end()
        want(any(litestream.shipped.rglob("*.lz4")), f"litestream shipped nothing: {litestream.output()}")
        shutil.rmtree(stand.data)
        stand.data.mkdir()
        began = time.monotonic()
        litestream.restore()
        stand.service.start()
        feeder.wait_for(201, 60, "a detection is taken again")
        took = time.monotonic() - began
        wait(1)
        feeder.stop()
        loss = Loss(stand, died)
        loss.want_only_since(died - RECOVERY_POINT_MOST_S, died, f"the last {RECOVERY_POINT_MOST_S} s")
        stand.audit_holds()
        words = sent_again(stand)
        stand.backup()  # what litestream keeps in the database hinders no snapshot
        return Drilled(loss.window_s, took, f"shipped every {litestream.sync_s} s; {loss.words()}, all of them acknowledged in the last {loss.window_s:.1f} s; {words}")


class Archive:
    """Where a PostgreSQL archives its log as the chart has it of CloudNativePG: archive_timeout is the chart's, gzip its compression."""

    def __init__(self):
        values = {"cloudnativepg": {"archive": {"destination": "s3://drill/detections", "network": [{"peer": {"cidr": "10.0.0.1/32"}, "port": 443}]}}}
        (cluster,) = rendered("airgap", values, "Cluster")
        self.timeout = cluster["spec"]["postgresql"]["parameters"]["archive_timeout"]
        want(cluster["spec"]["backup"]["barmanObjectStore"]["wal"]["compression"] == "gzip", "the chart archives otherwise than this drill")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="detection-archive."))
        self.base = self.folder / "base"
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        # A segment is whole in the archive, or not there.
        self.settings = ["archive_mode=on", f"archive_timeout={self.timeout}",
                         f"archive_command=gzip <%p >'{self.folder}/%f.partial' && mv '{self.folder}/%f.partial' '{self.folder}/%f.gz'"]
        self.recovery = ["fsync=on", *self.settings, f"restore_command=gunzip <'{self.folder}/%f.gz' >%p"]

    def back_up(self, server):
        server.tool("pg_basebackup", "-h", "127.0.0.1", "-p", server.port, "-U", "postgres", "-D", self.base, "--checkpoint=fast", "-X", "none")

    def fill(self, server):
        """The base backup, and word that the log is to be fetched."""
        server.tool("/bin/cp", "-a", self.base, server.data)
        (server.data / "recovery.signal").touch()
        if os.geteuid() == 0:
            shutil.chown(server.data / "recovery.signal", "postgres", "postgres")

    def segments(self):
        return len(list(self.folder.glob("*.gz")))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)


@drill("postgres-archive")
def postgres_archive(world):
    """PostgreSQL whose log is archived as the chart configures CloudNativePG; its data is gone; restored to the last archived moment."""
    with Archive() as archive, Stand(postgres=archive.settings) as stand:
        feeder, postgres = stand.feed(), stand.postgres
        archive.back_up(postgres)
        seconds, count = int(archive.timeout.removesuffix("s")), archive.segments()
        wait_until("a segment is archived for its age", 2 * seconds + 30, lambda: archive.segments() > count)
        wait(seconds / 2)
        postgres.kill()
        died = time.time()
        shutil.rmtree(postgres.folder)
        feeder.wait_for(202, 20, "a detection goes into the spool")
        began = time.monotonic()
        # Where nobody looks for it before it has left recovery.
        restored = stand.postgres = stand.held(PostgresServer(postgres.folder, archive.recovery, fill=archive.fill))
        wait_until("the server has left recovery", 120, lambda: restored.sql("SELECT pg_is_in_recovery()") == "f")
        restored.move(postgres.port)
        feeder.wait_for(201, 60, "a detection is in the database again")
        stand.wait_drained()
        took = time.monotonic() - began
        wait(1)
        feeder.stop()
        stand.wait_drained()
        loss = Loss(stand, died)
        loss.want_only_since(died - RECOVERY_POINT_MOST_S, died, f"the last {RECOVERY_POINT_MOST_S} s")
        stand.audit_holds()
        words = sent_again(stand)
        return Drilled(loss.window_s, took, f"archive_timeout {archive.timeout}; {loss.words()}, all of them acknowledged in the last {loss.window_s:.1f} s; all "
                                            f"{feeder.count(202)} of the spool are there; {words}")
