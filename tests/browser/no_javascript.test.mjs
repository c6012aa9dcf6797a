// Everything that matters works without JavaScript, in a real browser, with the provider on another site.

import assert from 'node:assert/strict';
import { after, before } from 'node:test';

import { launch, signIn, startSignIn } from './kit/chromium.mjs';
import { startEmulator, startServer } from './kit/processes.mjs';
import { test } from './kit/journey.mjs';

const WITHOUT_SCRIPT = { javaScriptEnabled: false };

let browser;
let emulator;

before(async () => {
  [browser, emulator] = await Promise.all([launch(), startEmulator()]);
});

after(async () => {
  await browser?.close();
  await emulator?.stop();
});

for (const mode of ['query', 'form_post']) {
  test(`an administrator disables a person whose session ends (${mode})`, async () => {
    const server = await startServer({ ...emulator.settings, ENTRA_RESPONSE_MODE: mode });
    try {
      const member = await signIn(browser, server.origin, 'member1', WITHOUT_SCRIPT);
      assert.match(await member.locator('main').innerText(), /member1@contoso\.example/);

      const admin = await signIn(browser, server.origin, 'admin', WITHOUT_SCRIPT);
      await openUser(admin, server.origin, 'member1');
      await admin.getByRole('button', { name: /^Disable/ }).click();
      await confirm(admin, /^Disable/);
      await openUser(admin, server.origin, 'member1');
      assert.match(await admin.locator('main').innerText(), /Disabled/);
      assert.equal(await admin.getByRole('button', { name: /^Enable/ }).count(), 1);

      await member.goto(`${server.origin}/profile`);
      assert.equal(new URL(member.url()).pathname, '/auth/sign-in', 'the live session ended at the next request');
      await startSignIn(member, 'member1', WITHOUT_SCRIPT);
      assert.match(await member.locator('main').innerText(), /disabled/i, 'and there is no way back in');
    } finally {
      await server.stop();
    }
  });
}

/** Finds `name` by the search form of the list and opens the person's page. */
async function openUser(page, origin, name) {
  await page.goto(`${origin}/admin/users`);
  await page.getByRole('searchbox').fill(name);
  await page.getByRole('button', { name: 'Search', exact: true }).click();
  const links = page.locator('main a');
  const paths = await links.evaluateAll((found) => found.map((link) => link.getAttribute('href')));
  const people = new Set(paths.filter((path) => /^\/admin\/users\/[0-9a-f-]{36}$/.test(path)));
  assert.equal(people.size, 1, `one person is called ${name}`);
  await page.locator(`main a[href="${[...people][0]}"]`).first().click();
  assert.match(new URL(page.url()).pathname, /^\/admin\/users\/[0-9a-f-]{36}$/);
}

/** The confirm step names what will happen and posts to the same address. */
async function confirm(page, button) {
  assert.equal(await page.locator('input[name="confirm"][value="yes"]').count(), 1, 'a destructive act asks first');
  await page.getByRole('button', { name: button }).click();
}

test('sign out leaves no way back', async () => {
  const server = await startServer(emulator.settings);
  try {
    const page = await signIn(browser, server.origin, 'member2', WITHOUT_SCRIPT);
    await page.locator('details:has(form[action="/auth/sign-out"]) > summary').click();
    await page.getByRole('button', { name: 'Sign out', exact: true }).click();
    await page.goto(`${server.origin}/profile`);
    assert.equal(new URL(page.url()).pathname, '/auth/sign-in');
  } finally {
    await server.stop();
  }
});
