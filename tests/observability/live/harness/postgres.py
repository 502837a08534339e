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
    def __init__(self, folder):
        self.folder, self.port = pathlib.Path(folder), free_port()
        self._bin = _binaries()
        self.folder.mkdir(parents=True)
        if os.geteuid() == 0:
            try:
                user = pwd.getpwnam("postgres")
            except KeyError:
                raise Skip("no user `postgres`, and PostgreSQL does not run as root") from None
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        self._initialise()
        settings = [f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}", "fsync=off", "max_connections=60"]
        command = [str(self._bin / "postgres"), "-D", str(self.folder / "data"), *[word for each in settings for word in ("-c", each)]]
        self._child = Child(_as_its_user(command), f"{folder}.log", at_death=signal.SIGQUIT, directory="/")
        wait_until("PostgreSQL starts", 120, self._ready)

    def _initialise(self):
        command = [str(self._bin / "initdb"), "-D", str(self.folder / "data"), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        done = subprocess.run(_as_its_user(command), capture_output=True, text=True, cwd="/", check=False)
        if done.returncode != 0:
            raise Failure(f"initdb: {done.stdout}{done.stderr}")

    def _ready(self):
        if not self._child.running:
            raise Failure(f"PostgreSQL does not start: {self._child.output()}")
        command = [shutil.which("pg_isready") or str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port), "-d", "postgres"]
        return subprocess.run(command, check=False).returncode == 0

    def url(self, port=None):
        """port: of a gate before it."""
        return f"postgresql://postgres@127.0.0.1:{port or self.port}/postgres"

    def close(self):
        self._child.end(signal.SIGQUIT, grace=60)  # at once: nothing of it is kept
