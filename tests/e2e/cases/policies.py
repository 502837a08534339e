"""Every network policy of the chart: what it allows passes, all else is refused; from pods, each on another node than its target.

A refusal is shown beside a proof that the port answers: somebody else, who may, gets through to the same one.
"""

import json

from cases import case, want
from harness.peers import NAMESPACE, START_LISTENER, pod

TRY = """
import concurrent.futures, json, socket, sys
def attempt(target):
    host, port = target
    try:
        if port == "dns-udp":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.settimeout(3)
                s.sendto(bytes.fromhex("123401000001000000000000") + b"\\x0akubernetes\\x07default\\x03svc\\x07cluster\\x05local\\x00\\x00\\x01\\x00\\x01", (host, 53))
                return len(s.recv(512)) > 12
        with socket.create_connection((host, 53 if port == "dns-tcp" else port), timeout=3):
            return True
    except OSError:
        return False
targets = json.load(sys.stdin)
with concurrent.futures.ThreadPoolExecutor(32) as pool:
    print(json.dumps(list(pool.map(attempt, targets))))
"""


class Network:
    """Who reaches whom; remembers what got through, and what did not."""

    def __init__(self, world):
        self.world, self.passed, self.refused, self.wrong = world, 0, 0, []
        self.reached, self.closed = set(), set()

    def look(self, space, source, targets):
        """targets: {words: (host, port, allowed)}"""
        asked = json.dumps([[host, port] for host, port, _ in targets.values()])
        got = json.loads(self.world.peers.python(source, TRY, text=asked, space=space))
        for (words, (host, port, allowed)), through in zip(targets.items(), got):
            self.passed += through
            self.refused += not through
            (self.reached if through else self.closed).add((host, port))
            if through != allowed:
                self.wrong.append(f"{source} to {words}: {'passed' if through else 'was refused'}")


def api_labels(release):
    labels = dict(release.live_pods(release.active)[0]["metadata"]["labels"])
    for own in ("slot", "pod-template-hash"):
        labels.pop(own, None)
    return labels


@case("policies")
def policies(world):
    """From outside in and from inside out, for the service, its hooks, its tests, and a pod that nothing names."""
    release, cluster, peers = world.release, world.cluster, world.peers
    release.baseline()
    nodes = cluster.nodes()
    labels = api_labels(release)
    # Stand-ins with the labels of the chart's pods (whose images have no shell); none has a slot, so no Service or budget takes them.
    stand_ins = {"as-service": labels, "as-hook": {**labels, "app.kubernetes.io/component": "migrate"},
                 "as-test": {**labels, "app.kubernetes.io/component": "test"}, "bystander": {"role": "bystander"}}
    cluster.apply(*(pod(release.space, name, "load:test", ["/usr/bin/python3", "-c", START_LISTENER], labels=of, node=nodes[-1], port=9999,
                        prefix=world.prefix) for name, of in stand_ins.items()))
    try:
        # The probe comes from the node itself, which is not filtered.
        cluster.kubectl("-n", release.space, "wait", "--for=condition=Ready", "pod", *stand_ins, "--timeout=60s")
        return look_at_all(world, peers, nodes)
    finally:
        cluster.kubectl("-n", release.space, "delete", "pod", *stand_ins, "--wait=false")


def look_at_all(world, peers, nodes):
    release, cluster = world.release, world.cluster
    at = {p["metadata"]["name"]: p["status"]["podIP"] for space in (NAMESPACE, release.space) for p in cluster.items("-n", space, "pods") if p["status"].get("podIP")}
    dns = cluster.get("-n", "kube-system", "service", "kube-dns")["spec"]["clusterIP"]
    apiserver = cluster.get("-n", "default", "service", "kubernetes")["spec"]["clusterIP"]
    live = release.live_pods(release.active)
    network = Network(world)
    for source, node, api, metrics in (("load-1", nodes[0], True, False), ("scraper", nodes[0], False, True), ("stranger", nodes[1], False, False)):
        targets = {"as-service:9999": (at["as-service"], 9999, False), "as-hook:9999": (at["as-hook"], 9999, False), "as-test:9999": (at["as-test"], 9999, False),
                   "bystander:9999": (at["bystander"], 9999, False), "bystander:8000": (at["bystander"], 8000, False)}
        for one in live:
            if one["spec"]["nodeName"] != node:
                targets[f"{one['metadata']['name']}:8000"] = (one["status"]["podIP"], 8000, api)
                targets[f"{one['metadata']['name']}:9100"] = (one["status"]["podIP"], 9100, metrics)
        want(any(port == 9100 for _, port, _ in targets.values()), f"every pod is on {node}, where {source} is")
        network.look(NAMESPACE, source, targets)
    # The same outside targets, which the stranger may reach, prove that they answer.
    outside = {"PostgreSQL": (at["postgres"], 5432), "taky": (at["taky"], 8087), "listener:9999": (at["listener"], 9999), "listener:8000": (at["listener"], 8000),
               "the API server": (apiserver, 443), "DNS over UDP": (dns, "dns-udp"), "DNS over TCP": (dns, "dns-tcp")}
    network.look(NAMESPACE, "stranger", {words: (*target, True) for words, target in outside.items()})
    elsewhere = [p for p in live if p["spec"]["nodeName"] != nodes[-1]]
    want(elsewhere, f"every pod is on {nodes[-1]}")
    inside = {f"{p['metadata']['name']}:{port}": (p["status"]["podIP"], port) for p in elsewhere for port in (8000, 9100)}
    name_service = {"DNS over UDP", "DNS over TCP"}
    for source, allowed in (("as-service", {"PostgreSQL", "taky"}), ("as-hook", {"PostgreSQL"}), ("as-test", set(inside)), ("bystander", set())):
        network.look(release.space, source, {words: (*target, words in allowed | name_service) for words, target in {**outside, **inside}.items()})
    # Ports that were closed to all of them do answer: to their own pod.
    for source in ("as-service", "as-hook", "as-test", "bystander"):
        network.look(release.space, source, {f"itself:{port}": (at[source], port, True) for port in (8000, 9999)})
    want(not network.wrong, "; ".join(network.wrong))
    silent = network.closed - network.reached
    want(not silent, f"refused, but nothing shows that it answers at all: {sorted(map(str, silent))}")
    policy_names = sorted(p["metadata"]["name"] for p in cluster.items("-n", release.space, "networkpolicies"))
    return f"{network.passed} allowed ways passed, {network.refused} others were refused ({', '.join(policy_names)})"
