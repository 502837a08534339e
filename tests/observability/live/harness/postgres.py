"""A PostgreSQL of Debian's package, in a folder of the stand."""

import os
import pathlib
import pwd
import shutil
import signal
import subprocess

from .child import Child, Failure, Skip, free_port, wait_until


def _binaries():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise Skip("no PostgreSQL server below /usr/lib/postgresql (Debian: postgresql-15)")
    return found[-1].parent


def _as_its_user(command):
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return command
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig=SIGQUIT", "--", *command]


class PostgresServer:
    """settings: over those of a stand, each `name=value` (fsync=on, where its end is more than a fault). fill: makes the data folder in place
    of initdb, given this server. port: that of a server before it, of which nothing is left."""

    def __init__(self, folder, settings=(), *, fill=None, port=None):
        self.folder, self.port, self._further = pathlib.Path(folder), port or free_port(), list(settings)
        self._bin, self._child = _binaries(), None
        self.folder.mkdir(parents=True)
        if os.geteuid() == 0:
            try:
                user = pwd.getpwnam("postgres")
            except KeyError:
                raise Skip("no user `postgres`, and PostgreSQL does not run as root") from None
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        (fill or PostgresServer._initialise)(self)
        self.start()

    @property
    def data(self):
        return self.folder / "data"

    def start(self):
        """Again, after it died: on what it left."""
        settings = [f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}", "fsync=off", "max_connections=60",
                    *self._further]
        command = [str(self._bin / "postgres"), "-D", str(self.data), *[word for each in settings for word in ("-c", each)]]
        self._child = Child(_as_its_user(command), f"{self.folder}.log", at_death=signal.SIGQUIT, directory="/")
        wait_until("PostgreSQL starts", 120, self._ready)

    def kill(self):
        """The server is gone at once; its backends notice that and go as well (before them no other could start on the folder)."""
        self._child.end(signal.SIGKILL)
        wait_until("the backends end", 60, lambda: not self._processes())

    def _processes(self):
        """Every process of a server stands in its data folder."""
        found = []
        for place in pathlib.Path("/proc").glob("[0-9]*/cwd"):
            try:
                if place.readlink() == self.data:
                    found.append(int(place.parent.name))
            except OSError:
                pass  # it has ended meanwhile
        return found

    def move(self, port):
        """Ends as it should, and starts again there."""
        self._child.end(signal.SIGINT, grace=60)
        self.port = port
        self.start()

    def tool(self, name, *arguments, timeout=300):
        """One of PostgreSQL's own programs, as its user. -> what it printed"""
        command = [str(self._bin / name), *map(str, arguments)]
        done = subprocess.run(_as_its_user(command), capture_output=True, text=True, cwd="/", timeout=timeout, check=False)
        if done.returncode != 0:
            raise Failure(f"{name}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def sql(self, statement, database="postgres"):
        return self.tool("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-Atc", statement, self.url(database=database))

    def _initialise(self):
        self.tool("initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")

    def _ready(self):
        if not self._child.running:
            raise Failure(f"PostgreSQL does not start: {self._child.output()}")
        command = [shutil.which("pg_isready") or str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port), "-d", "postgres"]
        return subprocess.run(command, check=False).returncode == 0

    def url(self, port=None, database="postgres"):
        """port: of a gate before it."""
        return f"postgresql://postgres@127.0.0.1:{port or self.port}/{database}"

    def close(self):
        if self._child:
            self._child.end(signal.SIGQUIT, grace=60)  # at once: nothing of it is kept
