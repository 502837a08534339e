"""Rows of panels -> one dashboard in Grafana's classic JSON: numbers and places of its panels, variables, links."""
import vocabulary

SCHEMA = 39  # Grafana 10.4 and later
TAG = "detection-system"


def choice(name, label, expr, every):
    """A variable of label values: several may be chosen, and all are at first."""
    return {"name": name, "label": label, "type": "query", "datasource": vocabulary.PROMETHEUS, "definition": expr,
            "query": {"query": expr, "refId": name}, "refresh": 2, "sort": 1, "multi": True, "includeAll": True, "allValue": every,
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]}, "options": []}


def _source(name, label, kind):
    return {"name": name, "label": label, "type": "datasource", "query": kind, "current": {}, "options": [], "refresh": 1}


def text_field(name, label, value, hide=0):
    """A variable that is typed in; hide 2: only in the address."""
    option = {"selected": True, "text": value, "value": value}
    return {"name": name, "label": label, "type": "textbox", "hide": hide, "query": value, "current": option, "options": [option]}


def variables(with_logs, jobs_from, runbooks, more):
    """Those of every dashboard. Everything is shown at first; a label that is missing (no slot, no namespace) counts as shown."""
    chosen = f'{jobs_from}{{job=~"$job"}}'
    listed = [_source("datasource", "Data source", "prometheus")]
    if with_logs:
        listed.append(_source("logs", "Logs", "loki"))
    listed += [
        choice("job", "Job", f"label_values({jobs_from}, job)", ".+"),
        choice("namespace", "Namespace", 'label_values(detection_api_info, namespace)', ".*"),
        choice("slot", "Slot", 'label_values(detection_api_info, slot)', ".*"),
        choice("instance", "Instance", f"label_values({chosen}, instance)", ".+"),
        text_field("runbooks", "Folder of the runbooks", runbooks, hide=2)]
    return listed + more


def _place(rows):
    panels, number, top = [], 0, 0
    for row in rows:
        number += 1
        panels.append({"id": number, "type": "row", "title": row["title"], "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": top, "w": vocabulary.COLUMNS, "h": 1}})
        top, left = top + 1, 0
        for panel in row["panels"]:
            if left + panel["width"] > vocabulary.COLUMNS:
                top, left = top + row["height"], 0
            number += 1
            shown = {key: value for key, value in panel.items() if key != "width"}
            panels.append({"id": number, **shown, "gridPos": {"x": left, "y": top, "w": panel["width"], "h": row["height"]}})
            left += panel["width"]
        top += row["height"]
    return panels


def dashboard(uid, title, description, rows, *, jobs_from="detection_api_info", more=(), runbooks=""):
    """The whole of it."""
    panels = _place(rows)
    with_logs = any(panel.get("datasource") == vocabulary.LOKI for panel in panels)
    switches = [{"title": "Detection System", "type": "dashboards", "tags": [TAG], "asDropdown": False, "includeVars": True,
                 "keepTime": True, "targetBlank": False, "icon": "external link", "tooltip": "The other dashboards, same time and slot"},
                {"title": "Runbooks", "type": "link", "url": vocabulary.RUNBOOKS, "targetBlank": True, "icon": "doc", "tags": [],
                 "tooltip": "What to do, one page for each alert"}]
    releases = {"name": "Releases", "datasource": vocabulary.PROMETHEUS, "enable": True, "iconColor": "blue", "titleFormat": "slot {{slot}} delivers",
                "expr": f"changes(max by (slot) ({vocabulary.service('release_slot_active')})[2m:30s]) > 0", "step": "30s"}
    return {"uid": uid, "title": title, "description": description, "tags": [TAG], "schemaVersion": SCHEMA, "version": 1, "editable": False,
            "graphTooltip": 1, "refresh": "30s", "time": {"from": "now-1h", "to": "now"}, "timezone": "browser", "links": switches,
            "annotations": {"list": [releases]},
            "templating": {"list": variables(with_logs, jobs_from, runbooks, list(more))}, "panels": panels}
