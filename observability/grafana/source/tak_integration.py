"""Does what was accepted arrive at every TAK server, how late, and what waits?"""
from dashboard import choice, dashboard
from vocabulary import LOGS, LOKI, alerts_table, alerts_tile, lines, logs, row, service, share, states, tile

SINK = 'sink=~"$sink"'
PUSHES = "tak_push_total"
NOT_ARRIVED = f'{SINK}, status=~"failed|dead"'
QUEUE = ["OfflineQueueGrowing", "OfflineQueueCritical"]
TAK_EVENTS = "tak_.*|dead_letter|lease_lost|queue_filling|certificate_expiring|credentials_.*|claim_failed|delivery_unrecorded|store_back"


def largest(metric):
    """The outbox is shared by the instances, and each tells the same number: the largest, for each sink."""
    return f"max by (sink) ({service(metric, SINK)})"


def rate(metric, more="", by="sink"):
    """Events each second."""
    return f"sum by ({by}) (rate({service(metric, more or SINK)}[$__rate_interval]))"


def grown(more):
    """Events over the alerts' 5 minutes."""
    return f"sum by (sink) (increase({service(PUSHES, more)}[5m]))"


def push_time(part, window="$__rate_interval", by="sink, le"):
    """A quantile of the time from a batch's first byte to its confirmation."""
    function = "rate" if window == "$__rate_interval" else "increase"
    return f"histogram_quantile({part}, sum by ({by}) ({function}({service('tak_push_duration_seconds_bucket', SINK)}[{window}])))"


def overview():
    """What is wrong is seen here: each tile shows the worst sink."""
    return row("Now (the worst of the chosen sinks)", [
        alerts_tile(),
        tile("Connected", "1: every chosen sink is connected to its TAK server, by the instance that delivers to it. 0: at least one is not; "
             "detections are accepted and wait.", f"min({largest('tak_sink_connected')})", "none", alerts=["TAKServerUnreachable"],
             names={1: ("all", "green"), 0: ("NOT ALL", "red")}),
        tile("Not arrived", "Share of pushed events that were not confirmed before the connection ended, or were refused, over 5 minutes. "
             "What failed is sent again.", f"max({share(grown(NOT_ARRIVED), grown(SINK))})", "percentunit", alerts=["TAKPushFailures"],
             decimals=1, noun="nothing pushed"),
        tile("P95 of a push", "From a batch's first byte to its confirmation by the TAK server, over 5 minutes.",
             f"max({push_time(0.95, '5m')} >= 0)", "s", alerts=["TAKPushLatency"], noun="nothing pushed"),
        tile("Waiting", "Events in the longest queue.", f"max({largest('offline_queue_size')})", "short", alerts=QUEUE),
        tile("Oldest waiting", "Age of the oldest event that waits: so far behind is the map.",
             f"max({largest('offline_queue_oldest_item_age_seconds')})", "s", alerts=["OfflineQueueStale"]),
        tile("Queue used", "Share of a queue's limit that is used, of items or bytes. At 100 % detections are refused with 507.",
             f"max({largest('offline_queue_usage_ratio')})", "percentunit", alerts=["OfflineQueueFilling", "OfflineQueueNearlyFull"], decimals=1),
        tile("Dead letters", "Events that a sink refused for good. They can be looked at and tried again: GET /api/v1/delivery/{sink}/dead-letters.",
             f"max({largest('tak_dead_letters')})", "short", alerts=["DeadLetters"]),
    ], height=4)


def connections():
    """Who is connected, what fires."""
    return row("Alerts and connections", [
        alerts_table(width=12),
        states("Connection", "Each TAK server, over time.", [(largest("tak_sink_connected"), "{{sink}}")],
               {1: ("connected", "green"), 0: ("away", "red")}, alerts=["TAKServerUnreachable"], width=6),
        lines("Reconnects", "Connections made after the first, a minute: a line that flaps, or two services with one client certificate.",
              [(f"60 * {rate('tak_reconnects_total')}", "{{sink}}")], "cpm", width=6),
    ], height=7)


