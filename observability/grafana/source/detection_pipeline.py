"""Do detections come in, are they answered fast, and are they good?"""
from vocabulary import (LOGS, LOKI, OUR_JOB, alerts_table, alerts_tile, heat, in_colour, in_window, lines, logs, per_second, quantile, row, service, share,
                        states, tile)
from dashboard import dashboard

REQUESTS, SECONDS = "http_requests_total", "http_request_duration_seconds"
FAILED = 'status_code=~"5..", route!~"/health|/ready|/metrics"'
DETECTIONS = "detections_processed_total"
ASKED = 'route!~"/health|/ready|/metrics"'  # probes and scrapes are no requests
# Nor are batches and checks of the audit chain, whose time grows with their size, in the limits of the durations.
TIMED = 'route!~"/health|/ready|/metrics|/api/v1/detections/batch|/api/v1/audit/verify"'
FLAGS = {"GREEN": "green", "YELLOW": "yellow", "RED": "red"}


def burn(window):
    """How many times faster than allowed the error budget of 0.1 % is spent: the alert's own series."""
    return f"detection:accept_errors:ratio_rate{window} / 0.001"


def overview():
    """What is wrong is seen here."""
    return row("Now", [
        alerts_tile(),
        tile("Instances up", "Instances of the chosen slots that Prometheus can read.", f"sum({service('up', OUR_JOB)}) or vector(0)", "short",
             alerts=["ServiceDown", "TooFewInstances"]),
        tile("Requests", "Requests answered each second over 5 minutes. No request at all for 10 minutes: NoRequestsReceived; look at the "
             "Ingress and the sources.", per_second(REQUESTS, ASKED), "reqps", alerts=["NoRequestsReceived"]),
        tile("Server errors", "Share of answers 5xx over 5 minutes.", share(in_window(REQUESTS, "5m", FAILED), in_window(REQUESTS, "5m", ASKED)),
             "percentunit", alerts=["HighErrorRate"], decimals=2, noun="no traffic"),
        tile("P99 of requests", "99 of 100 requests of the last 5 minutes were answered within this time (without batches and checks of the audit chain).",
             quantile(0.99, SECONDS, TIMED, window="5m"), "s", alerts=["HighP99Latency"], noun="no traffic"),
        tile("Processing errors", "Share of detections that the service itself could not process, over 5 minutes (status error; what a client "
             "got wrong is rejected, and does not count).",
             share(in_window(DETECTIONS, "5m", 'status="error"'), in_window(DETECTIONS, "5m")), "percentunit",
             alerts=["DetectionProcessingErrors"], decimals=1, noun="no traffic"),
        tile("RED detections", "Share of accepted detections over 15 minutes whose position or class is poor: CE90 over 100 m, or little AI "
             "confidence. They are held for a person.",
             share(in_window(DETECTIONS, "15m", 'status="accepted", confidence_flag="RED"'), in_window(DETECTIONS, "15m", 'status="accepted"')),
             "percentunit", alerts=["LowGeolocationConfidence"], decimals=1, noun="no traffic"),
        tile("Waiting for TAK", "Events that wait for the sink with the longest queue: see the dashboard TAK Integration.",
             f"max(max by (sink) ({service('offline_queue_size')}))", "short", alerts=["OfflineQueueGrowing", "OfflineQueueCritical"]),
    ], height=4)


def releases():
    """What runs, and what fires."""
    return row("Alerts and release", [
        alerts_table(width=12),
        states("Which slot delivers", "1 where the instances of a slot send to TAK. Exactly one slot does; a service without slots is "
               "shown with an empty name.", [(f"max by (slot) ({service('release_slot_active')})", "slot {{slot}}")],
               {1: ("delivers", "green"), 0: ("waits", "blue")}, width=6),
        states("Instances", "Each instance as Prometheus reads it: a gap that comes back is a restart, one that does not is a lost pod.",
               [(f"max by (instance, slot) ({service('up', OUR_JOB)})", "{{slot}} {{instance}}")], {1: ("up", "green"), 0: ("down", "red")}, width=6),
    ], height=7)


