// Train: outer updates in small requests, so that stopping is at once; the state comes back with every answer.
import {$, say, ask, remember, wanted, choice, state, Plot, short} from "./shared.js";

const CHUNK = 50, root = $("train");
let run = null, going = false, losses = [], last = null, plots = null;
const method = () => root.querySelector("input[name=method]:checked").value;

function fresh() { run = {iteration: 0, state: null, seed: run?.seed ?? 0, method: method()}; losses = []; last = null; }

async function loop() {
  while (going) {
    const mine = run;
    try {
      last = await ask("train", {...run, iterations: CHUNK});
    } catch (error) { say(error.message, true); stop(); break; }
    if (mine !== run) continue;
    Object.assign(run, {iteration: last.iteration, state: last.state});
    losses.push(...last.losses);
    draw();
    words();
  }
}

function stop() { going = false; $("go").textContent = run?.iteration ? "Go on" : "Train"; }

function words() { remember("train", new URLSearchParams({method: run.method, seed: run.seed, iterations: run.iteration}).toString()); }

function draw() {
  if (!plots || !$("loss").clientWidth) return;
  const mean = [], most = Math.max(1, losses.length), width = Math.max(1, Math.floor(losses.length / 40));
  let sum = 0;
  losses.forEach((v, i) => { sum += v - (i >= width ? losses[i - width] : 0); mean.push(sum / Math.min(i + 1, width)); });
  plots[0].range(0, Math.max(CHUNK, most), 0, Math.min(12, 1.05 * Math.max(1, ...losses.slice(0, 2000))));
  plots[0].inside.replaceChildren();
  const every = Math.ceil(most / 1500), thin = list => list.filter((_, i) => i % every === 0);
  if (losses.length) {
    const xs = thin(losses.map((_, i) => i + 1));
    plots[0].path(xs, thin(losses), "faint");
    plots[0].path(xs, thin(mean), "last");
  }
  plots[1].range(-5, 5, -5.5, 5.5);
  plots[1].inside.replaceChildren();
  plots[1].handles.replaceChildren();
  if (last) {
    plots[1].path(last.grid, last.truth, "true");
    plots[1].path(last.grid, last.before, "start");
    plots[1].path(last.grid, last.after, "last");
    last.x.forEach((x, i) => {
      const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
      for (const [key, value] of Object.entries({class: "point", r: 5, cx: plots[1].X(x), cy: plots[1].Y(last.y[i])})) dot.setAttribute(key, value);
      plots[1].handles.append(dot);
    });
  }
  $("progress").textContent = losses.length ? `${run.iteration} updates of ${{maml: "MAML", fomaml: "FO-MAML", joint: "joint training"}[run.method]}; `
    + `the mean query loss of the last ${Math.min(width, losses.length)} is ${short(mean.at(-1))}.` : "No update taken yet.";
  $("use").disabled = !run.state;
}

export function shown() { draw(); }

export function begin(query, first) {
  const chosen = choice(query, "method", ["maml", "fomaml", "joint"], "maml");
  root.querySelector(`input[name=method][value=${chosen}]`).checked = true;
  fresh();
  run.seed = Math.floor(wanted(query, "seed", 0, 1e9, 0));
  stop();
  if (first) {
    plots = [new Plot($("loss"), "update", "query loss"), new Plot($("task"), "x", "y")];
    $("go").addEventListener("click", () => {
      if (going) { stop(); return; }
      going = true;
      $("go").textContent = "Stop";
      loop();
    });
    $("anew").addEventListener("click", () => { const seed = run.seed + 1; fresh(); run.seed = seed; draw(); words(); if (!going) stop(); });
    for (const each of root.querySelectorAll("input[name=method]")) each.addEventListener("change", () => { fresh(); draw(); words(); if (!going) stop(); });
    $("use").addEventListener("click", () => { state.own = run.state; state.useOwn = true; stop(); location.hash = "#adapt"; });
    new ResizeObserver(draw).observe($("loss"));
  }
  draw();
  words();
}