def pushes():
    """Success and failure."""
    return row("Push", [
        lines("Pushed by outcome", "Events each second. success: the TAK server confirmed; unconfirmed: it never answers pings, and what its TCP "
              "stack took counts; failed: not confirmed before the connection ended, sent again; dead: refused, a dead letter.",
              [(rate(PUSHES, by="sink, status"), "{{sink}} {{status}}")], "cps"),
        lines("Not arrived", "Share of events not confirmed, or refused, for each sink.",
              [(share(rate(PUSHES, NOT_ARRIVED), rate(PUSHES)), "{{sink}}")], "percentunit", alerts=["TAKPushFailures"], most=1),
        lines("Push latency", "From a batch's first byte to its confirmation: median and what 19 of 20 batches stay under.",
              [(push_time(0.5), "{{sink}} P50"), (push_time(0.95), "{{sink}} P95")], "s", alerts=["TAKPushLatency"]),
    ])


def queue():
    """Depth, age, sync rate."""
    return row("Queue", [
        lines("Queue depth", "Events that wait for each sink, on a logarithmic scale. It grows while the TAK server is away, and must fall when "
              "it is back. The limit is that of a sink that has none of its own.",
              [(largest("offline_queue_size"), "{{sink}}"), (f"max({service('offline_queue_capacity_items')})", "limit")], "short",
              alerts=QUEUE, log=True, decimals=0),
        lines("Oldest waiting", "Age of the oldest event of each queue.",
              [(largest("offline_queue_oldest_item_age_seconds"), "{{sink}}")], "s", alerts=["OfflineQueueStale"]),
        lines("Sync rate", "Events each second that were delivered after they had waited for a lost connection: how fast a backlog is worked off.",
              [(rate("offline_queue_synced_total"), "{{sink}}")], "cps"),
        lines("Queue used", "Share of each sink's limit, of the scarcer of items and bytes. At 100 % detections are refused with 507.",
              [(largest("offline_queue_usage_ratio"), "{{sink}}")], "percentunit", alerts=["OfflineQueueFilling", "OfflineQueueNearlyFull"]),
        lines("Queue in bytes", "About what the waiting events take in the store, on a logarithmic scale, beside the limit of a sink that has "
              "none of its own.",
              [(largest("offline_queue_bytes"), "{{sink}}"), (f"max({service('offline_queue_capacity_bytes')})", "limit")], "bytes", log=True),
        lines("Left out", "Events left out for a sink, each second: filtered (its filter), superseded (a newer event of the same track), stale "
              "(too old to be of use). This is what was configured, not a fault.",
              [(rate("tak_omitted_total", by="sink, reason"), "{{sink}} {{reason}}")], "cps"),
        lines("Dead letters", "Events that a sink refused for good and that wait for a person.",
              [(largest("tak_dead_letters"), "{{sink}}")], "short", alerts=["DeadLetters"]),
        lines("Delivery budget burn", "The objective: in 99 % of the moments in which a TAK server is connected, nothing has waited for it for "
              "more than 5 s. 1 is the pace that spends the rest in exactly 30 days.",
              [(f"detection:deliver_errors:ratio_rate{window} / 0.01", f"{{{{sink}}}} over {window}") for window in ("5m", "30m", "1h", "6h")],
              "none", alerts=["DeliveryBudgetBurn"]),
        lines("Client certificate", "Time until the client certificate of each TLS sink ends. After that the TAK server refuses the connection.",
              [(f"min by (sink) ({service('tak_certificate_expiry_timestamp_seconds', SINK)}) - time()", "{{sink}}")], "s",
              alerts=["TAKCertificateExpiring"]),
    ])


def log_lines():
    """What the couriers say."""
    return row("Log", [
        lines("Lines by event", "What the couriers tell, each second.",
              [(f'sum by (event) (rate({{{LOGS}}} | event=~"{TAK_EVENTS}" [$__auto]))', "{{event}}")],
              "cps", source=LOKI, width=8),
        logs("Connections, refusals, certificates", "tak_lost says why a connection ended, dead_letter what was refused, "
             "tak_never_confirms that a server does not answer pings.", f'{{{LOGS}}} | event=~"{TAK_EVENTS}" | json', width=16),
    ], height=9)


def build(runbooks):
    """The dashboard."""
    sinks = choice("sink", "Sink", "label_values(tak_sink_connected, sink)", ".+")
    return dashboard("tak-integration", "TAK Integration", "Does what was accepted arrive at every TAK server, how late, and what waits? "
                     "The first row is green when all is well.", [overview(), connections(), pushes(), queue(), log_lines()],
                     more=[sinks], runbooks=runbooks)
