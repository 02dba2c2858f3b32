// Characters: drawings by mouse, finger or pen, and a classifier that adapts to them.
import {$, latest, remember, wanted, say} from "./shared.js";

const SAMPLES = [  // strokes of made-up characters, for who has nothing to draw with
  t => [[[.2, .2 + t], [.8, .8]], [[.8 - t, .2], [.2, .8]]], t => [[[.5, .1], [.5 + t, .9]], [[.15, .4 + t], [.85, .4]]],
  t => [Array.from({length: 25}, (_, i) => [.5 + (.35 + t) * Math.cos(i / 3.8), .5 + .35 * Math.sin(i / 3.8)])],
  t => [[[.2, .15], [.2 + t, .85], [.8, .85 - t]]], t => [[[.15, .8], [.5 + t, .2], [.85, .8]], [[.3, .58], [.7, .58 + t]]]];
let pages = [], query = null, best = -1;
const ways = () => +$("ways").value, shots = () => +$("shots").value;

class Page {
  constructor(parent, title, changed) {
    Object.assign(this, {strokes: [], changed});
    this.box = Object.assign(document.createElement("div"), {className: "page"});
    const head = document.createElement("span"), wipe = Object.assign(document.createElement("button"), {textContent: "wipe"});
    wipe.setAttribute("aria-label", `wipe ${title}`);
    head.append(title, wipe);
    this.canvas = Object.assign(document.createElement("canvas"), {width: 280, height: 280, tabIndex: 0});
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `${title}: draw here; with the keyboard, digits 1 to 5 draw a character`);
    this.box.append(head, this.canvas);
    parent.append(this.box);
    const at = event => { const box = this.canvas.getBoundingClientRect(); return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map(v => Math.min(1, Math.max(0, +v.toFixed(3)))); };
    let stroke = null;
    this.canvas.addEventListener("pointerdown", event => { stroke = [at(event)]; this.strokes.push(stroke); this.canvas.setPointerCapture(event.pointerId); this.paint(); });
    this.canvas.addEventListener("pointermove", event => { if (stroke && stroke.length < 400) { stroke.push(at(event)); this.paint(); } });
    for (const end of ["pointerup", "pointercancel"]) this.canvas.addEventListener(end, () => { if (stroke) { stroke = null; changed(); } });
    this.canvas.addEventListener("keydown", event => { const i = "12345".indexOf(event.key); if (i >= 0) this.set(SAMPLES[i]((Math.random() - .5) * .12)); });
    wipe.addEventListener("click", () => this.set([]));
    this.paint();
  }
  set(strokes) { this.strokes = strokes; this.paint(); this.changed(); }
  paint() {
    const pen = this.canvas.getContext("2d");
    pen.clearRect(0, 0, 280, 280);
    Object.assign(pen, {lineWidth: 18, lineCap: "round", lineJoin: "round", strokeStyle: "#1d2329"});
    for (const stroke of this.strokes) {
      pen.beginPath();
      stroke.forEach(([x, y]) => pen.lineTo(280 * x, 280 * y));
      if (stroke.length === 1) pen.lineTo(280 * stroke[0][0] + .1, 280 * stroke[0][1]);
      pen.stroke();
    }
  }
}

const compute = latest("characters", () => {
  const drawn = pages.map(one => one.map(page => page.strokes));
  const missing = drawn.flat().filter(strokes => !strokes.length).length;
  if (missing || !query.strokes.length) {
    $("named").textContent = missing ? `${missing} square${missing > 1 ? "s are" : " is"} still empty.` : "Draw one of the characters again in the last square.";
    $("probabilities").replaceChildren();
    mark(-1);
    return null;
  }
  return {classes: drawn, query: query.strokes, steps: +$("csteps").value};
}, ({probabilities}) => {
  const last = probabilities.at(-1);
  mark(last.indexOf(Math.max(...last)));
  const percent = v => `${(100 * v).toFixed(v > .995 || v < .005 ? 1 : 0)} %`;
  $("named").textContent = `It is character ${best + 1}, with probability ${percent(last[best])}; before the first step it had ${percent(probabilities[0][best])}.`;
  const row = (title, cells) => `<tr><th scope="row">${title}</th>${cells.map(v => `<td>${v}</td>`).join("")}</tr>`;
  $("probabilities").innerHTML = row("character", last.map((_, c) => c + 1)) + probabilities.map((p, k) => row(k ? `after step ${k}` : "before", p.map(percent))).join("");
});

function mark(which) {
  best = which;
  pages.forEach((one, c) => one.forEach(page => page.box.classList.toggle("best", c === which)));
}

function changed() {
  $("csteps-out").textContent = $("csteps").value;
  remember("characters", new URLSearchParams({ways: ways(), shots: shots(), steps: $("csteps").value}).toString());
  compute();
}

function lay() {
  const kept = pages.map(one => one.map(page => page.strokes));
  $("pages").replaceChildren();
  pages = Array.from({length: ways()}, (_, c) => Array.from({length: shots()}, (_, i) => {
    const page = new Page($("pages"), shots() > 1 ? `${c + 1}, drawing ${i + 1}` : `character ${c + 1}`, changed);
    if (kept[c]?.[i]) { page.strokes = kept[c][i]; page.paint(); }
    return page;
  }));
  changed();
}

export function begin(words, first) {
  const usual = (name, low, high, value) => Math.round(wanted(words, name, low, high, value));
  $("ways").value = usual("ways", 2, 5, 3);
  $("shots").value = usual("shots", 1, 3, 1);
  $("csteps").value = usual("steps", 0, 5, 3);
  if (first) {
    query = new Page($("asked"), "the one to be named", changed);
    for (const id of ["ways", "shots"]) $(id).addEventListener("change", lay);
    $("csteps").addEventListener("input", changed);
    $("wipe").addEventListener("click", () => { for (const page of [...pages.flat(), query]) { page.strokes = []; page.paint(); } say(""); changed(); });
    $("sample").addEventListener("click", () => {
      const some = () => (Math.random() - .5) * .12;
      pages.forEach((one, c) => one.forEach(page => { page.strokes = SAMPLES[c](some()); page.paint(); }));
      query.strokes = SAMPLES[Math.floor(Math.random() * pages.length)](some());
      query.paint();
      changed();
    });
  }
  lay();
}

export function shown() { changed(); }
