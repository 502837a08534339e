"""Do the pods have what they need, and are the nodes well? From the service itself, the kubelets' cAdvisor and volume
metrics and the node exporter; kube-state-metrics is not needed."""
from dashboard import dashboard
from vocabulary import OUR_JOB, alerts_table, alerts_tile, lines, per_second, quantile, row, service, share, states, target, tile

POD = 'namespace=~"$namespace", container!="", container!="POD"'
OF_PODS = 'namespace=~"$namespace", pod!=""'
OF_POD = "namespace, pod, container"
PROBES, PASSED = 'route="/ready"', 'route="/ready", status_code="200"'
NODE_CPU, IDLE = "node_cpu_seconds_total", 'mode="idle"'
DISKS = 'fstype!~"tmpfs|overlay|squashfs|ramfs|proc|devtmpfs"'
WIRES = 'device!~"lo|veth.*|cali.*|cni.*|flannel.*|tunl.*|docker.*|br-.*"'


def of_containers(metric, aggregation="max"):
    """A gauge of the containers in the chosen namespaces."""
    return f"{aggregation} by ({OF_POD}) ({target(metric, POD)})"


def container_rate(metric, window="$__rate_interval", function="rate"):
    """A counter of the containers, each second."""
    return f"sum by ({OF_POD}) ({function}({target(metric, POD)}[{window}]))"


def cpu_of_limit(used):
    """Share of the processor limit; nothing for a container that has none."""
    return f"{used} / ({of_containers('container_spec_cpu_quota')} / {of_containers('container_spec_cpu_period')})"


def memory_of_limit():
    """Share of the memory limit at which the kernel kills."""
    return f"{of_containers('container_memory_working_set_bytes')} / ({of_containers('container_spec_memory_limit_bytes')} > 0)"


def volumes():
    """Fill of the persistent volumes: the service's, and the monitoring's own."""
    used, size = target("kubelet_volume_stats_used_bytes", 'namespace=~"$namespace|monitoring"'), target("kubelet_volume_stats_capacity_bytes")
    return f"max by (namespace, persistentvolumeclaim) ({used} / {size})"


def restarts(window):
    """Starts of a process that Prometheus saw change, for each pod."""
    return f"max by (pod) (changes({service('process_start_time_seconds', OUR_JOB)}[{window}]))"


def busy(window="$__rate_interval"):
    """Share of its processors that a node uses."""
    return f"1 - avg by (instance) (rate({target(NODE_CPU, IDLE)}[{window}]))"


def overview():
    """What is wrong is seen here: each tile shows the worst."""
    five_minutes = f"({container_rate('container_cpu_usage_seconds_total', '5m', 'increase')} / 300)"
    return row("Now (the worst of what is chosen)", [
        alerts_tile(),
        tile("Instances up", "Instances of the service that Prometheus can read.", f"sum({service('up', OUR_JOB)}) or vector(0)",
             "short", alerts=["ServiceDown", "TooFewInstances"]),
        tile("Delivering", "1: the instances of one slot deliver to TAK. 0: none does; what is accepted waits.",
             f"max({service('release_slot_active')})", "none", alerts=["NoActiveSlot"], names={1: ("a slot", "green"), 0: ("NONE", "red")}),
        tile("Restarts", "Most restarts of one pod in 5 minutes.", f"max({restarts('5m')})", "short", alerts=["PodRestarting"]),
        tile("CPU of limit", "The container nearest to its processor limit, over 5 minutes. At 100 % it is throttled.",
             f"max({cpu_of_limit(five_minutes)})", "percentunit", alerts=["ContainerCpuNearLimit"], decimals=0, noun="no kubelet"),
        tile("Memory of limit", "The container nearest to its memory limit. At 100 % the kernel kills it.", f"max({memory_of_limit()})",
             "percentunit", alerts=["ContainerMemoryNearLimit"], decimals=0, noun="no kubelet"),
        tile("Fullest volume", "The persistent volume with the least room.", f"max({volumes()})", "percentunit", alerts=["VolumeFilling"],
             decimals=0, noun="no volume"),
        tile("Busiest node", "Share of its processors that the busiest node uses.", f"max({busy()})", "percentunit", decimals=0),
    ], height=4)


