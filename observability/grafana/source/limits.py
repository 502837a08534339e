"""Where a panel turns orange or red: the limits of the alerts. tests/observability/dashboards_test.py holds this table
against the rule files."""
import dataclasses

COLOURS = {"info": "blue", "warning": "orange", "critical": "red"}
DAY = 86400


@dataclasses.dataclass(frozen=True)
class Limit:
    """One limit of one alert, in the unit of its panels."""
    alert: str
    value: float  # as the rule has it, divided by `scale`
    severity: str
    says: str = ""  # the condition in words, for the panel's description
    below: bool = False  # wrong is what lies under it
    step: float | None = None  # where the colour changes, for "> 0" and "== 0": Grafana's thresholds are "from ... on"
    scale: float = 1

    @property
    def threshold(self):
        """The value of Grafana's step."""
        return self.value if self.step is None else self.step


def _table(*limits):
    table = {}
    for limit in limits:
        table.setdefault(limit.alert, []).append(limit)
    return table


LIMITS = _table(
    # The 19 of requirements.md section 4.
    Limit("HighErrorRate", 0.001, "critical", "more than 0.1 % for 2 min"),
    Limit("HighP95Latency", 0.3, "warning", "P95 over 0.3 s for 5 min"),
    Limit("HighP99Latency", 0.5, "critical", "P99 over 0.5 s for 5 min"),
    Limit("ErrorBudgetBurn", 14.4, "critical", "14.4 over 1 h and 5 min, or 6 over 6 h and 30 min", scale=0.001),
    Limit("ErrorBudgetBurn", 6, "critical", scale=0.001),
    Limit("ServiceDown", 0, "critical", "no instance for 1 min", below=True, step=1),
    Limit("TooFewInstances", 2, "warning", "fewer than 2 (or the environment's number) for 5 min", below=True),
    Limit("NoRequestsReceived", 0, "warning", "none in 10 min, for 10 min", below=True, step=0.001),
    Limit("HighAuthFailureRate", 0.2, "warning", "more than 20 % for 5 min"),
    Limit("AuthBruteForceDetected", 10, "critical", "more than 10 a minute for 2 min"),
    Limit("DetectionProcessingErrors", 0.05, "warning", "more than 5 % for 5 min"),
    Limit("SlowDetectionProcessing", 1, "warning", "P95 over 1 s for 5 min"),
    Limit("LowGeolocationConfidence", 0.3, "warning", "more than 30 % RED for 15 min"),
    Limit("TAKPushFailures", 0.1, "warning", "more than 10 % for 5 min"),
    Limit("TAKPushLatency", 5, "warning", "P95 over 5 s for 5 min"),
    Limit("TAKServerUnreachable", 0, "critical", "not connected for 5 min", below=True, step=1),
    Limit("OfflineQueueGrowing", 1000, "warning", "more than 1,000 for 10 min"),
    Limit("OfflineQueueCritical", 50000, "critical", "more than 50,000 for 5 min"),
    Limit("OfflineQueueStale", 3600, "warning", "the oldest over 1 h for 5 min"),
    Limit("LowCacheHitRate", 0.5, "info", "less than 50 % for 15 min", below=True),
    # What the platform adds.
    Limit("ErrorBudgetSlowBurn", 3, "warning", "3 over 1 d and 2 h, or 1 over 3 d and 6 h", scale=0.001),
    Limit("ErrorBudgetSlowBurn", 1, "warning", scale=0.001),
    Limit("DeliveryBudgetBurn", 14.4, "warning", "14.4 over 1 h and 5 min, or 6 over 6 h and 30 min", scale=0.01),
    Limit("DeliveryBudgetBurn", 6, "warning", scale=0.01),
    Limit("NoActiveSlot", 0, "critical", "none for 5 min", below=True, step=1),
    Limit("RateLimitRejections", 50, "warning", "more than 50 a second for 5 min"),
    Limit("OfflineQueueFilling", 0.8, "warning", "80 % full"),
    Limit("OfflineQueueNearlyFull", 0.9, "critical", "90 % full"),
    Limit("DeadLetters", 0, "warning", "any, for 5 min", step=1),
    Limit("SpoolNotEmpty", 0, "warning", "not empty for 10 min", step=1),
    Limit("SpoolNearlyFull", 0.8, "critical", "80 % full"),
    Limit("SpoolConflicts", 0, "warning", "any, for 5 min", step=1),
    Limit("AuditChainBroken", 0, "critical", "at once", below=True, step=1),
    Limit("TAKCertificateExpiring", 30 * DAY, "warning", "less than 30 days", below=True),
    Limit("ApiCertificateExpiring", 15 * DAY, "warning", "less than 15 days", below=True),
    Limit("SigningKeyOld", 90 * DAY, "warning", "older than 90 days"),
    Limit("KeyFilesUnusable", 0, "warning", "any, for 5 min", step=1),
    Limit("PodRestarting", 2, "warning", "more than 2 in 5 min", step=3),
    Limit("PodNotReady", 0, "warning", "refusals only, or not readable, for 5 min", below=True, step=0.001),
    Limit("ContainerCpuNearLimit", 0.85, "warning", "over 85 % for 10 min"),
    Limit("ContainerMemoryNearLimit", 0.85, "warning", "over 85 % for 10 min"),
    Limit("BackupTooOld", 26 * DAY / 24, "warning", "older than 26 hours"),
    Limit("BackupNotVerified", 8 * DAY, "warning", "longer than 8 days ago"),
    Limit("VolumeFilling", 0.8, "warning", "over 80 % for 5 min"),
)


def of_alerts(names):
    """The limits of some alerts."""
    return [limit for name in names for limit in LIMITS[name]]


def steps(limits):
    """Limits as Grafana's threshold steps, from the lowest."""
    if not limits:
        return [{"color": "green", "value": None}]
    below = limits[0].below
    if any(limit.below != below for limit in limits):
        raise ValueError(f"limits of two directions in one panel: {[limit.alert for limit in limits]}")
    ordered = sorted(limits, key=lambda limit: limit.threshold)
    colours, values = [COLOURS[limit.severity] for limit in ordered], [limit.threshold for limit in ordered]
    colours = colours + ["green"] if below else ["green"] + colours
    return [{"color": colour, "value": value} for colour, value in zip(colours, [None, *values])]
