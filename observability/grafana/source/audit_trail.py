"""Who did what: the trail is whole, nobody guesses credentials, and a detection's story is found by its id."""
from dashboard import dashboard, text_field
from vocabulary import LOGS, LOKI, alerts_table, alerts_tile, bars, in_colour, in_window, lines, logs, per_second, row, service, share, tile

EVENTS, ATTEMPTS = "audit_events_total", "auth_attempts_total"
REFUSED = 'result!="success"'
GUESSES = 'result=~"invalid|invalid_client|rate_limited"'
ERRORS, RECEIVED = 'severity="ERROR"', 'event_type="detection_received"'
KEY_AGE = "detection:key_created_timestamp_seconds:oldest"
SECURITY_EVENTS = "auth_.*|audit_.*|key_.*|credentials_.*|no_signing_key|limits_.*|release_.*|started|stopping|stopped"
SEVERITIES = {"INFO": "green", "WARNING": "orange", "ERROR": "red"}


def per_minute(more, by="", window="2m"):
    """Attempts a minute, over the window of the alert."""
    minutes = int(window.rstrip("m"))
    return f"{in_window(ATTEMPTS, window, more, by)} / {minutes}"


def overview():
    """What is wrong is seen here."""
    return row("Now", [
        alerts_tile(),
        tile("Audit chains", "whole: at the last check every record carried the hash of its predecessor. BROKEN: a record was changed, removed or "
             "put in. GET /api/v1/audit/verify names the first bad one.", f"min({service('audit_chain_valid')})", "none",
             alerts=["AuditChainBroken"], names={1: ("whole", "green"), 0: ("BROKEN", "red")}),
        tile("Refused credentials", "Share of the requests that needed a credential and had no good one, over 5 minutes.",
             share(in_window(ATTEMPTS, "5m", REFUSED), in_window(ATTEMPTS, "5m")), "percentunit", alerts=["HighAuthFailureRate"], decimals=1,
             noun="no traffic"),
        tile("Guesses a minute", "Wrong tokens, keys and client secrets a minute, over 2 minutes.", per_minute(GUESSES), "cpm",
             alerts=["AuthBruteForceDetected"], decimals=1),
        tile("Oldest signing key", "Age of the oldest key that signs or checks tokens. They are rotated quarterly.",
             f"time() - min({KEY_AGE})", "s", alerts=["SigningKeyOld"], decimals=0),
        tile("Unusable key files", "Files in the key folder that are no key, too weak or not readable.", f"max({service('key_files_unusable')})",
             "short", alerts=["KeyFilesUnusable"]),
        tile("Errors in the trail", "Audit records of severity ERROR within an hour.", f"{in_window(EVENTS, '1h', ERRORS)} or vector(0)",
             "short", decimals=0),
        tile("Detections", "Detections received each second, by the trail: each accepted one is in it, or was not accepted.",
             per_second(EVENTS, RECEIVED), "cps", decimals=1),
    ], height=4)


def events():
    """By type, by severity, throughput."""
    return row("Alerts and events", [
        alerts_table(width=12),
        bars("Events by type", "Records of each type within the time shown at the top.",
             [(f"sort_desc(sum by (event_type) (increase({service(EVENTS)}[$__range])))", "{{event_type}}")], "short", decimals=0, width=12),
        lines("Events by type over time", "Records each second.", [(per_second(EVENTS, by="event_type"), "{{event_type}}")], "cps", stacked=True),
        lines("Events by severity", "Records each second. ERROR is something that could not be done; WARNING a refusal or a failed delivery.",
              [(per_second(EVENTS, by="severity"), "{{severity}}")], "cps", overrides=in_colour(SEVERITIES)),
        lines("Detection throughput", "The steps of a detection in the trail, each second. received down to queued are written as one record; "
              "delivered lags behind while TAK is away, and overtakes afterwards.",
              [(per_second(EVENTS, f'event_type="{kind}"'), name) for kind, name in (
                  ("detection_received", "received"), ("detection_queued", "queued"), ("tak_push_success", "delivered"))], "cps"),
    ])


def access():
    """Who comes in, and who does not."""
    return row("Access", [
        lines("Credentials by result", "Requests that needed a credential, each second: invalid (wrong, expired, foreign), missing, "
              "insufficient_scope (a good one for something else), invalid_client (token endpoint), rate_limited (too many bad ones).",
              [(per_second(ATTEMPTS, by="result"), "{{result}}")], "reqps", stacked=True),
        lines("Refused credentials", "Share without a good credential. A step right after a rotation: someone still has the old one.",
              [(share(per_second(ATTEMPTS, REFUSED), per_second(ATTEMPTS)), "refused")], "percentunit", alerts=["HighAuthFailureRate"], most=1),
        lines("Guesses a minute", "Wrong tokens, keys and client secrets.", [(per_minute(GUESSES), "all"), (per_minute(GUESSES, "result"), "{{result}}")],
              "cpm", alerts=["AuthBruteForceDetected"]),
        lines("Signing keys", "Age of each key of bearer tokens, since it was first seen.", [(f"time() - {KEY_AGE}", "{{key}}")], "s",
              alerts=["SigningKeyOld"]),
        lines("Decisions and keys", "Within 5 minutes: detections that a person released or rejected, keys made, rotated, revoked, and starts "
              "(configuration loaded).",
              [(in_window(EVENTS, "5m", 'event_type=~"detection_verified|key_.*|config_loaded"', "event_type"), "{{event_type}}")], "short", decimals=0),
        lines("Refusals by status", "Answers 401 (no good credential), 403 (scope), 429 (limit) each second, by route.",
              [(per_second("http_requests_total", 'status_code=~"401|403|429"', "route, status_code"), "{{status_code}} {{route}}")], "reqps"),
    ])


def log_lines():
    """What is not a number."""
    return row("Log", [
        logs("One detection, one request", "Every line with the id at the top (detection, request or trace), oldest first: its whole story. "
             "An empty field shows all lines.", f'{{{LOGS}}} |= "${{id}}" | json', oldest_first=True, width=12),
        logs("Access, keys, trail", "Keys that came and went, checks of the chains, starts and stops, failures to record.",
             f'{{{LOGS}}} | event=~"{SECURITY_EVENTS}" | json', width=12),
        lines("Lines by level", "Lines of the log each second, by their level.", [(f"sum by (level) (rate({{{LOGS}}} [$__auto]))", "{{level}}")],
              "cps", source=LOKI, stacked=True, width=12, overrides=in_colour({"error": "red", "warning": "orange"})),
        lines("Access and keys by event", "Lines each second of the panel above.",
              [(f'sum by (event) (rate({{{LOGS}}} | event=~"{SECURITY_EVENTS}" [$__auto]))', "{{event}}")], "cps",
              source=LOKI, width=12),
    ], height=9)


def build(runbooks):
    """The dashboard."""
    return dashboard("audit-trail", "Audit Trail", "Who did what: the trail is whole, nobody guesses credentials, and a detection's story is "
                     "found by its id. The first row is green when all is well.", [overview(), events(), access(), log_lines()],
                     more=[text_field("id", "Detection, request or trace id", "")], runbooks=runbooks)
