// The islands in a browser: what each adds to a page that is complete without it. `tests/run islands` builds them.

import assert from 'node:assert/strict';
import { after, before } from 'node:test';

import { ISLANDS, alive, launch, newPage, signIn } from './kit/chromium.mjs';
import { startEmulator, startServer } from './kit/processes.mjs';
import { test } from './kit/journey.mjs';

let browser;
let emulator;
let server;

before(async () => {
  if (!ISLANDS) return;
  [browser, emulator] = await Promise.all([launch(), startEmulator(['--control'])]);
  // Only what comes within the hour is counted down by the second.
  await emulator.control('settings', { access_token_lifetime: [3600, 3600] });
  server = await startServer(emulator.settings);
  for (const persona of ['member1', 'member2']) await (await signIn(browser, server.origin, persona)).context().close();
});

after(async () => {
  await browser?.close();
  await server?.stop();
  await emulator?.stop();
});

/** Runs `use` with a page of `persona` at `path` whose islands are alive; nothing may have gone wrong on it. */
async function visit(persona, path, use) {
  const page = await signIn(browser, server.origin, persona);
  const problems = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  await page.goto(server.origin + path);
  await alive(page);
  await use(page);
  assert.deepEqual(problems, []);
  await page.context().close();
}

test('an id is copied by its button', { skip: !ISLANDS }, async () => {
  await visit('member1', '/profile', async (page) => {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    const button = page.getByRole('button', { name: /^Copy [0-9a-f-]{36}$/ }).first();
    const [, id] = (await button.innerText()).match(/^Copy\s+(\S+)$/);
    await button.click();
    await page.getByText('Copied', { exact: true }).waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), id);
  });
});

test('the end of a session and the next refresh are counted down, in no live region', { skip: !ISLANDS }, async () => {
  await visit('member1', '/profile', async (page) => {
    const countdown = page.locator('time', { hasText: /^in \d+ min \d\d s$/ }).first();
    await countdown.waitFor();
    const words = await countdown.innerText();
    await page.waitForFunction(([element, before]) => element.innerText !== before, [await countdown.elementHandle(), words]);
    assert.equal(await page.locator('[aria-live] time, [role="status"] time').count(), 0);
  });
});

test('a dangerous form asks in a dialog, whose Cancel and Escape change nothing', { skip: !ISLANDS }, async () => {
  await visit('admin', '/admin/users?q=member2', async (page) => {
    await page.locator('main a[href^="/admin/users/"]:not([href*="?"])').first().click();
    await alive(page);
    const address = page.url();
    const button = page.locator('main').getByRole('button', { name: /^Disable/ });
    const dialog = page.getByRole('dialog', { name: 'Disable this user?' });
    for (const leave of [() => page.keyboard.press('Escape'), () => dialog.getByRole('button', { name: 'Cancel' }).click()]) {
      await button.click();
      assert.match(await dialog.innerText(), /sessions end at once/);
      await leave();
      await dialog.waitFor({ state: 'hidden' });
      assert.ok(await button.evaluate((element) => element === document.activeElement), 'the focus is back');
    }
    assert.equal(page.url(), address);
    await button.click();
    await Promise.all([page.waitForNavigation(), dialog.getByRole('button', { name: 'Disable' }).click()]);
    await page.locator('main').getByRole('button', { name: /^Enable/ }).waitFor();
  });
});

test('a session is asked about before it ends', { skip: !ISLANDS }, async () => {
  const other = await signIn(browser, server.origin, 'member1');
  await visit('member1', '/profile', async (page) => {
    await page.getByRole('button', { name: /^End/ }).first().click();
    const dialog = page.getByRole('dialog', { name: 'End this session?' });
    await Promise.all([page.waitForNavigation(), dialog.getByRole('button', { name: 'End' }).click()]);
  });
  await other.context().close();
});

test('a search is suggested people while it is typed, and Enter finds the one that is chosen', { skip: !ISLANDS }, async () => {
  await visit('admin', '/admin/users', async (page) => {
    const field = page.getByRole('combobox', { name: 'Search' });
    const suggested = () => page.locator('datalist option').evaluateAll((options) => options.map((option) => option.value));
    assert.deepEqual(await suggested(), []);
    await field.pressSequentially('member');
    await page.locator('datalist option').nth(1).waitFor({ state: 'attached' });
    const [first, second] = await suggested();
    assert.match(first, /^member1@/);
    assert.match(second, /^member2@/);
    await field.fill('');
    await page.waitForFunction(() => document.querySelectorAll('datalist option').length === 0);
    await field.fill(first);
    await Promise.all([page.waitForNavigation(), field.press('Enter')]);
    assert.equal(new URL(page.url()).searchParams.get('q'), first);
    await page.getByRole('link', { name: first, exact: true }).waitFor();
  });
});

test('a page without islands fetches none of them', { skip: !ISLANDS }, async () => {
  const page = await newPage(browser);
  const fetched = [];
  page.on('request', (request) => fetched.push(new URL(request.url()).pathname));
  await page.goto(`${server.origin}/auth/sign-in`, { waitUntil: 'networkidle' });
  assert.equal(fetched.filter((path) => path.endsWith('.wasm')).length, 0);
  await page.context().close();
});
