// Check: a labelled statement of the library, edited, judged by the library's checker.
import {$, say, ask, remember} from "./shared.js";

let list = [], source = [], module = "", kept = {}, judging = false;
const chosen = () => list.find(one => one.label === $("label").value);

function store() { kept[`${module} ${$("label").value}`] = $("text").value; words(); }

function words() {
  const one = chosen();
  if (!one) return;
  const query = new URLSearchParams({module, label: one.label});
  if ($("text").value !== one.text && $("text").value.length < 4000) query.set("text", $("text").value);
  remember("check", query.toString());
}

function statement(text) {
  const one = chosen();
  if (!one) return;
  $("equation").textContent = one.equation.join("\n") || "This statement has no equation of its own.";
  $("before").textContent = source.slice(Math.max(0, one.first - 8), one.first).join("\n");
  $("behind").textContent = source.slice(one.last + 1, one.last + 5).join("\n");
  $("text").value = text ?? kept[`${module} ${one.label}`] ?? one.text;
  $("text").rows = Math.max(2, one.text.split("\n").length + 1);
  for (const id of ["verdict", "hint"]) $(id).textContent = "";
  $("hint").hidden = true;
  $("rows").replaceChildren();
  words();
}

async function choose(name, label, text) {
  try {
    const found = await ask("exercises", {module: name});
    [module, list, source] = [found.module, found.statements, found.source.split("\n")];
    if (!$("module").options.length) $("module").replaceChildren(...found.modules.map(each => new Option(each, each)));
    $("module").value = module;
    $("label").replaceChildren(...list.map(one => new Option(one.label, one.label)));
    if (label && list.some(one => one.label === label)) $("label").value = label;
    else if (label) say(`This link names a statement that ${module} does not have; its first one stands here.`, true);
    statement(text);
  } catch (error) {
    say(error.message, true);
    if (name !== "dense") { await choose("dense"); say(`${error.message.slice(0, 80)}… The module dense stands here.`, true); }
  }
}

function show(verdict) {
  $("verdict").textContent = verdict.words[0].toUpperCase() + verdict.words.slice(1) + ".";
  $("verdict").className = verdict.right ? "good" : "bad";
  const cells = (tag, texts) => {
    const row = document.createElement("tr");
    for (const text of texts) row.append(Object.assign(document.createElement(tag), {textContent: text}));
    return row;
  };
  $("rows").replaceChildren(...(verdict.failed.length ? [cells("th", ["what is checked", "tensor", "how it differs"])] : []),
    ...verdict.failed.map(row => cells("td", row.map(text => text.slice(0, 200)))));
}

async function judge() {
  if (judging) return;
  judging = true;
  $("judge").disabled = true;
  $("verdict").className = "";
  $("verdict").textContent = "Checking…";
  $("rows").replaceChildren();
  try { show(await ask("check", {module, label: $("label").value, text: $("text").value}, 90)); }
  catch (error) { $("verdict").textContent = error.message; $("verdict").className = "bad"; }
  judging = false;
  $("judge").disabled = false;
}

function target(text) {
  // What a statement writes or returns, with the value left open.
  const code = text.replace(/\s*#.*$/gm, "");
  if (/^return\b/.test(code)) return "return ...";
  const assigned = /^([^=()[\]]+(?:\[[^\]]*\])?(?::[^=]+)?\s*[-+*]?=)(?!=)/.exec(code);
  return assigned ? `${assigned[1]} ...` : "...";
}

export function begin(query, first) {
  if (first) {
    $("module").addEventListener("change", () => choose($("module").value));
    $("label").addEventListener("change", () => statement());
    $("text").addEventListener("input", store);
    $("text").addEventListener("keydown", event => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) judge(); });
    $("judge").addEventListener("click", judge);
    $("blank").addEventListener("click", () => { const one = chosen(); if (one) { $("text").value = target(one.text); store(); $("text").focus(); } });
    $("original").addEventListener("click", () => { const one = chosen(); if (one) { $("text").value = one.text; store(); } });
    for (const button of document.querySelectorAll("[data-hint]")) button.addEventListener("click", async () => {
      $("hint").hidden = false;
      $("hint").textContent = "…";
      try { $("hint").textContent = (await ask("hint", {module, label: $("label").value, what: button.dataset.hint})).lines.join("\n") || "Nothing to add."; }
      catch (error) { $("hint").textContent = error.message; }
    });
  }
  return choose(query.get("module") || "dense", query.get("label"), query.get("text") ?? undefined);
}

export function shown() { words(); }
