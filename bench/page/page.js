/* Draws run.json, which the page holds in #run, with uPlot. */
"use strict";
(() => {
  const run = JSON.parse(document.getElementById("run").textContent);
  const main = document.querySelector("main");
  const add = (parent, name, text, kind) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (kind) made.className = kind;
    parent.append(made);
    return made;
  };
  const number = (x) => x === null || x === undefined ? "" :
    Math.abs(x) >= 1000 ? Math.round(x).toLocaleString("en") : Number(x.toPrecision(3)).toString();
  const median = (xs) => [...xs].sort((a, b) => a - b)[Math.floor(xs.length / 2)];

  const describe = () => {
    const list = add(main, "dl");
    for (const [name, value] of Object.entries(run.machine)) {
      add(list, "dt", name.replace(/_/g, " "));
      add(list, "dd", String(value));
    }
  };

  /* A column a figure from least to most, its median, its floor; logarithmic. */
  const chart = (parent, figures) => {
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--ink").trim(), blue = style.getPropertyValue("--mark").trim();
    const soft = style.getPropertyValue("--soft").trim(), grid = style.getPropertyValue("--grid").trim();
    const xs = figures.map((_, i) => i);
    const least = figures.map((f) => Math.min(...f.values)), most = figures.map((f) => Math.max(...f.values));
    const middle = figures.map((f) => f.median), floor = figures.map((f) => f.floor.length ? median(f.floor) : null);
    const columns = (u) => {
      const wide = Math.min(46, (u.bbox.width / figures.length) * 0.5);
      for (const i of xs) {
        const x = u.valToPos(i, "x", true), top = u.valToPos(middle[i], "y", true);
        const end = u.bbox.top + u.bbox.height;
        u.ctx.fillStyle = blue;
        u.ctx.fillRect(x - wide / 2, top, wide, end - top);
        u.ctx.strokeStyle = ink;
        u.ctx.lineWidth = 2 * devicePixelRatio;
        u.ctx.beginPath();
        u.ctx.moveTo(x, u.valToPos(least[i], "y", true));
        u.ctx.lineTo(x, u.valToPos(most[i], "y", true));
        u.ctx.stroke();
        if (floor[i] === null) continue;
        const y = u.valToPos(floor[i], "y", true);
        u.ctx.fillStyle = soft;
        u.ctx.fillRect(x - wide / 2, y - 2 * devicePixelRatio, wide, 4 * devicePixelRatio);
      }
    };
    const all = [...least, ...floor.filter((x) => x !== null)].filter((x) => x > 0);
    new uPlot({
      width: Math.min(parent.clientWidth, 1000), height: 280, legend: { show: false }, cursor: { show: false },
      scales: {
        x: { time: false, range: [-0.6, figures.length - 0.4] },
        y: { distr: 3, range: [10 ** Math.floor(Math.log10(Math.min(...all) / 1.2)), 10 ** Math.ceil(Math.log10(Math.max(...most)))] },
      },
      axes: [
        { splits: () => xs, values: (u, at) => at.map((i) => String(i + 1)), stroke: ink, grid: { show: false } },
        { stroke: ink, grid: { stroke: grid }, values: (u, at) => at.map((x) => x === null ? "" : number(x)), size: 70 },
      ],
      series: [{}, { paths: () => null, points: { show: false } }],
      hooks: { draw: [columns] },
    }, [xs, most], parent);
  };

  const table = (parent, figures) => {
    const made = add(parent, "table"), head = add(add(made, "thead"), "tr"), body = add(made, "tbody");
    for (const name of ["", "", "median", "least … most", "M/s a core", "floor", "must", "stretch", ""]) add(head, "th", name);
    figures.forEach((f, i) => {
      const row = add(body, "tr");
      add(row, "td", String(i + 1));
      const name = add(row, "td", f.name, "name");
      const parts = Object.entries(f.parts).map(([k, v]) => `${k} ${number(v)}`).join(", ");
      if (f.note || parts) add(name, "small", [parts, f.note].filter(Boolean).join("; "));
      add(row, "td", `${number(f.median)} ${f.unit === "ns" ? "ns" : f.unit}`);
      add(row, "td", `${number(Math.min(...f.values))} … ${number(Math.max(...f.values))}`);
      add(row, "td", f.unit === "ns" ? (1000 / f.median).toFixed(2) : "");
      add(row, "td", f.floor.length ? number(median(f.floor)) : "");
      add(row, "td", number(f.must));
      add(row, "td", number(f.stretch));
      add(row, "td", f.meets_must === null ? "" : f.meets_stretch ? "stretch" : f.meets_must ? "met" : "missed",
        f.meets_must === false ? "missed" : "met");
    });
  };

  describe();
  for (const [name, why] of Object.entries(run.failures)) add(main, "p", `${name} failed: ${why}`, "missed");
  for (const stage of new Set(run.figures.map((f) => f.stage))) {
    const figures = run.figures.filter((f) => f.stage === stage), section = add(main, "section");
    add(section, "h2", stage);
    for (const unit of new Set(figures.map((f) => f.unit))) {
      const some = figures.filter((f) => f.unit === unit);
      if (some.length > 1) {
        add(section, "h3", unit === "ns" ? "CPU ns an event" : unit);
        chart(add(section, "div", undefined, "chart"), some);
      }
      table(section, some);
    }
  }
})();
