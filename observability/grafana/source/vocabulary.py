"""The words in which the dashboards are written: tiles, lines, tables, states, heat, bars, logs; rows and variables.
One word is one kind of Grafana panel in its classic JSON. No I/O."""
import limits

PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}
LOKI = {"type": "loki", "uid": "${logs}"}
COLUMNS = 24
SERVICE = 'job=~"$job", namespace=~"$namespace", slot=~"$slot", instance=~"$instance"'
OUR_JOB = 'job="detection-api"'  # as in the alerts: `up` is of every target
TARGET = 'job=~"$job", instance=~"$instance"'
LOGS = 'namespace=~"$namespace", app="detection-api", slot=~"$slot"'
RUNBOOKS = "${runbooks}"
OURS = 'team=~"detection|tak|platform|security"'  # a Prometheus may have alerts of others, too


def service(metric, more=""):
    """A series of the service, of what is chosen at the top."""
    return f"{metric}{{{SERVICE}{', ' if more else ''}{more}}}"


def target(metric, more=""):
    """A series of a node or of a kubelet: it has no slot."""
    return f"{metric}{{{TARGET}{', ' if more else ''}{more}}}"


def per_second(metric, more="", by=""):
    """Rate of a counter, summed."""
    return f"sum{grouped(by)}(rate({service(metric, more)}[$__rate_interval]))"


def in_window(metric, window, more="", by=""):
    """What a counter grew by, over the same window as its alert."""
    return f"sum{grouped(by)}(increase({service(metric, more)}[{window}]))"


def share(part, whole):
    """A ratio 0-1 that is 0, not nothing, while no series of the part exists, and nothing without traffic."""
    return f"({part} or 0 * {whole}) / ({whole} > 0)"


def quantile(share_, metric, more="", by="", window="$__rate_interval"):
    """A quantile of a histogram over all instances."""
    function = "rate" if window == "$__rate_interval" else "increase"
    by = f"le, {by}" if by else "le"
    return f"histogram_quantile({share_}, sum by ({by}) ({function}({service(metric + '_bucket', more)}[{window}])))"


def grouped(by):
    """The by-clause of an aggregation."""
    return f" by ({by}) " if by else ""


def query(expr, legend="", instant=False, source=None):
    """One query of a panel."""
    result = {"datasource": source or PROMETHEUS, "expr": expr, "legendFormat": legend or "__auto"}
    if source == LOKI:
        return {**result, "queryType": "range"}
    return {**result, "instant": instant, "range": not instant}


def _queries(given, instant=False, source=None):
    given = [given] if isinstance(given, (str, tuple)) else given
    made = []
    for number, one in enumerate(given):
        expr, legend = (one, "") if isinstance(one, str) else one
        made.append({"refId": chr(ord("A") + number), **query(expr, legend, instant, source)})
    return made


def _panel(kind, title, description, targets, *, unit=None, alerts=(), steps=None, width=8, decimals=None, mappings=None,
           custom=None, options=None, noun="no data", overrides=None, least=None, most=None):
    watched = limits.of_alerts(alerts)
    says = [f"{limit.alert} ({limit.severity}): {limit.says}." for limit in watched if limit.says]
    defaults = {"unit": unit, "decimals": decimals, "min": least, "max": most, "mappings": mappings, "noValue": noun, "custom": custom,
                "color": {"mode": "thresholds" if kind in ("stat", "bargauge", "state-timeline") else "palette-classic"},
                "thresholds": {"mode": "absolute", "steps": steps or limits.steps(watched)}}
    panel = {"type": kind, "title": title, "description": " ".join([description, *says]), "datasource": targets[0]["datasource"],
             "targets": targets, "width": width, "options": options or {},
             "fieldConfig": {"defaults": {key: value for key, value in defaults.items() if value is not None}, "overrides": overrides or []}}
    links = [{"title": f"Runbook: {name}", "url": f"{RUNBOOKS}/{name}.md", "targetBlank": True} for name in alerts]
    return {**panel, "links": links} if links else panel


def tile(title, description, expr, unit, names=None, **more):
    """One number of now, its whole field in the colour of its threshold; names: value -> (word, colour)."""
    if names:
        more["mappings"] = words(names)
    plain = not (more.get("alerts") or more.get("steps") or names)
    options = {"colorMode": "none" if plain else "background", "graphMode": "area", "justifyMode": "center", "textMode": "auto",
               "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    return _panel("stat", title, description, _queries(expr), unit=unit, options=options, **{"width": 3, **more})


def lines(title, description, queries, unit, *, stacked=False, log=False, source=None, **more):
    """Curves over time; the limits of its alerts are dashed lines."""
    drawn = bool(more.get("alerts") or more.get("steps"))
    custom = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 30 if stacked else 8, "showPoints": "never", "spanNulls": False,
              "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
              "thresholdsStyle": {"mode": "dashed" if drawn else "off"},
              "scaleDistribution": {"type": "symlog", "log": 10, "linearThreshold": 1} if log else {"type": "linear"}}
    options = {"legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
               "tooltip": {"mode": "multi", "sort": "desc"}}
    return _panel("timeseries", title, description, _queries(queries, source=source), unit=unit, custom=custom, options=options,
                  **{"least": 0, **more})


