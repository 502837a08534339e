"""Services, a TAK server, a database, a Prometheus: all of a live test, in a folder of its own, ended with its block.

    with Stand(services=2, database=True) as stand:
        with stand.load(rate=40):
            stand.fault("tak-away")
            ...
            stand.mend("tak-away")
        stand.query('sum(rate(http_requests_total[1m]))')
"""

import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

from .child import Failure, wait_until
from .gate import Gate
from .load import SCOPES, Load
from .postgres import PostgresServer
from .prometheus import Prometheus
from .service import ROOT, Service, binary, make_key, mint
from .tak_server import TakServer

RULES = ROOT / "observability" / "prometheus" / "rules"


def end_on_signals():
    """SIGTERM and SIGINT end a stand as the end of its block does."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(130))


class Stand:
    """services: of slot blue, which is the active one; preview: of slot green. With SQLite (no database) each has a store of its own, and
    the slot is a mere name. options: further ones of `serve`. rules: folder or files; none: no rules. scrape: seconds between two scrapes;
    hold: the `for` of every alert. started, prometheus: False leaves their start to start_services(), start_prometheus(). keep: the folder
    stays."""

    def __init__(self, *, services=1, preview=0, database=False, options=(), rules=RULES, scrape=2, hold=4, started=True, prometheus=True, keep=False):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="detection-stand."))
        self.folder.chmod(0o711)  # PostgreSQL's user passes through
        self._keep, self._open = keep, []
        self._loads = []
        self.database = self.gate = self.prometheus = None
        self._rules, self._scrape, self._hold = rules, scrape, hold
        try:
            self._build(services, preview, database, options)
            if started:
                self.start_services()
                if prometheus:
                    self.start_prometheus()
        except BaseException:
            self.close()
            raise

    def _build(self, services, preview, database, options):
        key = self.folder / "key"
        make_key(key)
        self.tokens = {"full": [mint(key, subject, SCOPES) for subject in ("feeder-1", "feeder-2", "operator-1")],
                       "write_only": mint(key, "feeder-3", "detections:write")}
        self.tak = self._held(TakServer())
        options = [*options, "--tak-sink", f"tak=tcp://127.0.0.1:{self.tak.port}"]
        if database:
            self.database = self._held(PostgresServer(self.folder / "postgres"))
            self.gate = self._held(Gate(self.database.port))
            options += ["--database-url", self.database.url(self.gate.port)]
        names = [f"blue-{n + 1}" for n in range(services)] + [f"green-{n + 1}" for n in range(preview)]
        self.services = [Service(name, self.folder / name, key, options, name.split("-")[0]) for name in names]
        if database:
            self._prepare_database()
        self._open += [service.stop for service in self.services]

    def start_services(self, environment=None):
        for service in self.services:
            service.start(environment)

    def _prepare_database(self):
        for words in (["migrate"], ["slot", "set", "blue", "--actor", "stand"]):
            # On a busy machine the database may need more than the second that the program gives it.
            wait_until(f"detection-api {words[0]}", 120, lambda words=words: subprocess.run(
                [binary(), *words, "--database-url", self.database.url()], capture_output=True, check=False).returncode == 0)

    def start_prometheus(self):
        self.prometheus = self._held(Prometheus(self.folder / "prometheus", self.services, self.rule_files(), scrape=self._scrape, hold=self._hold))
        wait_until("Prometheus scrapes every service", 60, lambda: self.query("sum(up)") == [({}, len(self.services))])

    def rule_files(self):
        if self._rules is None:
            return []
        paths = [self._rules] if isinstance(self._rules, (str, pathlib.Path)) else self._rules
        return [file for path in map(pathlib.Path, paths) for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])]

    def _held(self, part):
        self._open.append(part.close)
        return part

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def stop_loads(self):
        while self._loads:
            self._loads.pop().stop()

    def close(self):
        self.stop_loads()
        while self._open:
            try:
                self._open.pop()()
            except Exception as problem:  # the others are to be ended too
                print(f"a part of the stand did not end: {problem}", file=sys.stderr)
        if not self._keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def service(self):
        return self.services[0]

    @property
    def token(self):
        return self.tokens["full"][0]

    def load(self, mix=None, rate=40, **settings):
        """Begins at once; ends with its block, with stop(), or with the stand. settings: see Load."""
        load = Load(self.services, self.tokens, mix, rate, **settings)
        self._loads.append(load)
        return load

    def fault(self, name, value=None):
        """tak-away, tak-resets, tak-slow (seconds until a ping is answered), database-away, database-slow (seconds of each piece, each way)."""
        self._set(name, True, value)

    def mend(self, name):
        self._set(name, False, None)

    def _set(self, name, on, value):
        actions = {
            "tak-away": lambda: self.tak.away() if on else self.tak.back(),
            "tak-resets": lambda: setattr(self.tak, "resets", on),
            "tak-slow": lambda: setattr(self.tak, "pong_delay", (value or 7.0) if on else 0.0),
            "database-away": lambda: self._gate().shut() if on else self._gate().open(),
            "database-slow": lambda: setattr(self._gate(), "delay", (value or 0.4) if on else 0.0)}
        if name not in actions:
            raise Failure(f"there is no fault {name}; there are: {', '.join(actions)}")
        actions[name]()

    def _gate(self):
        if self.gate is None:
            raise Failure("this stand has no database")
        return self.gate

    def query(self, expression):
        return self.prometheus.query(expression)

    def query_range(self, expression, start, end, step):
        return self.prometheus.query_range(expression, start, end, step)

    def firing(self):
        return self.prometheus.firing()
