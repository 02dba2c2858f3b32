// Navigation: a goal set by a click, walks before and after adaptation.
import {$, latest, remember, wanted, Plot, element, short} from "./shared.js";

let goal = [0.3, 0.2], found = null, plot = null, mark = null;

const compute = latest("navigation", () => ({goal, steps: +$("nsteps").value, seed: seed()}), answer => { found = answer; draw(); });
const seed = () => Math.min(9999, Math.max(0, Math.round(+$("nseed").value || 0)));

function changed() {
  $("nsteps-out").textContent = $("nsteps").value;
  remember("navigation", new URLSearchParams({goal: goal.map(v => +v.toFixed(3)).join(","), steps: $("nsteps").value, seed: seed()}).toString().replaceAll("%2C", ","));
  place();
  compute();
}

function place() {
  if (!$("plane").clientWidth) return;
  plot.range(-0.7, 0.7, -0.7, 0.7);
  mark.setAttribute("transform", `translate(${plot.X(goal[0])} ${plot.Y(goal[1])})`);
  mark.setAttribute("aria-label", `goal at x ${goal[0].toFixed(2)}, y ${goal[1].toFixed(2)}; arrow keys move it`);
}

function set(x, y) { goal = [x, y].map(v => Math.min(0.5, Math.max(-0.5, v))); changed(); }

function draw() {
  place();
  if (!found) return;
  plot.inside.replaceChildren();
  element("rect", {class: "c grid", x: plot.X(-.5), y: plot.Y(.5), width: plot.X(.5) - plot.X(-.5), height: plot.Y(-.5) - plot.Y(.5)}, plot.inside);
  found.paths.forEach((walks, k) => {
    const last = k === found.paths.length - 1 && k > 0;
    if (k && !last) return;
    for (const walk of walks.slice(0, 5)) plot.path(walk.map(p => p[0]), walk.map(p => p[1]), last ? "last walk" : "start walk");
  });
  $("returns").textContent = `Mean return of 40 walks: ${found.returns.map((r, k) => `${short(r)} ${k ? `after step ${k}` : "before"}`).join(", ")}. Staying at the origin: ${short(-100 * Math.hypot(...goal))}.`;
}

export function begin(words, first) {
  const given = (words.get("goal") || "0.3,0.2").split(",").map(Number);
  goal = given.length === 2 && given.every(v => Math.abs(v) <= .5) ? given : [0.3, 0.2];
  $("nsteps").value = wanted(words, "steps", 0, 3, 1);
  $("nseed").value = wanted(words, "seed", 0, 9999, 0);
  if (first) {
    plot = new Plot($("plane"), "x", "y");
    mark = element("g", {class: "handle", tabindex: 0, role: "button"}, plot.handles);
    element("circle", {class: "hit", r: 22}, mark);
    element("circle", {class: "ring", r: 14}, mark);
    element("circle", {class: "point", r: 8}, mark);
    $("plane").addEventListener("pointerdown", event => set(...plot.at(event)));
    mark.addEventListener("keydown", event => {
      const move = {ArrowLeft: [-.05, 0], ArrowRight: [.05, 0], ArrowUp: [0, .05], ArrowDown: [0, -.05]}[event.key];
      if (move) { event.preventDefault(); set(goal[0] + move[0], goal[1] + move[1]); }
    });
    for (const id of ["nsteps", "nseed"]) $(id).addEventListener("input", changed);
    new ResizeObserver(draw).observe($("plane"));
  }
  changed();
}

export function shown() { changed(); }