def table(title, description, queries, columns, unit="none", **more):
    """The newest values of queries, a row for each series; columns: label or 'Value' -> heading, in this order."""
    targets = [{**one, "format": "table"} for one in _queries(queries, instant=True)]
    keep = {"id": "filterFieldsByName", "options": {"include": {"names": list(columns)}}}
    order = {"id": "organize", "options": {"indexByName": {name: place for place, name in enumerate(columns)}, "renameByName": columns}}
    panel = _panel("table", title, description, targets, unit=unit, options={"showHeader": True, "cellHeight": "sm"},
                   custom={"align": "left", "cellOptions": {"type": "auto"}, "filterable": False}, **more)
    return {**panel, "transformations": [keep, order]}


def states(title, description, queries, mappings, **more):
    """Bands over time, a colour for each state; mappings: value -> (word, colour)."""
    options = {"mergeValues": True, "showValue": "auto", "rowHeight": 0.85, "legend": {"displayMode": "list", "placement": "bottom"}}
    return _panel("state-timeline", title, description, _queries(queries), unit="none", mappings=words(mappings), options=options,
                  custom={"fillOpacity": 70, "lineWidth": 0}, **more)


def words(mappings):
    """value -> (word, colour), as Grafana's value mapping."""
    return [{"type": "value", "options": {str(value): {"text": word, "color": colour, "index": place}
                                          for place, (value, (word, colour)) in enumerate(mappings.items())}}]


def in_colour(names):
    """A fixed colour for each series by its name."""
    return [{"matcher": {"id": "byName", "options": name}, "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}]}
            for name, colour in names.items()]


def heat(title, description, metric, unit, more_labels="", **more):
    """A histogram over time."""
    targets = [{**one, "format": "heatmap"} for one in
               _queries([(f"sum by (le) (rate({service(metric + '_bucket', more_labels)}[$__rate_interval]))", "{{le}}")])]
    options = {"calculate": False, "cellGap": 0, "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
               "yAxis": {"unit": unit, "axisPlacement": "left"}, "rowsFrame": {"layout": "auto"}, "tooltip": {"mode": "single"},
               "cellValues": {"unit": "ops"}, "legend": {"show": True}, "filterValues": {"le": 1e-9}}
    return _panel("heatmap", title, description, targets, unit=unit, options=options, **more)


def bars(title, description, queries, unit, **more):
    """One bar for each series, of the time shown at the top."""
    options = {"displayMode": "basic", "orientation": "horizontal", "showUnfilled": True, "valueMode": "color",
               "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    return _panel("bargauge", title, description, _queries(queries, instant=True), unit=unit, options=options, least=0, **more)


def logs(title, description, expr, oldest_first=False, **more):
    """Lines of the log."""
    options = {"showTime": True, "wrapLogMessage": True, "enableLogDetails": True, "sortOrder": "Ascending" if oldest_first else "Descending", "dedupStrategy": "none",
               "prettifyLogMessage": False, "showLabels": False}
    return _panel("logs", title, description, _queries(expr, source=LOKI), options=options, **{"width": COLUMNS, **more})


def alerts_table(**more):
    """What fires and what is about to; Watchdog always does, and shows that the rules are evaluated at all."""
    return table("Alerts", "Alerts that fire or are pending, of all instances. Watchdog always fires: without it nobody evaluates the "
                 "rules, and silence means nothing.", f"max by (alertname, severity, alertstate) (ALERTS{{{OURS}}})",
                 {"alertname": "Alert", "severity": "Severity", "alertstate": "State"},
                 overrides=[{"matcher": {"id": "byName", "options": "State"}, "properties": [
                     {"id": "custom.cellOptions", "value": {"type": "color-text"}},
                     {"id": "mappings", "value": words({"firing": ("firing", "red"), "pending": ("pending", "orange")})}]},
                     {"matcher": {"id": "byName", "options": "Alert"}, "properties": [{"id": "links", "value": [
                         {"title": "Runbook", "url": RUNBOOKS + "/${__value.raw}.md", "targetBlank": True}]}]}], **more)


def alerts_tile():
    """How many alerts fire; the colour is that of the worst kind that may be among them."""
    return tile("Firing alerts", "Alerts of severity warning or critical that fire now. The table below names them.",
                f'count(ALERTS{{{OURS}, alertstate="firing", severity=~"warning|critical"}}) or vector(0)', "short",
                steps=[{"color": "green", "value": None}, {"color": "red", "value": 1}])


def row(title, panels, height=8):
    """Panels side by side, broken into lines of 24 columns."""
    return {"title": title, "panels": panels, "height": height}
