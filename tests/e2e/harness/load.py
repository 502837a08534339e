"""Two clients at once, each in a pod of its own: one opens a connection for each request, the other keeps its connections."""

import json
import os
import time

from harness.cluster import Failure
from harness.peers import NAMESPACE

CLIENTS = (("load-1", False), ("load-2", True))


class Load:
    """requests and rate are of both together; `with` starts it, and ends it when the block is left."""

    def __init__(self, release, requests, rate, *, attempts=1, timeout=10):
        self.release, self.cluster = release, release.cluster
        self.requests, self.rate, self.attempts, self.timeout = requests, rate, attempts, timeout
        self.clients, self.results, self.began = [], [], 0.0

    def __enter__(self):
        for pod, keep in CLIENTS:
            self.cluster.execute(NAMESPACE, pod, "/bin/sh", "-c", "rm -f /tmp/stop; cat >/tmp/token", text=self.release.token)
            name = os.urandom(4).hex()
            self.clients.append((pod, self.cluster.start(
                "kubectl", "-n", NAMESPACE, "exec", pod, "--", "/usr/bin/python3", "/e2e/load_client.py", "--url", self.release.url, "--token-file", "/tmp/token",
                "--run", name, "--rate", self.rate / 2, "--requests", self.requests // 2, "--attempts", self.attempts, "--timeout", self.timeout,
                *(["--keep"] if keep else []))))
        time.sleep(1.5)  # both are at work
        self.began = time.time()
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.stop()
            for _, process in self.clients:
                process.kill()

    def stop(self):
        for pod, _ in self.clients:
            self.cluster.execute(NAMESPACE, pod, "touch", "/tmp/stop", check=False)

    def finish(self, stop=False):
        """Waits for the end (stop: asks for it). -> self"""
        if stop:
            self.stop()
        for pod, process in self.clients:
            out, err = process.communicate(timeout=self.requests / self.rate * 2 + 120)
            if process.returncode != 0 or not out.startswith("{"):
                raise Failure(f"the client in {pod} ended with {process.returncode}: {err[-600:]}")
            self.results.append(json.loads(out))
        return self

    def total(self, key):
        return sum(result[key] for result in self.results)

    @property
    def failed(self):
        return self.total("failed")

    @property
    def runs(self):
        """For Peers.taky_saw."""
        return {result["run"]: (result["requests"], result["unacknowledged"]) for result in self.results}

    @property
    def failures(self):
        return [failure for result in self.results for failure in result["failures"]]

    @property
    def problems(self):
        """-> words: how often each thing went wrong."""
        counts = {}
        for result in self.results:
            for words, count in result["problems"].items():
                counts[words] = counts.get(words, 0) + count
        return ", ".join(f"{count} x {words}" for words, count in sorted(counts.items(), key=lambda item: -item[1])[:5]) or "nothing"

    def failed_when(self, since):
        """-> words: how many attempts failed in each ten seconds from then on."""
        counts = {}
        for result in self.results:
            for second, count in result["failed_at"].items():
                span = int((result["began"] + int(second) - since) // 10) * 10
                counts[span] = counts.get(span, 0) + count
        return ", ".join(f"{count} at {span}-{span + 10} s" for span, count in sorted(counts.items())) or "none"

    def slot(self, name):
        """-> (first answer, last answer, number) of a slot over both clients; None when it gave none."""
        seen = [result["slots"][name] for result in self.results if name in result["slots"]]
        return (min(s["first"] for s in seen), max(s["last"] for s in seen), sum(s["answers"] for s in seen)) if seen else None

    def figures(self):
        new, kept = self.results
        return (f"{self.total('requests'):,} requests at {self.total('per_second'):.0f}/s ({new['requests']:,} on new connections, "
                f"{kept['requests']:,} on {kept['connections']} kept ones), {self.failed} failed, {self.total('acknowledged'):,} detections acknowledged"
                + (f" ({self.total('spooled')} of them spooled)" if self.total("spooled") else "")
                + f", p99 {max(new['p99_ms'], kept['p99_ms']):.0f} ms, slowest {max(new['max_ms'], kept['max_ms']):.0f} ms")

    def want_none_failed(self):
        if self.failed:
            raise Failure(f"{self.figures()}; {self.problems}; first: {self.failures[:2]}")
