"""One service before a real TAK server, on SQLite or before a real PostgreSQL, in a folder of its own; and the commands an operator has."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

from harness.child import Failure, Skip, wait_until
from harness.load import SCOPES, Connection
from harness.postgres import PostgresServer
from harness.service import ROOT, Service, binary, make_key, mint

from .feeder import SOURCE, Feeder
from .taky import Taky

DATABASE = "detections"
LOGS = ROOT / "build/logs/drills"  # of the drill that failed last


class Stand:
    """postgres: settings of the server, or None: SQLite. Its end takes everything with it."""

    def __init__(self, postgres=None, service=True):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="detection-drill."))
        self.folder.chmod(0o711)  # PostgreSQL's user passes through
        self._open = []
        self.postgres = self.feeder = None
        try:
            self.tak = self.held(Taky(self.folder / "taky"))
            options = ["--rate-limit", "off", "--tak-sink", f"tak=tcp://127.0.0.1:{self.tak.port}"]
            if postgres is not None:
                self.postgres = self.held(PostgresServer(self.folder / "postgres", ["fsync=on", *postgres]))
                self.postgres.sql(f"CREATE DATABASE {DATABASE}")
                options += ["--database-url", self.database]
                self.command("migrate", *self.place)
            self.key = self.folder / "key"
            make_key(self.key)
            self.token = mint(self.key, "drill", SCOPES)
            self.service = Service("edge-1", self.folder / "edge-1", self.key, options)
            self._open.append(self.service.stop)
            if service:
                self.service.start()
        except BaseException:
            self.close()
            raise

    @property
    def data(self):
        """The volume of the service."""
        return self.folder / "edge-1" / "data"

    @property
    def database(self):
        return self.postgres.url(database=DATABASE)

    @property
    def place(self):
        """The store, as every command takes it."""
        return ("--database-url", self.database) if self.postgres else ("--data-dir", self.data)

    def feed(self, rate=200):
        self.feeder = Feeder(self.service, self.token, rate)
        self._open.append(self.feeder.stop)
        self.feeder.wait_for(201, 20, "the first detection is acknowledged")
        return self.feeder

    # ---- what an operator does
    def run(self, *words, timeout=300):
        command = [str(word) for word in (binary(), *words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)

    def command(self, *words):
        done = self.run(*words)
        if done.returncode != 0:
            raise Failure(f"detection-api {' '.join(map(str, words))[:200]} ended with {done.returncode}: {done.stderr[-600:]}")
        return done.stdout

    def backup(self):
        """-> (the file, when it was begun)"""
        began = time.time()
        said = json.loads(self.command("backup", *self.place, "--output", self.folder / "backup", "--share", "100", "--json"))
        return pathlib.Path(said["file"]), began

    def put_in_place_of_the_database(self, snapshot):
        """The way of docs/backup.md that keeps what serves, and its spool: restored beside, checked, then given the name."""
        self.postgres.sql("CREATE DATABASE restored")
        self.command("restore", snapshot, "--database-url", self.postgres.url(database="restored"))
        self.postgres.sql(f"ALTER DATABASE restored RENAME TO {DATABASE}")

    def set_the_database_aside(self, name):
        """Nobody comes to it any more; it stays there for a look."""
        self.postgres.sql(f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS false")
        self.postgres.sql(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{DATABASE}'")
        self.postgres.sql(f"ALTER DATABASE {DATABASE} RENAME TO {name}")

    def refused_start(self):
        """Another process on the same store, which must not come up. -> what it said"""
        place = self.place if not self.postgres else (*self.place, "--data-dir", self.folder / "another")
        try:
            done = self.run("serve", *place, "--jwt-key-file", self.key, "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", timeout=20)
        except subprocess.TimeoutExpired as running:
            raise Failure(f"serve came up, and should have refused: {(running.stdout or b'')[-600:]!r}") from running
        if done.returncode == 0:
            raise Failure(f"serve ended with 0: {done.stdout[-600:]}{done.stderr[-600:]}")
        return done.stdout + done.stderr

    # ---- what there is then
    def ask(self, path):
        connection = Connection(self.service.address, timeout=60)
        status, body = connection.ask("GET", path, self.token)
        connection.close()
        if status != 200:
            raise Failure(f"GET {path} was answered {status}: {body[:300]!r}")
        return json.loads(body)

    def stored(self):
        """-> the ids that the store has of the feeder"""
        found, cursor = set(), ""
        while cursor is not None:
            page = self.ask(f"/api/v1/detections?source={SOURCE}&limit=1000" + (f"&cursor={cursor}" if cursor else ""))
            found.update(item["detection_id"] for item in page["items"])
            cursor = page["next_cursor"]
        return found

    def metric(self, name):
        found = re.search(rf"(?m)^{re.escape(name)} (\S+)$", self.service.exposition())
        if not found:
            raise Failure(f"there is no metric {name}")
        return float(found[1])

    def wait_drained(self, seconds=120):
        """Until nothing is in the spool. -> seconds that took"""
        began = time.monotonic()
        wait_until("the spool is empty", seconds, lambda: self.metric("spool_size") == 0, every=0.05)
        return time.monotonic() - began

    def wait_all_at_tak(self, ids, seconds=180):
        """-> how many of them came more than once"""
        wanted = set(ids)
        try:
            wait_until("all are in taky's log", seconds, lambda: not wanted - set(self.tak.seen()), every=0.5)
        except Failure as late:
            missing = wanted - set(self.tak.seen())
            raise Failure(f"{len(missing)} of {len(wanted)} did not come to TAK within {seconds} s, {sorted(missing)[:3]}; {self.ask('/api/v1/delivery')}") from late
        seen = self.tak.seen()
        return sum(seen[each] > 1 for each in wanted)

    def audit_holds(self):
        said = json.loads(self.command("audit", "verify", *self.place, "--json"))
        if not said["valid"]:
            raise Failure(f"an audit chain does not hold: {said}")

    # ---- its end
    def held(self, part):
        self._open.append(part.close)
        return part

    def mount(self, size_mib):
        """A volume of its own for the service's data, as small as is said."""
        self.data.mkdir(parents=True)
        if os.geteuid() != 0:
            raise Skip("a volume of its own needs root")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "drill", self.data], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Skip(f"this machine does not mount a tmpfs: {done.stderr.strip()}")
        self._open.insert(0, lambda: subprocess.run(["umount", self.data], check=False))  # after those that use it

    def close(self):
        while self._open:
            try:
                self._open.pop()()
            except Exception as problem:  # pylint: disable=broad-except  # the others are to be ended too
                print(f"a part of the stand did not end: {problem}", flush=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind and not issubclass(kind, Skip):
            self._keep_logs()
        self.close()

    def _keep_logs(self):
        shutil.rmtree(LOGS, ignore_errors=True)
        LOGS.mkdir(parents=True)
        for file in [*self.folder.glob("*.log"), *self.folder.glob("*/log.*")]:
            shutil.copy(file, LOGS / f"{file.parent.name}.{file.name}")
