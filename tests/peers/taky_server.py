#!/usr/bin/python3
"""Runs taky (a real TAK server) on 127.0.0.1 for a test.

usage: taky_server.py --dir FOLDER [--port PORT] [--log LEVEL] [--tls]

Makes FOLDER with taky's configuration, starts taky, waits until it accepts, prints one line "ready PORT PID" (of taky
itself: to be killed with any signal) and stays until taky ends; its exit code is taky's. SIGTERM is passed on. Every
event that taky accepts is appended to a file in FOLDER/cot. Started again with the same folder and port it goes on.
With --tls it wants client certificates: FOLDER/credentials has tls.crt, tls.key and ca.crt as made by takyctl for a
client called `feeder`; its own certificate is for the name `localhost` alone.
Exit 77: the environment of taky is not there (tests/peers/setup_venv.sh taky).
"""

import argparse
import ctypes
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TAKY = ROOT / ".cache" / "venv" / "taky" / "bin" / "taky"
PR_SET_PDEATHSIG = 1


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def takyctl(folder: pathlib.Path, *arguments: str) -> None:
    command = [str(TAKY.parent / "python"), "-W", "ignore", str(TAKY.parent / "takyctl"), *arguments]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def set_up_tls(folder: pathlib.Path, port: int) -> None:
    """taky's own authority, server certificate and client certificate, once for a folder."""
    config = folder / "taky.conf"
    if not config.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        setup = ["--host", "localhost", "--bind-ip", "127.0.0.1", "--public-ip", "127.0.0.1"]
        takyctl(folder.parent, "setup", *setup, str(folder))  # it makes the folder, and refuses one that is there
        takyctl(folder, "-c", str(config), "build_client", "--dump_pem", "feeder")
        credentials = folder / "credentials"
        credentials.mkdir()
        shutil.copy(folder / "ssl" / "ca.crt", credentials / "ca.crt")
        for ending in ("crt", "key"):
            (made,) = folder.glob(f"feeder-*.{ending}")
            shutil.copy(made, credentials / f"tls.{ending}")
    text = re.sub(r"(?m)^port = .*$", f"port = {port}", config.read_text(encoding="ascii"))
    config.write_text(re.sub(r"(?m)^log_cot\b.*$", "log_cot = ./cot", text), encoding="ascii")


def main() -> int:
    parser = argparse.ArgumentParser(description="taky on 127.0.0.1 for a test")
    parser.add_argument("--dir", required=True, type=pathlib.Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", default="warning")
    parser.add_argument("--tls", action="store_true")
    options = parser.parse_args()
    if not (TAKY.parents[1] / ".requirements").exists():  # written by setup_venv.sh when all is there
        print(f"SKIPPED: {TAKY.parents[1]} is not there; run tests/peers/setup_venv.sh taky", file=sys.stderr)
        return 77
    port = options.port or free_port()
    options.dir = options.dir.resolve()  # takyctl runs elsewhere
    config = options.dir / "taky.conf"
    if options.tls:
        set_up_tls(options.dir, port)
        (options.dir / "cot").mkdir(exist_ok=True)
    else:
        (options.dir / "cot").mkdir(parents=True, exist_ok=True)
        config.write_text(
            "[taky]\nhostname = localhost\nbind_ip = 127.0.0.1\npublic_ip = 127.0.0.1\nroot_dir = .\n"
            f"[cot_server]\nport = {port}\nlog_cot = ./cot\n",
            encoding="ascii",
        )
    with open(options.dir / "taky.log", "ab") as log:
        taky = subprocess.Popen(
            # Through its Python: the first line of a script cannot name an interpreter whose path has a space.
            [str(TAKY.parent / "python"), str(TAKY), "-c", str(config), "-l", options.log],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,
        )
    signal.signal(signal.SIGTERM, lambda *_: taky.terminate())
    until = time.monotonic() + 30
    while not accepts(port):
        if taky.poll() is not None or time.monotonic() > until:
            taky.kill()
            print(f"taky did not start; see {options.dir / 'taky.log'}", file=sys.stderr)
            return 1
        time.sleep(0.02)
    print(f"ready {port} {taky.pid}", flush=True)
    return taky.wait()


if __name__ == "__main__":
    sys.exit(main())
