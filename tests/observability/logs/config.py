"""What the files of loki/, collector/ and promtail/ promise, looked at without running anything for long."""

import json
import re
import subprocess
from collections import Counter

import yaml
from stack import GATE, HERE, OBSERVABILITY, ROOT, NotHere, want
from story import LABELS, METADATA, blocks, example_lines, runbook_blocks

COLLECTOR_SOURCE = ROOT / "tests" / "e2e" / "cluster" / "tools" / "otelcol"


def load(*parts):
    return yaml.safe_load(OBSERVABILITY.joinpath(*parts).read_text(encoding="utf-8"))


def loki_file():
    settings = load("loki", "loki.yaml")
    limits = settings["limits_config"]
    (schema,) = settings["schema_config"]["configs"]
    want((schema["store"], schema["schema"], schema["object_store"]) == ("tsdb", "v13", "filesystem"), f"the schema is {schema}")
    want(limits["retention_period"] == "336h" and settings["compactor"]["retention_enabled"] is True, "lines are not deleted after 14 days")
    want(limits["discover_service_name"] == [] and limits["discover_log_levels"] is False, "Loki adds labels of its own")
    otlp = limits["otlp_config"]
    labels = {name for part in (otlp["resource_attributes"]["attributes_config"], otlp["log_attributes"]) for entry in part
              if entry["action"] == "index_label" for name in entry["attributes"]}
    want(labels == LABELS and otlp["resource_attributes"]["ignore_defaults"] is True, f"the labels are {sorted(labels)}")
    want(limits["max_label_names_per_series"] == len(LABELS), "a fifth label would be taken")
    want(settings["analytics"]["reporting_enabled"] is False, "Loki reports to its makers")


def collector_file():
    settings = load("collector", "collector.yaml")
    receiver, exporter = settings["receivers"]["file_log"], settings["exporters"]["otlp_http"]
    queue = exporter["sending_queue"]
    want(receiver["storage"] == queue["storage"] == "file_storage" and settings["extensions"]["file_storage"]["fsync"] is True, "offsets or queue are not on disk")
    want(queue["block_on_overflow"] is True, "a full queue drops lines")
    for part in (receiver, exporter):
        want(part["retry_on_failure"]["enabled"] is True and part["retry_on_failure"]["max_elapsed_time"] == "0s", "it gives up after a while")
    (pipeline,) = settings["service"]["pipelines"].values()
    want(pipeline["processors"][0] == "memory_limiter", "the memory limiter is not the first")
    want("batch" not in settings["processors"], "the batch processor holds lines in memory that count as delivered")
    statements = [line for part in settings["processors"]["transform"]["log_statements"] for line in part["statements"]]
    made = {name for line in statements for name in re.findall(r'^set\(log\.attributes\["(\w+)"\]', line)}
    want(made == METADATA - {"pod"} | {"level"}, f"the transform sets {sorted(made)}")
    want('keep_keys(resource.attributes, ["namespace", "app", "slot", "pod"])' in statements, "other attributes of the resource reach Loki")
    daemon = (OBSERVABILITY / "kubernetes" / "collector.yaml").read_text(encoding="utf-8")
    want(GATE in daemon, f"the DaemonSet does not say {GATE}")
    over = yaml.safe_load((HERE / "laptop.yaml").read_text(encoding="utf-8"))
    want(over == {"service": {"pipelines": {"logs": {"processors": [p for p in pipeline["processors"] if p != "k8s_attributes"]}}}},
         "laptop.yaml changes more than that the cluster is not asked")


def one_collector():
    """The builder's manifest, and what the cluster tool builds."""
    parts = Counter()
    for kind, entries in load("collector", "builder.yaml").items():
        if kind != "dist":
            parts.update(entry["gomod"] for entry in entries)
    required = dict(re.findall(r"^\t(\S+) (v\S+)$", (COLLECTOR_SOURCE / "go.mod").read_text(encoding="utf-8"), re.MULTILINE))
    for part in parts:
        module, version = part.split()
        want(required.get(module) == version, f"builder.yaml has {part}, go.mod {required.get(module)}")
    imported = set(re.findall(r'^\t"(\S+)"$', (COLLECTOR_SOURCE / "main.go").read_text(encoding="utf-8"), re.MULTILINE))
    kinds = ("/receiver/", "/processor/", "/exporter/", "/extension/", "provider")
    built = {module for module in imported if any(kind in module for kind in kinds)}
    listed = {part.split()[0] for part in parts}
    want(built == listed, f"only in builder.yaml: {sorted(listed - built)}, only in main.go: {sorted(built - listed)}")
    return len(listed)