def pods():
    """How many, how they are, what fires."""
    return row("Alerts and pods", [
        alerts_table(width=12),
        lines("Instances by slot", "Instances up in each slot. During a release both have some.",
              [(f"sum by (slot) ({service('up', OUR_JOB)})", "slot {{slot}}")], "short", alerts=["TooFewInstances"], width=6, decimals=0),
        states("Targets", "What Prometheus reads: services, nodes, kubelets. A gap that comes back is a restart.",
               [(f"max by (job, instance) ({target('up')})", "{{job}} {{instance}}")], {1: ("up", "green"), 0: ("down", "red")},
               alerts=["PodNotReady"], width=6),
        lines("Readiness", "Share of a pod's readiness probes that it answered with 200. 0: it gets no traffic.",
              [(share(per_second("http_requests_total", PASSED, "pod"), per_second("http_requests_total", PROBES, "pod")), "{{pod}}")],
              "percentunit", alerts=["PodNotReady"], most=1),
        lines("Restarts", "Restarts of each pod within 5 minutes.", [(restarts("5m"), "{{pod}}")], "short", alerts=["PodRestarting"], decimals=0),
        lines("Out of memory", "Processes of a container that the kernel killed because of its memory limit, in 5 minutes.",
              [(f"{container_rate('container_oom_events_total', '5m', 'increase')}", "{{pod}} {{container}}")], "short", decimals=0),
    ], height=7)


def processor_and_memory():
    """Against the limits of the containers."""
    return row("CPU, memory, network", [
        lines("CPU", "Processors that each container uses.", [(container_rate("container_cpu_usage_seconds_total"), "{{pod}} {{container}}")],
              "short", stacked=True, decimals=2),
        lines("CPU of limit", "Share of its processor limit.", [(cpu_of_limit(container_rate("container_cpu_usage_seconds_total")),
                                                                  "{{pod}} {{container}}")], "percentunit", alerts=["ContainerCpuNearLimit"]),
        lines("Throttled", "Share of the scheduler's periods in which a container had to stop because its limit was spent: answers get slow, "
              "though the mean of its CPU looks harmless.",
              [(f"{container_rate('container_cpu_cfs_throttled_periods_total')} / ({container_rate('container_cpu_cfs_periods_total')} > 0)",
                "{{pod}} {{container}}")], "percentunit", most=1),
        lines("Memory", "Working set of each container: what counts against its limit.",
              [(of_containers("container_memory_working_set_bytes"), "{{pod}} {{container}}")], "bytes", stacked=True),
        lines("Memory of limit", "Share of its memory limit.", [(memory_of_limit(), "{{pod}} {{container}}")], "percentunit",
              alerts=["ContainerMemoryNearLimit"]),
        lines("Network", "Received (in) and sent (out) by each pod.",
              [(f"sum by (pod) (rate({target(f'container_network_{way}_bytes_total', OF_PODS)}[$__rate_interval]))", f"{{{{pod}}}} {name}")
               for way, name in (("receive", "in"), ("transmit", "out"))], "Bps"),
    ])


def disks():
    """Where the data are."""
    return row("Storage", [
        lines("Volumes", "Fill of each persistent volume. A full one stops what writes to it: detections get 507, backups fail.",
              [(volumes(), "{{namespace}} {{persistentvolumeclaim}}")], "percentunit", alerts=["VolumeFilling"], most=1),
        lines("Spool", "Detections on the pods' own disks that wait for the database. A pod that is deleted now takes its spool with it.",
              [(service("spool_size"), "{{pod}}")], "short", alerts=["SpoolNotEmpty"]),
        lines("Spool used", "Share of a pod's spool that is full. At 100 % this pod answers 507.",
              [(f"{service('spool_size')} / ({service('spool_capacity_items')} > 0)", "{{pod}}")], "percentunit", alerts=["SpoolNearlyFull"]),
        lines("Spool conflicts", "Spooled detections that the database refused: each waits for a person.",
              [(f"sum({service('spool_conflicts')})", "conflicts")], "short", alerts=["SpoolConflicts"]),
        lines("Database connections", "Connections of each pod to PostgreSQL. All in use for long: the database is slow.",
              [(f"sum by (pod, state) ({service('store_connections')})", "{{pod}} {{state}}")], "short"),
        lines("Write-ahead log", "Size of SQLite's write-ahead log (the store at the edge, the spool elsewhere). One that only grows is not "
              "checkpointed: a reader never ends, or the disk is slow.", [(service("store_log_bytes"), "{{pod}}")], "bytes"),
        lines("Commit and checkpoint", "P99 of one group commit, and of one checkpoint of SQLite: how fast the disk is.",
              [(quantile(0.99, "store_commit_duration_seconds"), "commit"), (quantile(0.99, "store_checkpoint_duration_seconds"), "checkpoint")], "s",
              width=12),
        lines("API certificate", "Time until the certificate of the API port ends, where the service itself speaks TLS.",
              [(f"min by (pod) ({service('http_certificate_expiry_timestamp_seconds')} > 0) - time()", "{{pod}}")], "s",
              alerts=["ApiCertificateExpiring"], width=12),
        lines("Age of the backup", "Time since the newest good backup was made: what a loss of the store now would cost.",
              [(f"time() - max({service('backup_last_success_timestamp_seconds')} != 0)", "age")], "s", alerts=["BackupTooOld"], width=12),
        lines("Age of the last restore", "Time since a backup was last restored for a check: before that, whether it can be is not known.",
              [(f"time() - max({service('backup_last_verified_timestamp_seconds')} != 0)", "age")], "s", alerts=["BackupNotVerified"], width=12),
    ])


