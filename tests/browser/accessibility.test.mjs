// Every page, in light and dark: no axe violation, no Content-Security-Policy violation, no sideways scroll at 360 px.

import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';

import axe from 'axe-core';

import { ISLANDS, alive, launch, newPage, signIn } from './kit/chromium.mjs';
import { startEmulator, startServer, until } from './kit/processes.mjs';
import { test } from './kit/journey.mjs';

const NARROW = { width: 360, height: 740 };
const WIDE = { width: 1280, height: 800 };
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** Path and the status that belongs to it, for each kind of visitor. */
const PAGES = {
  anonymous: [
    ['/', 200],
    ['/auth/sign-in', 200],
    ['/auth/sign-in?next=/profile', 200],
    ['/auth/signed-out', 200],
    ['/auth/callback?error=access_denied&state=x', 400],
    ['/no-such-page', null],
  ],
  member1: [
    ['/', 200],
    ['/profile', 200],
    ['/admin', 403],
    ['/no-such-page', 404],
  ],
  admin: [
    ['/', 200],
    ['/profile', 200],
    ['/admin', 200],
    ['/admin/users', 200],
    ['/admin/users?q=nobody-is-called-this', 200],
    ['/admin/users?sort=wrong&per_page=10', 200],
    ['/admin/users?status=disabled', 200],
    ['/admin/sessions', 200],
    ['/admin/groups', 200],
    ['/admin/grants', 200],
    ['/admin/grants?state=retrying', 200],
    ['/admin/audit', 200],
    ['/admin/audit?action=role.granted&from=2020-01-01&to=2020-01-02', 200],
    ['/admin/health', 200],
  ],
};

let browser;
let emulator;
let server;

before(async () => {
  [browser, emulator] = await Promise.all([launch(), startEmulator(['--control'])]);
  // A directory that has nobody in it holds the directory sync back, which the health page then tells.
  await emulator.control('edits/json', { endpoint: 'delta', merge: { value: [] } });
  server = await startServer({ ...emulator.settings, DIRECTORY_SYNC_INTERVAL: '1s' });
  // The list has more than one person in it.
  for (const persona of ['member2', 'guest']) await (await signIn(browser, server.origin, persona)).context().close();
});

after(async () => {
  await browser?.close();
  await server?.stop();
  await emulator?.stop();
});

/** A page of a visitor, which notes every violation of the Content-Security-Policy. */
async function visit(visitor) {
  const page = visitor === 'anonymous'
    ? await newPage(browser)
    : await signIn(browser, server.origin, visitor);
  const violations = [];
  await page.exposeFunction('noteViolation', (violation) => violations.push(violation));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
      window.noteViolation(`${violatedDirective} ${blockedURI}`);
    });
  });
  page.on('console', (message) => {
    if (/Content Security Policy|Content-Security-Policy/.test(message.text())) violations.push(message.text());
  });
  return { page, violations };
}

for (const [visitor, pages] of Object.entries(PAGES)) {
  describe(visitor, () => {
    let visited;

    before(async () => {
      visited = await visit(visitor);
    });

    after(() => visited?.page.context().close());

    for (const [path, status] of pages) {
      test(path, async () => {
        const response = await visited.page.goto(server.origin + path);
        if (status) assert.equal(response.status(), status);
        await checkPage(visited, path);
      });
    }

    if (visitor === 'admin') {
      test("each tab of a person's page and the confirm steps", async () => {
        const { page } = visited;
        const person = await personPath(page, 'member2');
        for (const tab of ['', '?tab=roles', '?tab=sessions', '?tab=grants', '?tab=history']) {
          await page.goto(server.origin + person + tab);
          await checkPage(visited, `the page of a person, ${tab}`);
        }
        for (const button of [/^Disable/, /^Sign out everywhere/]) {
          await checkQuestion(visited, person, button);
        }
        await checkQuestion(visited, `${person}?tab=grants`, /^Delete/);
      });

      test('a question in a dialog', { skip: !ISLANDS }, async () => {
        const { page } = visited;
        await page.goto(server.origin + await personPath(page, 'member2'));
        await alive(page);
        await page.locator('main').getByRole('button', { name: /^Disable/ }).first().click();
        await page.getByRole('dialog', { name: 'Disable this user?' }).waitFor();
        await checkPage(visited, 'the dialog');
      });

      test('a mapping with its dry run, and acts on many', async () => {
        const { page } = visited;
        await page.goto(`${server.origin}/admin/groups`);
        await page.locator('form[action$="/mappings"] input[name="value"]').first().fill('a-role-of-the-tenant');
        await page.locator('form[action$="/mappings"] [name="role"]:not([type="hidden"])').first().fill('reader');
        await page.locator('form[action$="/mappings"]').first().getByRole('button').click();
        await checkPage(visited, 'the dry run of a mapping');
        await page.goto(`${server.origin}/admin/users`);
        await page.locator('main input[type="checkbox"]').first().check();
        await page.getByRole('button', { name: 'Sign out everywhere' }).first().click();
        await checkPage(visited, 'the confirm step of many');
      });

      test('the directory sync that is held back, and its question', async () => {
        const { page } = visited;
        const alert = page.getByRole('heading', { name: 'The directory sync is on hold' });
        await emulator.control('delta/resync', {});
        await until('the directory sync is held back', async () => {
          await page.goto(`${server.origin}/admin/health`);
          return alert.isVisible();
        });
        await checkPage(visited, 'the alert of the directory sync');
        await page.getByRole('button', { name: /^Allow this sync/ }).click();
        await checkPage(visited, 'the question of the directory sync');
      });
    }
  });
}