def event_names():
    """Every event that a query or an example names is one that the sources say."""
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.cpp"))
    names = {name for query in blocks() + runbook_blocks() for pattern in re.findall(r'event=~?"([^"]*)"', query) for name in pattern.split("|")}
    names |= {re.search(r'"event": "(\w+)"', line)[1] for line in example_lines("x")}
    for name in sorted(names):
        want(re.search(f'"{name.replace(".*", "[a-z_]+")}"', sources), f"no source says the event {name}, which a query asks for")
    return len(names)


def promtail_file():
    settings = load("promtail", "promtail.yaml")
    (job,) = settings["scrape_configs"]
    labels = {rule["target_label"] for rule in job["relabel_configs"] if not rule.get("target_label", "__").startswith("__") and rule.get("action", "replace") == "replace"}
    metadata = set()
    for stage in job["pipeline_stages"]:
        labels |= set(stage.get("labels", {}))
        metadata |= set(stage.get("structured_metadata", {}))
        labels -= set(stage.get("labeldrop", []))
    want(labels - metadata == LABELS, f"Promtail's labels are {sorted(labels - metadata)}")
    want(metadata == METADATA, f"Promtail's structured metadata are {sorted(metadata)}")


def tools(world, folder):
    """What loki and otelcol say of the files."""
    said = []
    if tool := world.tool("loki"):
        run = subprocess.run([tool, f"-config.file={OBSERVABILITY / 'loki' / 'loki.yaml'}", "-verify-config"], capture_output=True, text=True)
        want(run.returncode == 0, f"loki: {(run.stderr or run.stdout)[-500:]}")
        said.append("loki")
    if tool := world.tool("otelcol"):
        environment = {"STATE_DIRECTORY": str(folder), "KUBE_NODE_NAME": "x", "PATH": "/usr/bin:/bin"}
        run = subprocess.run([tool, "validate", GATE, "--config", OBSERVABILITY / "collector" / "collector.yaml"], capture_output=True, text=True, env=environment)
        want(run.returncode == 0, f"otelcol: {(run.stderr or run.stdout)[-500:]}")
        said.append("otelcol")
    return said


def logql(_world, _folder):
    """Every query of queries.md and of the runbooks, by Grafana's own grammar."""
    setup = subprocess.run([ROOT / "tests" / "peers" / "setup_node.sh", "logql"], capture_output=True, text=True)
    if setup.returncode == 77:
        raise NotHere(setup.stderr.strip().splitlines()[-1].removeprefix("SKIPPED: "))
    want(setup.returncode == 0, setup.stderr.strip())
    asked = blocks() + runbook_blocks()
    planted = ['{namespace="x"} |= ', "sum by (slot) (count_over_time({app=\"x\"} | json [5m])", '{app="x"} | event=']
    folder = ROOT / ".cache" / "node" / "logql"
    run = subprocess.run(["node", folder / "check.mjs"], input=json.dumps(asked + planted), capture_output=True, text=True)
    want(run.returncode == 0, run.stderr.strip()[-500:])
    answers = json.loads(run.stdout)
    wrong = [f"{query} ... at: {at}" for query, at in zip(asked, answers) if at]
    want(not wrong, f"no LogQL: {wrong}")
    want(all(answers[len(asked):]), f"planted faults were not found: {answers[len(asked):]}")
    return f"{len(asked)} queries read"


def check(world, folder):
    loki_file()
    collector_file()
    parts = one_collector()
    promtail_file()
    events = event_names()
    said = tools(world, folder)
    return f"{parts} parts of the collector, {len(blocks())} queries with {events} events; {' and '.join(said) or 'neither loki nor otelcol'} asked"
