// Adapt: points to drag, predictions after each inner step, attention from the query.
import {$, say, ask, latest, remember, wanted, choice, state, Plot, element, short} from "./shared.js";

const USUAL = [[-3, 1.2], [-1, 3.9], [0.5, 0.4], [2, -3.8], [4, -0.1]], MOST = 200;
const root = $("adapt"), svg = root.querySelector("svg");
let points = USUAL.map(p => [...p]), query = 1, found = null, plot = null, curve = null, touched = -1, handles = [], diamond = null;
window.drags = [];  // milliseconds from an answer asked for to its picture; read by the tests
let asked = 0;

const radio = name => root.querySelector(`input[name=${name}]:checked`).value;
const K = () => +$("K").value, alpha = () => +(10 ** +$("alpha").value).toPrecision(3);

const compute = latest("adapt", () => {
  asked = performance.now();
  const own = radio("start") === "own";
  return {points, K: K(), alpha: alpha(), query, start: own ? "maml" : radio("start"), theta: own ? state.own : undefined};
}, answer => { found = answer; draw(); window.drags.push(performance.now() - asked); });

function changed() {
  $("K-out").textContent = K();
  $("alpha-out").textContent = alpha();
  const words = new URLSearchParams({points: points.map(p => p.map(v => +v.toFixed(3)).join(",")).join(";"), start: radio("start"),
    K: K(), alpha: alpha(), query: +query.toFixed(3)});
  remember("adapt", words.toString().replaceAll("%2C", ",").replaceAll("%3B", ";"));
  place();
  compute();
}

function range() {
  const xs = points.map(p => p[0]), ys = points.map(p => Math.abs(p[1]));
  if (touched >= 0) return;  // the axes stand still while a point is dragged
  const most = Math.max(5.5, ...ys.map(y => 1.15 * y));
  plot.range(Math.min(-5, ...xs), Math.max(5, ...xs), -most, most);
}

function place() {
  // The handles, one a point and one for the query; kept from one drawing to the next, so that focus stays.
  range();
  while (handles.length > points.length) handles.pop().remove();
  while (handles.length < points.length) handles.push(handle("point", handles.length));
  points.forEach(([x, y], i) => {
    handles[i].setAttribute("transform", `translate(${plot.X(x)} ${plot.Y(y)})`);
    handles[i].setAttribute("aria-label", `point ${i + 1}: x ${x.toFixed(2)}, y ${y.toFixed(2)}; arrow keys move it, Delete removes it`);
  });
  const y = found ? found.prediction.at(-1) : 0;
  diamond ??= handle("query", -2);
  diamond.setAttribute("transform", `translate(${plot.X(query)} ${Math.min(plot.h - plot.bottom, Math.max(plot.top, plot.Y(y)))})`);
  diamond.setAttribute("aria-label", `query at x ${query.toFixed(2)}; left and right move it`);
}

function handle(name, index) {
  const g = element("g", {class: "handle", tabindex: 0, role: "button"}, plot.handles);
  element("circle", {class: "hit", r: 22}, g);
  element("circle", {class: "ring", r: 13}, g);
  if (name === "point") element("circle", {class: "point", r: 7.5}, g);
  else element("path", {class: "query", d: "M0,-11L10,0L0,11L-10,0Z"}, g);
  g.addEventListener("pointerdown", event => {
    if (radio("mode") === "draw") return;
    event.stopPropagation();
    g.setPointerCapture(event.pointerId);
    touched = index === -2 ? points.length : index;
  });
  g.addEventListener("pointermove", event => {
    if (touched < 0 || !g.hasPointerCapture(event.pointerId)) return;
    const at = plot.at(event);
    if (index === -2) query = at[0]; else points[index] = at;
    changed();
  });
  const done = () => { touched = -1; changed(); };
  g.addEventListener("pointerup", done);
  g.addEventListener("pointercancel", done);
  g.addEventListener("keydown", event => {
    const step = event.shiftKey ? 0.5 : 0.1, move = {ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step]}[event.key];
    if (move && index === -2) query = Math.min(plot.x1, Math.max(plot.x0, query + move[0]));
    else if (move) points[index] = [points[index][0] + move[0], points[index][1] + move[1]].map(v => Math.min(1e4, Math.max(-1e4, v)));
    else if (["Delete", "Backspace"].includes(event.key) && index >= 0 && points.length > 1) points.splice(index, 1);
    else return;
    event.preventDefault();
    changed();
  });
  return g;
}

function draw() {
  plot.inside.replaceChildren();
  if (curve) plot.path(curve.map(p => p[0]), curve.map(p => p[1]), "own-curve");
  const {grid, curves, prediction, shares} = found, most = Math.max(1e-9, ...shares.map(Math.abs));
  if (shares.length === points.length) {
    shares.forEach((share, i) => K() && element("line", {class: "share " + (share > 0 ? "up" : "down"), x1: plot.X(query), y1: plot.Y(prediction.at(-1)),
      x2: plot.X(points[i][0]), y2: plot.Y(points[i][1]), "stroke-width": (12 * Math.abs(share) / most).toFixed(2)}, plot.inside));
  }
  curves.forEach((ys, k) => plot.path(grid, ys, k === curves.length - 1 && k ? "last" : k ? "mid" : "start"));
  place();
  $("told").textContent = `At x = ${short(query)}: ${short(prediction[0])} before, ${short(prediction.at(-1))} after ${K()} step${K() === 1 ? "" : "s"}. `
    + (K() ? `Of that, ${short(found.base)} is the start's last layer, ${short(shares.reduce((a, b) => a + b, 0))} comes from the points.` : "");
  const row = (title, values) => `<tr><th scope="row">${title}</th>${values.map(v => `<td>${v}</td>`).join("")}</tr>`;
  $("steps").innerHTML = row("after step", prediction.map((_, k) => k)) + row("prediction", prediction.map(v => short(v)))
    + row("squared error on the points", found.losses.map(v => short(v)));
}

