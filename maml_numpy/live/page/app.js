// What all sections share: asking the engine, the address, the status line.
import * as adapt from "./adapt.js";
import * as train from "./train.js";
import * as check from "./check.js";
import * as characters from "./characters.js";
import * as navigation from "./navigation.js";
import {$, say, remember, hash, state} from "./shared.js";

const trace = {begin() {}};  // words alone
const sections = {adapt, train, check, trace, characters, navigation};
const begun = new Set();

function show() {
  clearTimeout(state.timer);
  const [name, words = ""] = location.hash.slice(1).split("?", 2);
  const chosen = sections[name] ? name : "adapt";
  if (name && !sections[name]) say(`This link names no section of this page: ${name.slice(0, 30)}.`, true);
  for (const each of Object.keys(sections)) $(each).hidden = each !== chosen;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === "#" + chosen) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (state.section !== chosen && sections[name]) say("");
  state.section = chosen;
  const wanted = new URLSearchParams(words);
  if (!begun.has(chosen) || (words && words !== state.written)) {
    const first = !begun.has(chosen);
    begun.add(chosen);
    sections[chosen].begin(wanted, first, first && !words);
  } else sections[chosen].shown?.();
  if (!words) remember(chosen);
}

window.addEventListener("hashchange", show);
window.addEventListener("error", event => say(`The page has a fault: ${event.message}.`, true));
$("copy").addEventListener("click", async () => {
  const link = location.origin + location.pathname + hash();
  try { await navigator.clipboard.writeText(link); say("The link is copied."); } catch { say(`The link: ${link}`); }
});
document.addEventListener("dragover", event => event.preventDefault());
document.addEventListener("drop", event => event.preventDefault());
show();