/** The page that asks where no island does. */
async function checkQuestion(visited, path, button) {
  const { page } = visited;
  await page.route('**/assets/islands.*', (route) => route.abort());
  await page.goto(server.origin + path);
  await page.locator('main').getByRole('button', { name: button }).first().click();
  await page.locator('input[name="confirm"]').waitFor({ state: 'attached' });
  await checkPage(visited, `the confirm step of ${button}`);
  await page.unroute('**/assets/islands.*');
}

/** The address of a person's page. */
async function personPath(page, persona) {
  await page.goto(`${server.origin}/admin/users?q=${persona}`);
  return page.locator('main a[href^="/admin/users/"]:not([href*="?"])').first().getAttribute('href');
}

/** The page as it is, in both colour schemes and at both widths; it is left as it was found. */
async function checkPage({ page, violations }, name) {
  await page.waitForLoadState(ISLANDS ? 'networkidle' : 'load');
  assert.deepEqual(violations.splice(0), [], `${name}: Content-Security-Policy`);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    for (const viewport of [WIDE, NARROW]) {
      await page.setViewportSize(viewport);
      await checkWidth(page, `${name}, ${viewport.width} px`);
    }
    await checkAxe(page, `${name}, ${colorScheme}`);
  }
  violations.length = 0;
}

async function checkWidth(page, name) {
  const [needed, given] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(needed <= given, `${name}: content is ${needed} px wide on ${given} px`);
}

async function checkAxe(page, name) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate((tags) => window.axe.run(document, { runOnly: tags }), RULES);
  const found = violations.map(({ id, help, nodes }) => `${id} (${help}): ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('; ')}`);
  assert.deepEqual(found, [], name);
}

test('the keyboard reaches the content first, then everything, with a visible focus', async () => {
  const page = await signIn(browser, server.origin, 'admin');
  await page.goto(`${server.origin}/admin/users`);
  await page.keyboard.press('Tab');
  assert.match(await page.evaluate(() => document.activeElement.textContent), /skip/i, 'the skip link comes first');
  const reached = new Set();
  for (let presses = 0; presses < 200; presses++) {
    const focused = await page.evaluate(describeFocus);
    if (!focused) break;
    assert.ok(focused.visible, `focus is visible on ${focused.what}`);
    reached.add(focused.what);
    await page.keyboard.press('Tab');
  }
  for (const what of ['/admin/users', '/admin/sessions', 'q', 'status']) {
    assert.ok([...reached].some((found) => found.endsWith(` ${what}`)), `${what} is reached: ${[...reached].join(', ')}`);
  }
  await page.context().close();
});

test('a person is disabled and enabled by the keyboard alone', async () => {
  const page = await signIn(browser, server.origin, 'admin');
  await page.goto(server.origin + await personPath(page, 'guest'));
  await alive(page);
  const main = page.locator('main');
  await reachByKeyboard(page, main.getByRole('button', { name: /^Disable/ }).first());
  // A dialog asks, or the next page.
  if (ISLANDS) await page.keyboard.press('Enter');
  else await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
  const asks = ISLANDS ? page.getByRole('dialog') : main;
  await reachByKeyboard(page, asks.getByRole('button', { name: /^Disable/ }).first());
  await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
  await reachByKeyboard(page, main.getByRole('button', { name: /^Enable/ }).first());
  await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
  await page.getByText('can sign in again').waitFor();
  await page.context().close();
});

/** Walks to a button by Tab. */
async function reachByKeyboard(page, button) {
  await button.waitFor();
  for (let presses = 0; presses < 100; presses++) {
    if (await button.evaluate((element) => element === document.activeElement)) return;
    await page.keyboard.press('Tab');
  }
  assert.fail(`${button} is not reached`);
}

test('printed, a page is its content on white', async () => {
  const page = await signIn(browser, server.origin, 'admin', { colorScheme: 'dark' });
  await page.emulateMedia({ media: 'print' });
  for (const path of [await personPath(page, 'member2'), '/admin/audit']) {
    await page.goto(server.origin + path);
    const shown = (selector) => page.locator(selector).evaluateAll((found) => found.filter((one) => one.checkVisibility()).length);
    assert.equal(await shown('header nav, .side-nav, main button, form[role="search"]'), 0, `${path}: nothing to press`);
    assert.ok(await shown('main h1'), path);
    const background = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    assert.match(background, /255, 255, 255|rgba\(0, 0, 0, 0\)|oklch\(1 /, `${path}: ${background}`);
  }
  await page.context().close();
});

test('what moves does so only for those who have not asked for less of it', async () => {
  for (const [reducedMotion, moves] of [['no-preference', true], ['reduce', false]]) {
    const page = await newPage(browser, { reducedMotion });
    await page.goto(server.origin);
    const moving = await page.locator('*').evaluateAll((all) => all.filter((one) => parseFloat(getComputedStyle(one).transitionDuration) > 0).length);
    assert.equal(moving > 0, moves, `${reducedMotion}: ${moving} elements move`);
    await page.context().close();
  }
});

/** Runs in the page: what has the focus, and whether that can be seen; nothing when the document ended. */
function describeFocus() {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const { outlineStyle, boxShadow } = getComputedStyle(element);
  const name = element.getAttribute('href') ?? element.getAttribute('name') ?? element.textContent.trim();
  return { what: `${element.tagName} ${name}`, visible: outlineStyle !== 'none' || boxShadow !== 'none' };
}
