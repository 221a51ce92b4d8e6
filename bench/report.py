"""Figures of a run: as a table, as JSON, and as a page with charts that needs no network."""
import json
import pathlib
import shutil
import statistics
import subprocess

PAGE = pathlib.Path(__file__).resolve().parent / "page"
BUNDLE = PAGE.parent.parent / "build" / "bench" / "page"


class Figure:
    """One thing measured, several times. Of `ns` less is better, and it stands as events/s/core too."""

    def __init__(self, stage, name, unit="ns", must=None, stretch=None, more_is_better=None, note=""):
        self.stage, self.name, self.unit, self.note = stage, name, unit, note
        self.must, self.stretch = must, stretch  # in M events/s/core where the unit is ns
        self.more_is_better = unit != "ns" and bool(more_is_better)
        self.values, self.floor, self.parts, self.more = [], [], {}, {}

    def add(self, value, floor=None, **parts):
        self.values.append(value)
        if floor is not None:
            self.floor.append(floor)
        for name, part in parts.items():
            self.parts.setdefault(name, []).append(part)

    def median(self):
        return statistics.median(self.values)

    def goal_value(self):
        return 1000 / self.median() if self.unit == "ns" else self.median()

    def meets(self, goal):
        if goal is None:
            return None
        less = self.unit != "ns" and not self.more_is_better
        return self.goal_value() <= goal if less else self.goal_value() >= goal

    def ratio(self):
        """The floor's share of it, round by round."""
        return statistics.median(f / v for f, v in zip(self.floor, self.values)) if self.floor else None

    def json(self):
        return {"stage": self.stage, "name": self.name, "unit": self.unit, "values": self.values,
                "median": self.median(), "floor": self.floor, "of_floor": self.ratio(),
                "parts": {name: statistics.median(values) for name, values in self.parts.items()},
                "must": self.must, "stretch": self.stretch, "meets_must": self.meets(self.must),
                "meets_stretch": self.meets(self.stretch), "note": self.note, **self.more}


def number(value):
    if value is None:
        return ""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


COLUMNS = ["", "median", "[least .. most]", "M/s/core", "floor", "of floor", "must", "stretch", ""]


def row_of(figure):
    verdict = {None: "", True: "met", False: "missed"}[figure.meets(figure.must)]
    if figure.meets(figure.stretch):
        verdict = "stretch"
    unit = "ns/event" if figure.unit == "ns" else figure.unit
    ratio = figure.ratio()
    return [figure.name, f"{number(figure.median())} {unit}",
            f"[{number(min(figure.values))} .. {number(max(figure.values))}]",
            f"{1000 / figure.median():.2f}" if figure.unit == "ns" and figure.median() > 0 else "",
            number(statistics.median(figure.floor)) if figure.floor else "",
            f"{ratio:.2f}" if ratio is not None else "", number(figure.must), number(figure.stretch), verdict]


def table(figures):
    lines = []
    stages = list(dict.fromkeys(figure.stage for figure in figures))
    rows = {stage: [row_of(f) for f in figures if f.stage == stage] for stage in stages}
    widths = [max(len(row[i]) for row in [COLUMNS, *(r for rs in rows.values() for r in rs)])
              for i in range(len(COLUMNS))]
    for stage in stages:
        head = [stage, *COLUMNS[1:]]
        lines.append("")
        for row in [head, *rows[stage]]:
            cells = [cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))]
            lines.append("  ".join(cells).rstrip())
        for figure in figures:
            if figure.stage == stage and (figure.note or figure.parts):
                parts = ", ".join(f"{name} {number(statistics.median(values))}"
                                  for name, values in figure.parts.items())
                lines.append(f"    {figure.name}: " + "; ".join(filter(None, (parts, figure.note))))
    return "\n".join(lines)


def charts():
    """uPlot's folder, from npm the first time; None, and why, where it can't be had."""
    found = BUNDLE / "node_modules" / "uplot" / "dist"
    if found.is_dir():
        return found
    if not shutil.which("npm"):
        print("no page: npm isn't installed (scripts/setup bench); the table and the JSON are there")
        return None
    BUNDLE.mkdir(parents=True, exist_ok=True)
    shutil.copy(PAGE / "package.json", BUNDLE)
    done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=BUNDLE, check=False,
                          capture_output=True, text=True, timeout=300)
    if done.returncode or not found.is_dir():
        print(f"no page: npm has no uPlot: {done.stderr[-300:]}")
        return None
    return found


def page(data, uplot):
    """One file that holds everything."""
    text = (PAGE / "page.html").read_text()
    parts = {"/*CSS*/": (uplot / "uPlot.min.css").read_text(), "/*UPLOT*/": (uplot / "uPlot.iife.min.js").read_text(),
             "/*PAGE*/": (PAGE / "page.js").read_text(), "/*RUN*/": json.dumps(data).replace("</", "<\\/")}
    for name, part in parts.items():
        text = text.replace(name, part)
    return text


def write(folder, machine, figures, failures, options):
    """run.json, run.txt and, where uPlot is to be had, run.html; the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = [figure for figure in figures if figure.values]
    data = {"machine": machine, "options": options, "figures": [figure.json() for figure in figures],
            "failures": failures}
    paths = [folder / "run.json", folder / "run.txt"]
    paths[0].write_text(json.dumps(data, indent=1) + "\n")
    paths[1].write_text(table(figures) + "\n")
    uplot = charts()
    if uplot:
        paths.append(folder / "run.html")
        paths[2].write_text(page(data, uplot))
    return paths
