// Signs people in with a real Chromium, as they do, and prints one line of JSON for each thing seen.
//
// node browser.mjs CHROMIUM TRACKSIDE PROVIDER SCIM_TOKEN sign in and out, from either side; be switched off elsewhere
// node browser.mjs CHROMIUM device ADDRESS LOGIN          what a person does whose device shows them this address
import puppeteer from 'puppeteer-core';

const [chromium, ...rest] = process.argv.slice(2);
const browser = await puppeteer.launch({ executablePath: chromium, args: ['--no-sandbox', '--disable-gpu'] });
const tell = (name, ok, detail = '') => console.log(JSON.stringify({ name, ok, detail: String(detail) }));

// Presses what a page offers until there is no form of the provider any more.
async function through(page, login, done) {
  for (let step = 0; step < 8 && !(await done(page)); step += 1) {
    await page.waitForSelector('button');
    const field = await page.$('input[name=login]');
    if (field) {
      await field.type(login);
      await page.type('input[name=password]', 'x');
    }
    await Promise.all([page.waitForNavigation(), page.click('button[type=submit], button[autofocus], button')]);
  }
}

async function signIn(page, base, login) {
  await page.goto(`${base}/runs?state=failed`);
  tell(`${login}: a page leads to the sign-in`, page.url().startsWith(`${base}/sign-in?next=`), page.url());
  await Promise.all([page.waitForNavigation(), page.click('a.button.main')]);
  await through(page, login, (there) => there.url().startsWith(base));
}

// Switches somebody off in the directory, as a provider does.
async function switchOff(base, token, userName) {
  const scim = async (method, path, body) => (await fetch(`${base}/scim/v2${path}`, {
    method, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/scim+json' }, body: JSON.stringify(body),
  })).json();
  const { id } = await scim('POST', '/Users', { schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'], userName, active: true });
  await scim('PATCH', `/Users/${id}`, { Operations: [{ op: 'replace', path: 'active', value: false }] });
}

async function person(base, provider, scim) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  await signIn(page, base, 'alice');
  tell('alice is back where she wanted to be', page.url() === `${base}/runs?state=failed`, page.url());
  const who = await page.$eval('.side .foot .who[href="/sessions"]', (node) => node.textContent);
  tell('her name and role are shown', who.includes('corporate:alice') && who.includes('operator'), who);
  const cookies = await context.cookies();
  const session = cookies.find((cookie) => cookie.name === 'trackside');
  tell('the cookie is out of reach of scripts', session?.httpOnly === true && session.sameSite === 'Lax', JSON.stringify(cookies));
  tell('nothing is left of the way there', !cookies.some((cookie) => cookie.name === 'trackside-sign-in'));
  await page.goto(`${base}/sessions`);
  const forms = await page.$$eval('form[method=post]', (all) => all.map((form) => form.querySelector('input[name=csrf]')?.value.length));
  tell('every form brings the token', forms.length > 1 && forms.every((length) => length === 43), JSON.stringify(forms));
  const forged = await page.evaluate(async () => (await fetch('/silences', { method: 'POST', body: new URLSearchParams({ csrf: 'x', matchers: 'a="b"', for: '1h' }) })).status);
  tell('a form without it is refused', forged === 403, forged);

  // Out at the provider, which tells Trackside.
  const other = await context.newPage();
  await other.goto(`${provider}/session/end?client_id=trackside&post_logout_redirect_uri=${encodeURIComponent(`${base}/sign-in`)}`);
  await Promise.all([other.waitForNavigation(), other.click('button[value=yes]')]);
  await other.close();
  await page.bringToFront();
  await page.goto(`${base}/runs`);
  tell('out at the provider is out here', page.url().startsWith(`${base}/sign-in`), page.url());

  // Out here, with the offer to sign out there.
  await signIn(page, base, 'alice');
  await Promise.all([page.waitForNavigation(), page.click('form[action="/sign-out"] button')]);
  tell('signing out says so', page.url() === `${base}/signed-out`, page.url());
  const there = await page.$$eval('a', (all) => all.map((link) => link.href).find((href) => href.includes('/session/end')));
  tell('and offers to sign out there', there?.startsWith(provider) === true, there);
  await page.goto(`${base}/runs`);
  tell('out here is out', page.url().startsWith(`${base}/sign-in`), page.url());

  // Switched off by the directory, while signed in.
  await signIn(page, base, 'alice');
  await switchOff(base, scim, 'alice');
  await page.goto(`${base}/runs`);
  tell('who is switched off in the directory is out at once', page.url().startsWith(`${base}/sign-in`), page.url());
  await Promise.all([page.waitForNavigation(), page.click('a.button.main')]);
  await through(page, 'alice', (there) => there.url().startsWith(base));
  const why = await page.$eval('main', (node) => node.textContent);
  tell('and does not come in again', why.includes('not active in the directory'), why);
  await context.close();

  // Somebody whom no rule gives a role.
  const strangers = await browser.createBrowserContext();
  const stranger = await strangers.newPage();
  await signIn(stranger, base, 'mallory');
  const text = await stranger.$eval('main', (node) => node.textContent);
  tell('who has no role is told so', text.includes('has no role here'), text);
  const replayed = await stranger.goto(stranger.url());
  tell('an answer counts once', replayed.status() === 400, replayed.status());
  await strangers.close();
}

async function device(address, login) {
  const page = await (await browser.createBrowserContext()).newPage();
  await page.goto(address);
  const said = () => page.$eval('body', (body) => body.textContent).catch(() => '');
  await through(page, login, async () => /Sign-in Success/i.test(await said()));
  tell('the device was let in', /Sign-in Success/i.test(await said()), await said());
}

try {
  if (rest[0] === 'device') await device(rest[1], rest[2]); else await person(...rest);
} finally {
  await browser.close();
}
