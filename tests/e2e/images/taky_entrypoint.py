#!/usr/bin/python3
"""taky, a TAK server, for tests in a cluster. Prints a line "event UID TYPE" for each event that it took.

  TAKY_DATA  default /var/lib/taky: a volume that uid 10001 may write
  TAKY_TLS   a folder with ca.crt, tls.crt and tls.key (a mounted Secret): mutual TLS on 8089; default: plain on 8087
  /entrypoint uids [TYPE-PREFIX]  (in a running container) prints the uid of every event so far, each event a line
  /entrypoint healthy             exit 0 when it accepts connections
"""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

DATA = pathlib.Path(os.environ.get("TAKY_DATA", "/var/lib/taky"))
TLS = os.environ.get("TAKY_TLS", "")
PORT = 8089 if TLS else 8087
EVENT = re.compile(rb"<event\b[^>]*>")
ATTRIBUTE = {name: re.compile(rb'\b%s="([^"]*)"' % name.encode()) for name in ("uid", "type")}


class Records:
    """The files of taky, one for each client; taky appends each event before it routes it."""

    def __init__(self) -> None:
        self.read: dict[pathlib.Path, int] = {}

    def new_events(self):
        for path in sorted((DATA / "cot").glob("*.cot")):
            with open(path, "rb") as file:
                file.seek(self.read.get(path, 0))
                data = file.read()
            end = data.rfind(b"</event>")
            if end < 0:
                continue
            end += len(b"</event>")
            self.read[path] = self.read.get(path, 0) + end
            for match in EVENT.finditer(data[:end]):
                yield tuple(ATTRIBUTE[name].search(match[0])[1].decode() for name in ("uid", "type"))


def print_uids(prefix: str) -> int:
    for uid, kind in Records().new_events():
        if kind.startswith(prefix):
            print(uid)
    return 0


def healthy() -> int:
    try:
        with socket.create_connection(("127.0.0.1", PORT), timeout=2):
            return 0
    except OSError as problem:
        print(problem, file=sys.stderr)
        return 1


def configuration() -> str:
    text = f"[taky]\nhostname = taky\nbind_ip = 0.0.0.0\npublic_ip = 127.0.0.1\nroot_dir = {DATA}\n"
    text += f"[cot_server]\nport = {PORT}\nlog_cot = {DATA}/cot\n[dp_server]\nupload_path = {DATA}/packages\n"
    if TLS:
        text += f"[ssl]\nenabled = true\nclient_cert_required = true\nca = {TLS}/ca.crt\ncert = {TLS}/tls.crt\n"
        text += f"key = {TLS}/tls.key\nkey_pw =\nmon_port =\ncert_db = {DATA}/certificates.txt\n"
    return text


def serve() -> int:
    (DATA / "cot").mkdir(exist_ok=True)
    (DATA / "certificates.txt").touch()
    (DATA / "taky-mgmt.sock").unlink(missing_ok=True)  # of a start that was killed
    config = DATA / "taky.conf"
    config.write_text(configuration(), encoding="ascii")
    taky = subprocess.Popen([sys.executable, "-W", "ignore", "-m", "taky.cot", "-l", "info", "-c", config])
    signal.signal(signal.SIGTERM, lambda *_: taky.terminate())
    records = Records()
    while True:
        ended = taky.poll() is not None
        for uid, kind in records.new_events():
            print("event", uid, kind, flush=True)
        if ended:
            return taky.returncode
        time.sleep(0.1)


def main() -> int:
    if sys.argv[1:2] == ["uids"]:
        return print_uids(sys.argv[2] if len(sys.argv) > 2 else "")
    if sys.argv[1:] == ["healthy"]:
        return healthy()
    return serve()


if __name__ == "__main__":
    sys.exit(main())