def processes():
    """What the service says of itself; also where there is no kubelet."""
    return row("Processes", [
        lines("CPU of the process", "Processors, as the service itself counts them.",
              [(f"rate({service('process_cpu_seconds_total', OUR_JOB)}[$__rate_interval])", "{{pod}} {{instance}}")], "short", decimals=2, width=6),
        lines("Resident memory", "As the service itself counts it. Growth that never ends is a leak.",
              [(service("process_resident_memory_bytes", OUR_JOB), "{{pod}} {{instance}}")], "bytes", width=6),
        lines("File descriptors", "Share of the descriptors that are open: connections, files.",
              [(f"{service('process_open_fds', OUR_JOB)} / {service('process_max_fds', OUR_JOB)}", "{{pod}} {{instance}}")], "percentunit", width=6),
        lines("Log lines lost", "Lines dropped because whoever reads the log was too slow, each second: Loki does not have them.",
              [(per_second("log_lines_dropped_total", by="pod"), "{{pod}}")], "cps", width=6),
    ], height=7)


def nodes():
    """Their health, from the node exporter."""
    root = f"{target('node_filesystem_avail_bytes', DISKS)} / {target('node_filesystem_size_bytes', DISKS)}"
    return row("Nodes", [
        lines("CPU", "Share of its processors that each node uses.", [(busy(), "{{instance}}")], "percentunit", most=1),
        lines("Load", "Processes that run or wait, for each processor: over 1 they queue.",
              [(f"sum by (instance) ({target('node_load1')}) / count by (instance) ({target(NODE_CPU, IDLE)})", "{{instance}}")], "short"),
        lines("Memory", "Share of its memory that is in use (not available).",
              [(f"1 - sum by (instance) ({target('node_memory_MemAvailable_bytes')}) / sum by (instance) ({target('node_memory_MemTotal_bytes')})",
                "{{instance}}")], "percentunit", most=1),
        lines("Disks", "Fill of each file system. The kubelet evicts pods from a node whose disk is nearly full (by default under 10 % free).",
              [(f"1 - min by (instance, mountpoint) ({root})", "{{instance}} {{mountpoint}}")], "percentunit", most=1),
        lines("Disks busy", "Share of the time in which a disk had work to do. At 100 % commits wait.",
              [(f"max by (instance, device) (rate({target('node_disk_io_time_seconds_total')}[$__rate_interval]))", "{{instance}} {{device}}")],
              "percentunit"),
        lines("Network", "Received (in) and sent (out) by each node.",
              [(f"sum by (instance) (rate({target(f'node_network_{way}_bytes_total', WIRES)}[$__rate_interval]))", f"{{{{instance}}}} {name}")
               for way, name in (("receive", "in"), ("transmit", "out"))], "Bps"),
    ])


def build(runbooks):
    """The dashboard."""
    return dashboard("infrastructure", "Infrastructure", "Do the pods have what they need, and are the nodes well? The first row is green when "
                     "all is well.", [overview(), pods(), processor_and_memory(), disks(), processes(), nodes()], jobs_from="up", runbooks=runbooks)
