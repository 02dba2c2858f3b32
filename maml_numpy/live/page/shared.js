// The engine, the address and plots.
export const $ = id => document.getElementById(id);
export const state = {section: "", written: "", own: null, query: {}};
const token = new URLSearchParams(location.search).get("token");

export function say(words, bad = false) {
  $("status").textContent = words;
  $("status").classList.toggle("bad", bad);
}

export async function ask(section, asked, seconds = 45) {
  // The engine's answer. Throws an Error with one line for the reader.
  if (!token) throw new Error("This address has no token: open the one that maml-numpy live printed.");
  let reply;
  try {
    reply = await fetch(`/${section}?token=${encodeURIComponent(token)}`, {method: "POST",
      headers: {"Content-Type": "application/json"}, body: JSON.stringify(asked), signal: AbortSignal.timeout(1000 * seconds)});
    reply = await reply.json();
  } catch (error) {
    throw new Error(error.name === "TimeoutError" ? `No answer within ${seconds} seconds.`
      : "The server does not answer: start maml-numpy live again, and open the address that it prints.");
  }
  if (reply.error) throw new Error(reply.error);
  return reply;
}

export function latest(section, make, done) {
  // Ask again and again, one request at a time, always with what is newest.
  let busy = false, again = false;
  return async function now() {
    again = true;
    if (busy) return;
    busy = true;
    while (again) {
      again = false;
      const asked = make();
      if (!asked) break;
      try { done(await ask(section, asked)); say(""); } catch (error) { say(error.message, true); }
    }
    busy = false;
  };
}

export function remember(section, words) {
  // Keep a section's state in the address.
  if (words !== undefined) state.query[section] = words;
  if (state.section !== section) return;
  state.written = state.query[section] || "";
  clearTimeout(state.timer);  // browsers refuse more than a few changes of the address a second
  state.timer = setTimeout(() => history.replaceState(null, "", location.search + hash()), 200);
}

export const hash = () => "#" + state.section + (state.written ? "?" + state.written : "");

export function wanted(query, name, least, most, usual) {
  // A number of the address; what is none, or out of range, is said and replaced.
  if (!query.has(name)) return usual;
  const value = Number(query.get(name));
  if (query.get(name).trim() !== "" && value >= least && value <= most) return value;
  say(`This link has a ${name} that this page does not take; ${usual} stands in its place.`, true);
  return usual;
}

export function choice(query, name, values, usual) {
  // A word of the address, one of some.
  const value = query.get(name) ?? usual;
  if (values.includes(value)) return value;
  say(`This link has a ${name} that this page does not know; ${usual} stands in its place.`, true);
  return usual;
}

export function element(name, attributes = {}, parent = null, text = "") {
  // An SVG element.
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  parent?.append(made);
  return made;
}

export function ticks(low, high, count = 6) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find(each => each * power >= raw);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i <= high / step + 1e-9; i++) found.push(+(i * step).toPrecision(6));
  return found;
}

export class Plot {
  // Axes in an SVG, and what is drawn between them, in pixels.
  constructor(svg, xlabel, ylabel) {
    Object.assign(this, {svg, xlabel, ylabel});
    this.axes = element("g", {}, svg);
    this.inside = element("g", {}, svg);
    this.handles = element("g", {}, svg);
  }
  range(x0, x1, y0, y1) {
    const {clientWidth: w, clientHeight: h} = this.svg;
    const key = [x0, x1, y0, y1, w, h].join();
    if (key === this.key) return;
    Object.assign(this, {key, x0, x1, y0, y1, w, h, left: 52, right: 14, top: 12, bottom: 42});
    this.axes.replaceChildren();
    for (const t of ticks(x0, x1, w < 500 ? 5 : 10)) {
      element("line", {class: "grid", x1: this.X(t), x2: this.X(t), y1: this.top, y2: h - this.bottom}, this.axes);
      element("text", {x: this.X(t), y: h - this.bottom + 17, "text-anchor": "middle"}, this.axes, String(t).replace("-", "−"));
    }
    for (const t of ticks(y0, y1)) {
      element("line", {class: "grid", x1: this.left, x2: w - this.right, y1: this.Y(t), y2: this.Y(t)}, this.axes);
      element("text", {x: this.left - 6, y: this.Y(t) + 4, "text-anchor": "end"}, this.axes, String(t).replace("-", "−"));
    }
    element("text", {x: (this.left + w - this.right) / 2, y: h - 6, "text-anchor": "middle"}, this.axes, this.xlabel);
    element("text", {x: 14, y: (this.top + h - this.bottom) / 2, "text-anchor": "middle",
      transform: `rotate(-90 14 ${(this.top + h - this.bottom) / 2})`}, this.axes, this.ylabel);
  }
  X(x) { return this.left + (x - this.x0) / (this.x1 - this.x0) * (this.w - this.left - this.right); }
  Y(y) { return this.h - this.bottom - (y - this.y0) / (this.y1 - this.y0) * (this.h - this.top - this.bottom); }
  at(event) {
    // x and y of a pointer, kept inside the picture.
    const box = this.svg.getBoundingClientRect();
    const u = (event.clientX - box.left - this.left) / (this.w - this.left - this.right);
    const v = (this.h - this.bottom - event.clientY + box.top) / (this.h - this.top - this.bottom);
    const held = t => Math.min(1, Math.max(0, t));
    return [this.x0 + held(u) * (this.x1 - this.x0), this.y0 + held(v) * (this.y1 - this.y0)];
  }
  path(xs, ys, name) {
    const far = y => Math.min(this.h + 2000, Math.max(-2000, this.Y(y)));
    return element("path", {class: "c " + name, d: "M" + xs.map((x, i) => `${this.X(x).toFixed(1)},${far(ys[i]).toFixed(1)}`).join("L")}, this.inside);
  }
}

export const short = (value, digits = 3) => Number(value).toPrecision(digits).replace("-", "−").replace(/\.?0+$/, m => m.startsWith(".") ? "" : m);
