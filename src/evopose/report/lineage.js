// The details of an individual: chosen by a click in a figure or a button in a table, told in a
// panel, its line drawn in the family tree. Works on the JSON that `embed.py` wrote; fetches
// nothing, and writes what it shows as text, never as HTML.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("individuals").textContent);
  const known = data.individuals;
  const panel = document.getElementById("details");
  const COLOUR = "#0f172a";
  let opener = null;

  const make = (tag, text, name) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (name) made.className = name;
    return made;
  };
  const button = (id) => {
    const made = make("button", id, "pick");
    made.type = "button";
    made.dataset.id = id;
    return made;
  };
  const digits = (value, n = 4) => Number(value.toPrecision(n)).toString();
  const count = (n) =>
    n >= 1e8 ? `${digits(n / 1e9, 3)} G` : n >= 1e5 ? `${digits(n / 1e6, 3)} M` : `${n}`;

  function lineOf(id) {
    const line = [];
    for (let at = id; at !== undefined && known[at] && !line.includes(at); at = known[at].parent) {
      line.unshift(at);
    }
    return line;
  }

  function facts(id, one) {
    const rows = [];
    const add = (label, value) => {
      if (value !== undefined && value !== "") rows.push([label, value]);
    };
    const number = (value, n) => (value === undefined ? undefined : digits(value, n));
    add("J", number(one.J));
    add("loss", number(one.loss));
    add("mean OKS", number(one.oks, 3));
    add("parameters", one.parameters && count(one.parameters));
    add("multiply-adds", one.macs && count(one.macs));
    add("latency", one.latency && `${digits(one.latency, 3)} ms`);
    add("inherited", one.inherited === undefined ? undefined : `${digits(100 * one.inherited, 3)} %`);
    if (one.inherited !== undefined) {
      add("began with parent's function", one.preserves ? "yes" : ["no", one.reasons].filter(Boolean).join(": "));
    }
    add("loss at start", number(one.start));
    add("seconds", number(one.seconds, 3));
    return rows;
  }

  const SVG = "http://www.w3.org/2000/svg";
  function svg(tag, attributes, text) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // The training curve; epoch 0 is the loss after inheriting, before any training.
  function curve(one) {
    const val = (one.start === undefined ? [] : [[0, one.start]]).concat(one.val || []);
    const train = one.train || [];
    const all = val.concat(train);
    if (all.length < 2) return null;
    const [W, H, L, R, T, B] = [300, 120, 44, 8, 8, 20];
    const xs = all.map((p) => p[0]);
    const ys = all.map((p) => p[1]);
    const [x0, x1] = [Math.min(...xs), Math.max(...xs)];
    const [y0, y1] = [Math.min(...ys), Math.max(...ys)];
    const X = (x) => L + ((W - L - R) * (x - x0)) / (x1 - x0 || 1);
    const Y = (y) => T + (H - T - B) * (1 - (y - y0) / (y1 - y0 || 1));
    const label = `loss by epoch: validation ${digits(val.length ? val[val.length - 1][1] : 0)}`;
    const made = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": label });
    for (const y of [y0, y1]) {
      made.append(svg("line", { x1: L, x2: W - R, y1: Y(y), y2: Y(y), stroke: "#e8ecf1" }));
      made.append(svg("text", { x: L - 6, y: Y(y) + 4, "text-anchor": "end" }, digits(y, 3)));
    }
    made.append(svg("text", { x: X(x0), y: H - 5 }, `epoch ${x0}`));
    made.append(svg("text", { x: X(x1), y: H - 5, "text-anchor": "end" }, `${x1}`));
    for (const [points, colour] of [[train, "#94a3b8"], [val, "#4f46e5"]]) {
      const text = points.map((p) => `${X(p[0]).toFixed(1)},${Y(p[1]).toFixed(1)}`).join(" ");
      made.append(svg("polyline", { points: text, fill: "none", stroke: colour, "stroke-width": 2 }));
      for (const p of points.length < 15 ? points : []) {
        made.append(svg("circle", { cx: X(p[0]), cy: Y(p[1]), r: 2.5, fill: colour }));
      }
    }
    const figure = make("div", undefined, "curve");
    const key = make("div", undefined, "muted");
    key.append(make("i", undefined, "val"), "validation ", make("i", undefined, "train"), "training");
    figure.append(made, key);
    return figure;
  }

  function people(title, ids, more) {
    const row = make("div", undefined, "people");
    row.append(make("span", title, "muted"));
    for (const id of ids.slice(0, 60)) row.append(known[id] ? button(id) : make("span", id));
    const rest = (more || 0) + Math.max(0, ids.length - 60);
    if (rest) row.append(make("span", `and ${rest} more`, "muted"));
    return row;
  }

  function show(id, from) {
    const one = known[id];
    if (!one) return false;
    if (from && !panel.contains(from)) opener = from;
    const head = make("h3", id);
    head.tabIndex = -1;
    head.append(make("span", ` ${one.kind} of generation ${one.generation || 0}`, "muted"));
    const close = make("button", "×", "close");
    close.type = "button";
    close.setAttribute("aria-label", "close");
    close.addEventListener("click", hide);
    panel.replaceChildren(close, head);
    if (one.change) panel.append(make("p", one.change, "change"));
    if (one.of !== undefined) panel.append(make("p", `${one.of} again, with seed ${one.seed || 0}`));
    if (one.status) panel.append(make("p", one.reason ? `${one.status}: ${one.reason}` : one.status));
    const list = make("dl");
    for (const [label, value] of facts(id, one)) list.append(make("dt", label), make("dd", value));
    panel.append(list, make("p", one.genes, "genotype"));
    const drawn = curve(one);
    if (drawn) panel.append(drawn);
    if (one.parent !== undefined) panel.append(people("parent", [one.parent]));
    if (one.of !== undefined) panel.append(people("repeats", [one.of]));
    if (one.children || one.more) panel.append(people("children", one.children || [], one.more));
    if (one.repeats) panel.append(people("trained again", one.repeats));
    const line = lineOf(id);
    if (line.length > 2) panel.append(people("line", line));
    panel.hidden = false;
    panel.scrollTop = 0;
    if (from) head.focus({ preventScroll: true });
    mark(id, line);
    return true;
  }

  function hide() {
    panel.hidden = true;
    mark(null, []);
    if (opener && opener.isConnected) opener.focus({ preventScroll: true });
    opener = null;
  }

  // In every figure a ring about the individual, in the tree also the line of its ancestors. They
  // are shapes, which Plotly draws without drawing the figure anew.
  const figures = [...document.querySelectorAll(".plotly-graph-div")];
  const isTree = (figure) => figure.closest("#tree") !== null;

  // Nine pixels to both sides of x; Plotly cannot do that itself where the axis is logarithmic.
  function across(figure, axis, x) {
    if (axis.type !== "log") return { xsizemode: "pixel", xanchor: x, x0: -9, x1: 9 };
    const part = (9 * (axis.range[1] - axis.range[0])) / (figure.clientWidth - 80);
    return { x0: x * 10 ** -part, x1: x * 10 ** part };
  }

  function ring(figure, id) {
    for (const trace of figure.data) {
      const at = trace.type === "scatter" && trace.customdata ? trace.customdata.indexOf(id) : -1;
      if (at < 0) continue;
      const where = { xref: trace.xaxis || "x", yref: trace.yaxis || "y" };
      const tall = { ysizemode: "pixel", yanchor: trace.y[at], y0: -9, y1: 9 };
      const wide = across(figure, figure.layout[where.xref.replace("x", "xaxis")], trace.x[at]);
      return [{ type: "circle", ...where, ...wide, ...tall, line: { color: COLOUR, width: 3 } }];
    }
    return [];
  }

  function way(line) {
    let path = "";
    for (const id of line) {
      const points = data.tree[id];
      if (!points || points.length < 2) continue;
      const first = (known[id].generation || 0) - points.length + 1;
      path += `M${first},${points[0]}`;
      for (let i = 1; i < points.length; i++) {
        const x = first + i;
        path += `C${x - 2 / 3},${points[i - 1]} ${x - 1 / 3},${points[i]} ${x},${points[i]}`;
      }
    }
    const look = { line: { color: COLOUR, width: 3.5 }, fillcolor: "rgba(0,0,0,0)" };
    return path ? [{ type: "path", xref: "x", yref: "y", path, ...look }] : [];
  }

  function mark(id, line) {
    for (const figure of figures) {
      const shapes = id === null ? [] : [...(isTree(figure) ? way(line) : []), ...ring(figure, id)];
      if (shapes.length || (figure.layout.shapes || []).length) Plotly.relayout(figure, { shapes });
    }
  }

  for (const figure of figures) {
    figure.on("plotly_click", (event) => {
      const point = event.points.find((p) => p.customdata !== undefined);
      if (!point) return;
      // Beside what was clicked, not over it.
      panel.classList.toggle("left", event.event.clientX > window.innerWidth / 2);
      show(String(point.customdata), null);
    });
  }
  document.addEventListener("click", (event) => {
    const chosen = event.target.closest("button.pick");
    if (!chosen) return;
    if (panel.hidden) panel.classList.remove("left");
    show(chosen.dataset.id, chosen);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !panel.hidden) hide();
  });
  const form = document.getElementById("find");
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const field = form.querySelector("input");
    const found = show(field.value.trim(), field);
    form.querySelector("output").textContent = found ? "" : "there is none of that id on this page";
  });
  document.documentElement.classList.add("script");
})();
