"""Draws the data of a dashboard where its panels lie, as a picture for the documentation. It is drawn from the same answers that the check
of the panels has looked at; it is no copy of Grafana's looks."""
import io
import sys

try:
    import matplotlib
except ImportError:
    sys.exit("pictures: matplotlib is not there (Debian: python3-matplotlib)")
matplotlib.use("Agg")
from matplotlib import pyplot, ticker  # noqa: E402  the way of drawing is chosen first
from PIL import Image  # noqa: E402

COLUMN, LINE, DOTS = 0.60, 0.27, 100  # inches of a grid cell, dots per inch
COLOURS = {"green": "#4f9d4f", "orange": "#e0862e", "red": "#c9372c", "blue": "#3b73b9"}
CURVES = ("#3b73b9", "#e0862e", "#4f9d4f", "#8e5bb5", "#b58a3b", "#3ba6a6", "#c9372c", "#7a7a7a", "#d275a8", "#5a6b2f")
PALETTE = 48
MOST_NAMES = 8


def scaled(value, base, names):
    """A number with the largest prefix that fits."""
    for name in names[:-1]:
        if abs(value) < base:
            return f"{value:.3g}{name}"
        value /= base
    return f"{value:.3g}{names[-1]}"


def duration(seconds):
    """Seconds in the unit that people would take."""
    for limit, factor, name in ((1e-3, 1e6, "µs"), (1, 1e3, "ms"), (120, 1, "s"), (7200, 1 / 60, "min"), (172800, 1 / 3600, "h")):
        if abs(seconds) < limit:
            return f"{seconds * factor:.3g} {name}"
    return f"{seconds / 86400:.3g} d"


def worded(value, unit):
    """A number in its unit, as Grafana would write it."""
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "s":
        return duration(value) if value else "0 s"
    if unit in ("bytes", "Bps"):
        return scaled(value, 1024, (" B", " KiB", " MiB", " GiB")) + ("/s" if unit == "Bps" else "")
    tails = {"reqps": "/s", "cps": "/s", "cpm": "/min", "lengthm": " m"}
    return scaled(value, 1000, ("", " k", " M", " G")) + tails.get(unit, "")


def colour_of(value, steps):
    """Of the last threshold that a value has reached."""
    return COLOURS[[step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1]]


def words_of(panel):
    """value -> (word, colour)."""
    mapped = {}
    for mapping in panel["fieldConfig"]["defaults"].get("mappings", []):
        mapped.update({float(value): (entry["text"], COLOURS[entry["color"]]) for value, entry in mapping["options"].items()})
    return mapped


def all_series(answers):
    """(name, points) of all queries of a panel."""
    return [(name, points) for answer in answers for _, name, points in answer.series if points]


def draw_tile(axes, panel, answers, _):
    defaults = panel["fieldConfig"]["defaults"]
    value, steps = all_series(answers)[0][1][-1][1], defaults["thresholds"]["steps"]
    word, colour = words_of(panel).get(value, (worded(value, defaults.get("unit")), colour_of(value, steps)))
    if len(steps) == 1:
        colour = "#e9e9e9"
    axes.set_facecolor(colour)
    axes.text(0.5, 0.46, word, ha="center", va="center", fontsize=15, color="black" if len(steps) == 1 else "white", transform=axes.transAxes)
    axes.set_xticks([])
    axes.set_yticks([])


def minutes(points, start):
    return [(moment - start) / 60 for moment, _ in points]


def with_gaps(points, start):
    """Minutes and values, broken where an answer is missing."""
    step = min((later[0] - earlier[0] for earlier, later in zip(points, points[1:])), default=1)
    broken = []
    for earlier, later in zip([(-1e9, 0), *points], points):
        if later[0] - earlier[0] > 1.5 * step:
            broken.append((later[0] - step, float("nan")))
        broken.append(later)
    return minutes(broken, start), [value for _, value in broken]


def colours_of(panel, series):
    """Fixed ones by name where the panel has them."""
    fixed = {override["matcher"]["options"]: prop["value"]["fixedColor"] for override in panel["fieldConfig"]["overrides"]
             for prop in override["properties"] if prop["id"] == "color"}
    fixed["YELLOW"] = "gold" if "YELLOW" in fixed else ""
    return [COLOURS.get(fixed.get(name, ""), fixed.get(name) or CURVES[place % len(CURVES)]) for place, (name, _) in enumerate(series)]


