// Opens pages in a real Chromium, in both palettes and at two widths, and lets axe-core judge them.
//
// node axe.mjs MODULES CHROMIUM BASE TOKEN PATH...   (MODULES: folder with node_modules)
// Prints one line of JSON for each page, palette and width: what axe found, whether the page is wider than the screen,
// and what the browser's console complained about. What to make of it is decided by run.py.
import { createRequire } from "node:module";
import { join } from "node:path";

const [modules, chromium, base, token, ...paths] = process.argv.slice(2);
const require = createRequire(join(modules, "package.json"));
const puppeteer = await import(require.resolve("puppeteer-core"));
const axe = require.resolve("axe-core/axe.min.js");

const WIDTHS = [1280, 390];
const PALETTES = ["light", "dark"];
// What WCAG 2.2 AA asks for, and what axe's authors call best practice.
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

const browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage();
// The policy of the pages forbids foreign scripts, also those of a checker.
await page.setBypassCSP(true);
const complaints = [];
page.on("pageerror", (error) => complaints.push(String(error)));
page.on("console", (message) => { if (message.type() === "error") complaints.push(message.text()); });

async function judge(path, palette, width) {
  complaints.length = 0;
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: palette }, { name: "prefers-reduced-motion", value: "reduce" }]);
  await page.setViewport({ width, height: 900 });
  const answer = await page.goto(base + path, { waitUntil: "load" });
  // What opens on demand is judged open.
  await page.evaluate(() => { for (const part of document.querySelectorAll("details.menu, .alone details")) part.open = true; });
  await page.addScriptTag({ path: axe });
  const { violations } = await page.evaluate((values) => window.axe.run(document, { runOnly: { type: "tag", values }, resultTypes: ["violations"] }), TAGS);
  const wide = await page.evaluate(() => {
    if (document.documentElement.scrollWidth <= window.innerWidth) return [];
    const out = [...document.querySelectorAll("main *")].filter((part) => part.getBoundingClientRect().right > window.innerWidth + 1 && !part.closest(".scroll *"));
    return [...out.map((part) => `${part.localName}.${part.className}`).slice(0, 5), "page"];
  });
  const found = violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.slice(0, 5).map(({ target, failureSummary }) => ({ target: target.join(" "), why: failureSummary })) }));
  console.log(JSON.stringify({ path, palette, width, status: answer.status(), violations: found, wide, complaints: [...complaints] }));
}

// The pages of somebody who is not signed in, then the way in that people take.
for (const path of ["/sign-in", "/signed-out"]) for (const palette of PALETTES) for (const width of WIDTHS) await judge(path, palette, width);
await page.goto(`${base}/sign-in`);
await page.$$eval(".alone details", (all) => { for (const part of all) part.open = true; });
await page.type("input[name=token]", token);
await Promise.all([page.waitForNavigation(), page.click("button[type=submit]")]);
for (const path of paths) for (const palette of PALETTES) for (const width of WIDTHS) await judge(path, palette, width);
await browser.close();
