// Drives the live page in Chromium: node page.cjs ADDRESS FOLDER. Prints what it saw as JSON; screenshots go to FOLDER.
const {chromium} = require("playwright-core");
const [address, folder] = process.argv.slice(2);
const seen = {errors: [], outside: [], sections: {}};

async function main() {
  const browser = await chromium.launch({executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]});
  const page = await browser.newPage({viewport: {width: 1000, height: 900}});
  page.setDefaultTimeout(60000);
  page.on("request", one => { if (!one.url().startsWith(new URL(address).origin) && !one.url().startsWith("data:")) seen.outside.push(one.url()); });
  page.on("pageerror", error => seen.errors.push(error.message));
  let expected = false;
  page.on("console", line => { if (line.type() === "error" && !expected) seen.errors.push(line.text()); });
  const shot = name => page.screenshot({path: `${folder}/${name}.png`, fullPage: true});
  const status = () => page.textContent("#status");
  const told = (id, words) => page.waitForFunction(([id, words]) => new RegExp(words).test(document.getElementById(id).textContent), [id, words]);
  const go = name => page.click(`nav a[href="#${name}"]`);

  await page.goto(address);
  seen.still = await page.isVisible(".still img");
  await shot("still");
  const begun = Date.now();
  await page.click(".live");
  await page.waitForFunction(() => window.drags.length > 0);
  seen.first = Date.now() - begun;
  const point = page.locator("#adapt .handle").nth(2), box = await point.boundingBox();
  const before = await page.textContent("#told");
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await page.mouse.move(x, y);
  await page.mouse.down();
  for (let i = 0; i < 40; i++) { await page.mouse.move(x + i, y - 2 * i); await page.waitForTimeout(25); }
  await page.mouse.up();
  await page.waitForTimeout(300);
  seen.moved = before !== await page.textContent("#told");
  seen.drag = await page.evaluate(() => window.drags.slice(1).sort((a, b) => a - b)[window.drags.length >> 1]);
  await shot("adapt");
  for (const start of ["fomaml", "joint", "random"]) { await page.check(`#adapt input[value=${start}]`); await page.waitForTimeout(200); }
  await page.check("#adapt input[value=maml]");
  await point.focus();
  await page.keyboard.press("ArrowUp");
  await page.click("#adapt summary");
  await page.fill("#csv", "x;y\n0;1\n1;2,5");
  await page.click("#read");
  await page.waitForFunction(() => document.querySelectorAll("#adapt .handle").length === 3);
  expected = true;
  await page.fill("#csv", "\u0001 anything at all");
  await page.click("#read");
  await told("status", "expected two columns");
  seen.csv = await status();
  expected = false;
  await page.click("#reset");
  await page.check("#adapt input[value=draw]");
  const plot = await page.locator("#adapt svg").boundingBox();
  await page.mouse.move(plot.x + 80, plot.y + 100);
  await page.mouse.down();
  for (let i = 0; i < 30; i++) await page.mouse.move(plot.x + 80 + 25 * i, plot.y + 180 + 80 * Math.sin(i / 4));
  await page.mouse.up();
  await page.waitForTimeout(400);
  await shot("curve");

  await go("train");
  await page.click("#go");
  await told("progress", "[2-9]\\d\\d updates");
  await page.click("#go");
  await page.waitForTimeout(600);
  await page.click("#go");
  await page.waitForTimeout(800);
  await page.click("#go");
  await page.waitForTimeout(600);
  seen.sections.train = await page.textContent("#progress");
  await shot("train");
  await page.click("#use");
  await page.waitForTimeout(500);
  seen.sections.own = await page.isChecked("#adapt input[value=own]");

  await go("check");
  await page.waitForFunction(() => document.getElementById("label").options.length > 3);
  await page.selectOption("#label", "dense.2");
  await page.fill("#text", "return times(dy, self._W(params[\"Wb\"]))");
  let at = Date.now();
  await page.click("#judge");
  await told("verdict", "[Ww]rong");
  seen.judged = Date.now() - at;
  seen.sections.wrong = await page.textContent("#verdict");
  await page.click("[data-hint=section]");
  await told("hint", "02_dense");
  await shot("check");
  await page.click("#original");
  await page.click("#judge");
  await told("verdict", "^Right");
  if (process.env.LOOP) {
    await page.fill("#text", "while True: pass");
    await page.click("#judge");
    await told("verdict", "oes not end");
    seen.sections.loop = [await page.textContent("#verdict"), await page.inputValue("#text")];
  }

  await go("trace");
  seen.sections.trace = await page.isVisible("#trace h2");

  await go("characters");
  await page.click("#sample");
  await told("named", "It is character");
  const canvas = await page.locator("#asked canvas").boundingBox();
  await page.click("#asked button");
  await told("named", "last square");
  await page.mouse.move(canvas.x + 30, canvas.y + 30);
  await page.mouse.down();
  for (let i = 0; i < 20; i++) await page.mouse.move(canvas.x + 30 + 4 * i, canvas.y + 30 + 4 * i);
  await page.mouse.up();
  await told("named", "It is character");
  seen.sections.characters = await page.textContent("#named");
  await shot("characters");

  await go("navigation");
  await told("returns", "after step 1");
  const plane = await page.locator("#plane").boundingBox();
  await page.mouse.click(plane.x + 150, plane.y + 150);
  await page.waitForTimeout(500);
  seen.sections.navigation = await page.textContent("#returns");
  seen.link = await page.evaluate(() => location.hash);
  await shot("navigation");

  expected = true;
  await page.goto(address + "#adapt?points=a;b&K=99&start=nothing");
  await page.reload();
  seen.old = await page.locator("#adapt .handle").count();
  await page.goto(address + "#nothing");
  seen.none = await status();
  for (const [name, scheme, width] of [["dark", "dark", 1000], ["narrow", "light", 400]]) {
    await page.setViewportSize({width, height: 800});
    await page.emulateMedia({colorScheme: scheme});
    for (const section of ["adapt?K=10", "train", "check", "characters", "navigation"]) {
      await page.goto(address + "#" + section);
      await page.reload();
      await page.waitForTimeout(700);
      if (section === "characters") { await page.click("#sample"); await page.waitForTimeout(400); }
      seen[name] = Math.max(seen[name] || 0, await page.evaluate(() => document.documentElement.scrollWidth));
      await shot(`${name}-${section.split("?")[0]}`);
    }
  }
  await page.goto(address.split("?")[0] + "#navigation");
  await told("status", "no token");
  await browser.close();
}

main().catch(error => { seen.failed = String(error).slice(0, 600); }).finally(() => { console.log(JSON.stringify(seen, null, 1)); process.exit(0); });