def draw_lines(axes, panel, answers, start):
    defaults, series = panel["fieldConfig"]["defaults"], all_series(answers)
    # What is largest has its name in the legend.
    series.sort(key=lambda each: -max(value for _, value in each[1]))
    colours, custom = colours_of(panel, series), defaults["custom"]
    if custom["stacking"]["mode"] == "normal":
        moments = sorted({moment for _, points in series for moment, _ in points})
        rows = [[dict(points).get(moment, 0.0) for moment in moments] for _, points in series]
        axes.stackplot([(moment - start) / 60 for moment in moments], rows, colors=colours, labels=[name for name, _ in series], alpha=0.75, linewidth=0)
        top = max(map(sum, zip(*rows)))
    else:
        for (name, points), colour in zip(series, colours):
            axes.plot(*with_gaps(points, start), color=colour, linewidth=1.1, marker=".", markersize=1.6, label=name)
        top = max(value for _, points in series for _, value in points)
    if custom["scaleDistribution"]["type"] == "symlog":
        axes.set_yscale("symlog", linthresh=1)
    for step in defaults["thresholds"]["steps"][1:]:
        # As in Grafana a limit that lies far above the data is out of sight.
        if custom["thresholdsStyle"]["mode"] != "off" and (step["value"] <= 2 * top or custom["scaleDistribution"]["type"] == "symlog"):
            below = defaults["thresholds"]["steps"][-1]["color"] == "green"
            colour = COLOURS[defaults["thresholds"]["steps"][0]["color"]] if below else COLOURS[step["color"]]
            axes.axhline(step["value"], color=colour, linestyle="--", linewidth=0.9)
            top = max(top, step["value"])
    if custom["scaleDistribution"]["type"] != "symlog":
        axes.set_ylim(0, top * 1.15 or 1)
    legend(axes, series)
    axes.yaxis.set_major_formatter(lambda value, _: worded(value, defaults.get("unit")))
    axes.grid(axis="y", color="#dddddd", linewidth=0.5)


def legend(axes, series):
    handles, names = axes.get_legend_handles_labels()
    short = [name if len(name) < 34 else name[:32] + "..." for name in names[:MOST_NAMES]]
    if len(series) > MOST_NAMES:
        short[-1] += f" (+{len(series) - MOST_NAMES})"
    axes.legend(handles[:MOST_NAMES], short, fontsize=5.6, ncol=2 if len(short) > 3 else 1, loc="upper left", frameon=True, framealpha=0.6,
                edgecolor="none", handlelength=1, borderpad=0.2, labelspacing=0.2, columnspacing=0.8)


def draw_states(axes, panel, answers, start):
    series, mapped = all_series(answers), words_of(panel)
    for place, (name, points) in enumerate(series):
        step = min((later[0] - earlier[0] for earlier, later in zip(points, points[1:])), default=1) / 60
        for moment, (_, value) in zip(minutes(points, start), points):
            axes.broken_barh([(moment, step * 1.02)], (place - 0.38, 0.76), color=mapped.get(value, ("", "#888888"))[1], linewidth=0)
        axes.text(0.01, place, name, fontsize=6, va="center", transform=axes.get_yaxis_transform(),
                  bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1})
    axes.set_yticks([])
    axes.set_ylim(len(series) - 0.5, -0.5)


def draw_bars(axes, panel, answers, _):
    series = all_series(answers)
    values = [points[-1][1] for _, points in series]
    axes.barh(range(len(series)), values, color=CURVES[0], height=0.7)
    for place, ((name, _), value) in enumerate(zip(series, values)):
        axes.text(0.01, place, f"{name}: {worded(value, panel['fieldConfig']['defaults'].get('unit'))}", fontsize=6, va="center",
                  transform=axes.get_yaxis_transform())
    axes.set_ylim(len(series) - 0.5, -0.5)
    axes.set_yticks([])