function drawing() {
  // A curve drawn by hand gives ten points, evenly along x.
  let stroke = null;
  svg.addEventListener("pointerdown", event => {
    if (radio("mode") === "move") {
      if (points.length < MOST) { points.push(plot.at(event)); changed(); }
      return;
    }
    stroke = [plot.at(event)];
    svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener("pointermove", event => {
    if (!stroke) return;
    stroke.push(plot.at(event));
    plot.inside.querySelector(".own-curve")?.remove();
    plot.path(stroke.map(p => p[0]), stroke.map(p => p[1]), "own-curve");
  });
  const done = () => {
    if (!stroke) return;
    const line = stroke.sort((a, b) => a[0] - b[0]);
    stroke = null;
    if (line.at(-1)[0] - line[0][0] < 0.2) { say("Draw the curve from left to right, a little wider."); return; }
    curve = line;
    points = Array.from({length: 10}, (_, i) => {
      const x = line[0][0] + (i + 0.5) / 10 * (line.at(-1)[0] - line[0][0]), j = Math.max(1, line.findIndex(p => p[0] >= x));
      const [a, b] = [line[j - 1], line[j]];
      return [x, a[1] + (b[1] - a[1]) * (b[0] > a[0] ? (x - a[0]) / (b[0] - a[0]) : 0)];
    });
    changed();
  };
  svg.addEventListener("pointerup", done);
  svg.addEventListener("pointercancel", done);
}

async function read(text) {
  try {
    if (text.length > 1e6) throw new Error("The table is larger than 1 MB, which no list of points is.");
    points = (await ask("table", {text})).points;
    curve = null;
    say(`${points.length} points taken.`);
    changed();
  } catch (error) { say(error.message, true); }
}

function connect() {
  root.querySelector(".live").addEventListener("click", live);
  for (const name of ["K", "alpha"]) $(name).addEventListener("input", changed);
  for (const each of root.querySelectorAll("input[type=radio]")) each.addEventListener("change", () => {
    svg.classList.toggle("drawing", radio("mode") === "draw");
    changed();
  });
  $("add").addEventListener("click", () => { if (points.length < MOST) points.push([query, 0]); changed(); });
  $("reset").addEventListener("click", () => { points = USUAL.map(p => [...p]); query = 1; curve = null; $("K").value = 10; $("alpha").value = -2; changed(); });
  $("wave").addEventListener("click", () => {
    const a = 0.5 + 4.5 * Math.random(), phase = Math.PI * Math.random();
    points = Array.from({length: 5}, () => -5 + 10 * Math.random()).map(x => [x, a * Math.sin(x - phase)]);
    curve = null;
    changed();
  });
  $("read").addEventListener("click", () => read($("csv").value));
  $("file").addEventListener("change", async event => { if (event.target.files[0]) read(await event.target.files[0].slice(0, 1e6 + 1).text()); });
  root.addEventListener("drop", async event => {
    event.preventDefault();
    const file = event.dataTransfer.files[0];
    read(file ? await file.slice(0, 1e6 + 1).text() : event.dataTransfer.getData("text"));
  });
  new ResizeObserver(() => { if (plot && svg.clientWidth) { place(); if (found) draw(); } }).observe(svg);
}

function live() {
  root.querySelector(".still").hidden = true;
  root.querySelector(".moving").hidden = false;
  if (!plot) { plot = new Plot(svg, "x", "y"); drawing(); }
  changed();
}

export function shown() {
  root.querySelector(".own").hidden = !state.own;
  if (state.own && state.useOwn) {
    state.useOwn = false;
    root.querySelector("input[value=own]").checked = true;
    live();
  } else if (plot) changed();
}

export function begin(words, first, still) {
  if (first) connect();
  const given = words.get("points");
  if (given) {
    const pairs = given.split(";").slice(0, MOST).map(pair => pair.split(",").map(Number));
    if (pairs.every(pair => pair.length === 2 && pair.every(v => Math.abs(v) <= 1e4))) points = pairs;
    else say("This link has points that are no pairs of numbers; the usual ones stand in their place.", true);
  }
  $("K").value = wanted(words, "K", 0, 20, 10);
  $("alpha").value = Math.log10(wanted(words, "alpha", 0.001, 0.1, 0.01));
  query = wanted(words, "query", -1e4, 1e4, 1);
  const start = choice(words, "start", ["maml", "fomaml", "joint", "random"].concat(state.own ? ["own"] : []), "maml");
  root.querySelector(`input[name=start][value=${start}]`).checked = true;
  if (!still) live();
  if (state.useOwn) shown();
}