def requests():
    """Rate, errors, duration of the API."""
    return row("Requests", [
        lines("Requests by status", "Answers each second by status code. 5xx are ours, 401 and 403 are on the dashboard Audit Trail, 422 are "
              "detections with wrong fields or impossible geometry, 429 the rate limit.",
              [(per_second(REQUESTS, ASKED, by="status_code"), "{{status_code}}")], "reqps", stacked=True),
        lines("Requests by route", "Which part of the API is used, each second.",
              [(per_second(REQUESTS, ASKED, by="method, route"), "{{method}} {{route}}")], "reqps", stacked=True),
        lines("Server errors by route", "Share of answers 5xx by route: where they come from.",
              [(share(per_second(REQUESTS, FAILED, by="route"), per_second(REQUESTS, ASKED, by="route")), "{{route}}")],
              "percentunit", alerts=["HighErrorRate"]),
        lines("Duration of requests", "From a request's last byte to its answer (without batches and checks of the audit chain).",
              [(quantile(share_, SECONDS, TIMED), name) for share_, name in ((0.5, "P50"), (0.95, "P95"), (0.99, "P99"))], "s",
              alerts=["HighP95Latency", "HighP99Latency"]),
        heat("Durations", "How the durations are spread: two bands are two kinds of requests, for instance single ones and batches.",
             SECONDS, "s", TIMED),
        lines("P95 by route", "95 of 100 requests of each route are answered within this time.",
              [(quantile(0.95, SECONDS, TIMED, by="route"), "{{route}}")], "s", alerts=["HighP95Latency"]),
        lines("Error budget burn", "1 is the pace that spends the budget of 0.1 % in exactly 30 days. Both windows of a pair must be over the "
              "limit: the long one shows that it matters, the short one that it goes on.",
              [(burn(window), f"over {window}") for window in ("5m", "30m", "1h", "2h", "6h", "1d", "3d")], "none",
              alerts=["ErrorBudgetBurn", "ErrorBudgetSlowBurn"]),
        lines("Rate limit", "Requests answered 429 each second, by whose budget was spent: an authenticated subject, an address without "
              "credentials, the token endpoint.",
              [(per_second("rate_limit_hits_total"), "all"), (per_second("rate_limit_hits_total", by="scope"), "{{scope}}")], "reqps",
              alerts=["RateLimitRejections"], width=6),
        lines("Refused unread", "Requests and connections refused at a limit before they were worked on, each second, by reason.",
              [(per_second("http_refused_total", by="reason"), "{{reason}}")], "reqps", width=6),
        lines("Open now", "Requests being worked on, connections, readers of the live feed. Requests that only grow: the store is slow.",
              [(f"sum({service('http_requests_in_progress')})", "requests"), (f"sum({service('http_connections')})", "connections"),
               (f"sum({service('feed_readers')})", "feed readers")], "short", width=4),
    ])


def detections():
    """From the body to the commit."""
    accepted = 'status="accepted"'
    return row("Detections", [
        lines("Detections by outcome", "Each second. rejected: the client's fault (fields, geometry); error: ours; repeated: sent twice, "
              "answered as before; conflict: the same id with another content.",
              [(per_second(DETECTIONS, by="status"), "{{status}}")], "cps", stacked=True),
        lines("Confidence flags", "Share of each flag among accepted detections. GREEN: CE90 at most 25 m; RED, over 100 m or little AI "
              "confidence, is held for a person.",
              [(share(per_second(DETECTIONS, f'{accepted}, confidence_flag="{flag}"'), per_second(DETECTIONS, accepted)), flag) for flag in FLAGS],
              "percentunit", alerts=["LowGeolocationConfidence"], overrides=in_colour(FLAGS), most=1),
        lines("Accuracy (CE90)", "Radius that holds the true point with 90 % probability: its median and what 9 of 10 detections stay under. "
              "The lines are the limits of GREEN and RED.",
              [(quantile(0.5, "detection_ce90_meters"), "median"), (quantile(0.9, "detection_ce90_meters"), "9 of 10")], "lengthm", log=True,
              steps=[{"color": "green", "value": None}, {"color": "orange", "value": 25}, {"color": "red", "value": 100}]),
        lines("Processing time", "From a detection's last byte to its commit on disk.",
              [(quantile(share_, "detection_processing_duration_seconds"), name) for share_, name in ((0.5, "P50"), (0.95, "P95"), (0.99, "P99"))],
              "s", alerts=["SlowDetectionProcessing"]),
        lines("Commit time", "One group commit, from BEGIN to durable: the disk's or the database's part of the processing time.",
              [(quantile(share_, "store_commit_duration_seconds"), name) for share_, name in ((0.5, "P50"), (0.99, "P99"))], "s"),
        lines("Group commit", "Detections in one commit (mean), and jobs in front of the writer. A queue that stays is a store at its limit.",
              [(f"{per_second('store_commit_batch_size_sum')} / ({per_second('store_commit_batch_size_count')} > 0)", "detections in a commit"),
               (f"max({service('store_queue_jobs')})", "jobs waiting")], "short"),
        lines("Cache hits", "Share of look-ups answered by a cache: token is the check of bearer tokens, detections the reads of records.",
              [(f"{per_second('cache_hits_total', by='cache')} / ({per_second('cache_hits_total', by='cache')} + "
                f"{per_second('cache_misses_total', by='cache')} > 0)", "{{cache}}")], "percentunit", alerts=["LowCacheHitRate"], most=1, width=12),
        lines("Live feed", "Events given to readers of GET /api/v1/events each second, and readers cut off because they were too slow.",
              [(per_second("feed_events_total"), "events"), (per_second("feed_readers_cut_total"), "readers cut")], "cps", width=12),
    ])


def log_lines():
    """What the service says itself."""
    return row("Log", [
        lines("Lines by event", "Warnings and errors each second by their event: a new name here is where to begin.",
              [(f'sum by (event) (rate({{{LOGS}, level=~"warning|error"}} | event!="" [$__auto]))', "{{event}}")],
              "cps", source=LOKI, width=8),
        logs("Warnings and errors", "The lines themselves. A line's fields open with a click; detection_id and request_id lead on to Audit Trail.",
             f'{{{LOGS}, level=~"warning|error"}} | json', width=16),
    ], height=9)


def build(runbooks):
    """The dashboard."""
    return dashboard("detection-pipeline", "Detection Pipeline", "Do detections come in, are they answered fast, and are they good? "
                     "The first row is green when all is well.", [overview(), releases(), requests(), detections(), log_lines()],
                     runbooks=runbooks)