def draw_heat(axes, _, answers, start):
    bounds = sorted((float(labels["le"]), dict(points)) for labels, _, points in answers[0].series if labels["le"] != "+Inf")
    moments = sorted({moment for _, points in bounds for moment in points})
    cells, below = [], [0.0] * len(moments)
    for _, points in bounds:
        now = [points.get(moment, 0.0) for moment in moments]
        cells.append([high - low if high - low > 1e-9 else float("nan") for high, low in zip(now, below)])
        below = now
    axes.pcolormesh([(moment - start) / 60 for moment in moments], range(len(bounds)), cells, cmap="Oranges", shading="nearest")
    axes.set_yticks(range(0, len(bounds), 3), [duration(bounds[place][0]) for place in range(0, len(bounds), 3)])


def draw_table(axes, _, answers, __):
    ranks = {"firing": 0, "pending": 1}
    rows = sorted({(ranks[labels["alertstate"]], labels["alertname"], labels["severity"]) for labels, _, _ in answers[0].series})
    for place, (rank, name, severity) in enumerate(rows):
        column, line = divmod(place, 7)
        colour = "black" if severity == "none" else COLOURS["red" if rank == 0 else "orange"]
        axes.text(0.01 + 0.5 * column, 0.9 - 0.135 * line, f"{name} ({severity}, {'firing' if rank == 0 else 'pending'})", fontsize=7, color=colour,
                  transform=axes.transAxes)
    axes.set_xticks([])
    axes.set_yticks([])


DRAW = {"stat": draw_tile, "timeseries": draw_lines, "state-timeline": draw_states, "bargauge": draw_bars, "heatmap": draw_heat, "table": draw_table}


def draw(dashboard, answered, start, end):
    """-> PNG."""
    lines = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel, _ in answered)
    figure = pyplot.figure(figsize=(24 * COLUMN, (lines + 1) * LINE), dpi=DOTS)
    height = lines + 1
    figure.text(0.005, 1 - 0.7 / height, f"{dashboard['title']}: {dashboard['description']}", fontsize=10, weight="bold")
    for panel in dashboard["panels"]:
        if panel["type"] == "row" and any(other["gridPos"]["y"] > panel["gridPos"]["y"] for other, _ in answered):
            figure.text(0.005, 1 - (panel["gridPos"]["y"] + 1.75) / height, panel["title"], fontsize=8, color="#666666", weight="bold")
    for panel, answers in answered:
        place = panel["gridPos"]
        wide = panel["type"] in ("timeseries", "heatmap")
        left, right = (1.15, 0.15) if wide else (0.12, 0.12)
        bottom = 0.1 if panel["type"] in ("stat", "table") else 1.0
        axes = figure.add_axes(((place["x"] + left) / 24, 1 - (place["y"] + 1 + place["h"] - bottom) / height,
                                (place["w"] - left - right) / 24, (place["h"] - 1.15 - bottom) / height))
        axes.set_title(panel["title"], fontsize=7.5, loc="left", pad=2)
        axes.tick_params(labelsize=6, length=2, pad=1)
        for side in axes.spines.values():
            side.set_color("#bbbbbb")
        if panel["type"] in ("timeseries", "state-timeline", "heatmap"):
            axes.set_xlim(0, (end - start) / 60)
            axes.xaxis.set_major_locator(ticker.MaxNLocator(5, steps=[1, 2, 5, 10]))
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} min")
        DRAW[panel["type"]](axes, panel, answers, start)
    raw = io.BytesIO()
    figure.savefig(raw, format="png", dpi=DOTS)
    pyplot.close(figure)
    few, small = Image.open(raw).convert("RGB").quantize(PALETTE, dither=Image.Dither.NONE), io.BytesIO()
    few.save(small, format="png", optimize=True)
    return small.getvalue()


def draw_all(folder, dashboards, everything, start, end):
    """FOLDER/<uid>.png for each."""
    folder.mkdir(parents=True, exist_ok=True)
    for uid, answered in everything.items():
        answered = [(panel, answers) for panel, answers in answered if not all(answer.empty for answer in answers)]
        picture = draw(dashboards[uid], answered, start, end)
        (folder / f"{uid}.png").write_bytes(picture)
        print(f"  {folder / uid}.png: {len(picture) / 1000:.0f} kB", flush=True)
