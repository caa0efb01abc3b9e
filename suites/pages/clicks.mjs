// Presses, in a real Chromium, what changes something on the pages of jobs, approvals, connections, audit and sessions,
// on the server that `trackside demo` starts.
//
// node clicks.mjs MODULES CHROMIUM BASE TOKEN   (MODULES: folder with node_modules)
// Prints one line of JSON for each thing seen: name, ok, detail.
import { createRequire } from "node:module";
import { join } from "node:path";

const [modules, chromium, base, token] = process.argv.slice(2);
const require = createRequire(join(modules, "package.json"));
const puppeteer = await import(require.resolve("puppeteer-core"));
const browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu"] });
const tell = (name, ok, detail = "") => console.log(JSON.stringify({ name, ok: Boolean(ok), detail: String(detail) }));
const text = (page, selector) => page.$eval(selector, (node) => node.textContent.trim());
const press = (page, selector) => Promise.all([page.waitForNavigation(), page.click(selector)]);

async function signIn() {
  const page = await (await browser.createBrowserContext()).newPage();
  await page.goto(`${base}/sign-in`);
  await page.type("input[name=token]", token);
  await press(page, "button[type=submit]");
  return page;
}

// The question that waits is one run of a job; the second yes lets it run.
async function approve(page) {
  await page.goto(`${base}/approvals`);
  await press(page, 'button[aria-label^="Approve #"]');
  tell("an approval is approved from the inbox", (await text(page, ".head .state")) === "Approved", page.url());
  await press(page, 'a[href*="/jobs/publish_prices/runs/"]');
  await page.waitForFunction(() => document.querySelector(".head .state")?.textContent === "Succeeded", { timeout: 15000 });
  tell("its run goes on, on the page that is open", true);
}

async function cancel(page) {
  await page.goto(`${base}/jobs/publish_prices`);
  await page.$eval("textarea[name=input]", (field) => { field.value = JSON.stringify({ day: "2026-11-22" }); });
  await page.type("input[name=justification]", "to be cancelled");
  await press(page, "form[action$='/runs'] button.main");
  tell("a run that is started by a form waits", (await text(page, ".head .state")) === "Awaits approval", await text(page, ".head"));
  await press(page, "form[action$='/cancel'] button");
  await page.waitForFunction(() => document.querySelector(".head .state")?.textContent === "Cancelled", { timeout: 15000 });
  tell("and is cancelled by a button", true);
  const wrong = await page.goto(`${base}/jobs/publish_prices`);
  await page.$eval("textarea[name=input]", (field) => { field.value = "{}"; });
  await page.type("input[name=justification]", "wrong");
  const [answer] = await press(page, "form[action$='/runs'] button.main");
  tell("an input that does not fit is refused with the place", answer.status() === 422 && (await text(page, "main")).includes("day"), `${wrong.status()} ${answer.status()}`);
}

async function test(page) {
  await page.goto(`${base}/connections`);
  await press(page, 'button[aria-label="Test features"]');
  tell("a connection that is called is tried", (await text(page, "main .card")).includes("Good"), await text(page, "main .card"));
  await press(page, 'button[aria-label="Fetch anew the credential of features"]');
  tell("its token is fetched anew", (await text(page, 'tr[data-key="features"]')).includes("Token in use"), await text(page, 'tr[data-key="features"]'));
  await press(page, 'button[aria-label="Send a test through slack-ml"]');
  tell("a test through a channel shows its delivery", page.url().startsWith(`${base}/deliveries/`), page.url());
}

async function filter(page) {
  await page.goto(`${base}/audit`);
  await page.type("input[name=action]", "approval.");
  await press(page, "form.filters button");
  const address = new URL(page.url());
  const actions = await page.$$eval("#audit tbody tr td code:first-of-type", (all) => all.map((code) => code.textContent));
  tell("the audit's filter is in the address", address.searchParams.get("action") === "approval.", page.url());
  tell("and only what fits it is shown", actions.length > 3 && actions.every((action) => action.startsWith("approval.")), actions);
}

async function revoke(page) {
  const other = await signIn();
  tell("a second browser is signed in", (await text(other, "h1")) === "Overview", other.url());
  await page.goto(`${base}/sessions`);
  const rows = await page.$$eval("tbody tr", (all) => all.map((row) => row.textContent.includes("this browser")));
  const theirs = rows.indexOf(false) + 1;
  await press(page, `tbody tr:nth-child(${theirs}) form button`);
  await other.goto(`${base}/runs`);
  tell("whose session is ended is signed out", other.url().startsWith(`${base}/sign-in`), other.url());
  await page.goto(`${base}/runs`);
  tell("and nobody else", page.url() === `${base}/runs`, page.url());
}

const page = await signIn();
for (const part of [approve, cancel, test, filter, revoke]) {
  try {
    await part(page);
  } catch (error) {
    tell(part.name, false, `${error.message} at ${page.url()}`);
  }
}
await browser.close();
