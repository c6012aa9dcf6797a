// Every page, in light and dark: no axe violation, no Content-Security-Policy violation, no sideways scroll at 360 px.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import axe from 'axe-core';

import { launch, signIn } from './kit/chromium.mjs';
import { startEmulator, startServer } from './kit/processes.mjs';

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
    ['/admin/sessions', 200],
    ['/admin/groups', 200],
    ['/admin/grants', 200],
    ['/admin/audit', 200],
    ['/admin/health', 200],
  ],
};

let browser;
let emulator;
let server;

before(async () => {
  [browser, emulator] = await Promise.all([launch(), startEmulator()]);
  server = await startServer(emulator.settings);
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
    ? await (await browser.newContext()).newPage()
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
      test(path, { timeout: 60_000 }, async () => {
        const response = await visited.page.goto(server.origin + path);
        if (status) assert.equal(response.status(), status);
        await checkPage(visited, path);
      });
    }

    if (visitor === 'admin') {
      test("a person's page and the confirm step", { timeout: 60_000 }, async () => {
        const { page } = visited;
        await page.goto(`${server.origin}/admin/users?q=member2`);
        await page.locator('main a[href^="/admin/users/"]:not([href*="?"])').first().click();
        await checkPage(visited, 'the page of a person');
        await page.getByRole('button', { name: /^Disable/ }).click();
        await checkPage(visited, 'the confirm step');
      });
    }
  });
}

/** The page as it is, in both colour schemes and at both widths; it is left as it was found. */
async function checkPage({ page, violations }, name) {
  await page.waitForLoadState('networkidle');
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

test('the keyboard reaches the content first, then everything, with a visible focus', { timeout: 60_000 }, async () => {
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

/** Runs in the page: what has the focus, and whether that can be seen; nothing when the document ended. */
function describeFocus() {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const { outlineStyle, boxShadow } = getComputedStyle(element);
  const name = element.getAttribute('href') ?? element.getAttribute('name') ?? element.textContent.trim();
  return { what: `${element.tagName} ${name}`, visible: outlineStyle !== 'none' || boxShadow !== 'none' };
}
