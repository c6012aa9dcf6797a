// Chromium as a person uses it, with and without JavaScript.

import { chromium } from 'playwright-core';

import { required } from './processes.mjs';

const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

/** Starts the installed Chromium. */
export function launch() {
  return chromium.launch({ executablePath: required('CHROMIUM'), args: FLAGS, headless: true });
}

/**
 * Signs in as one of the emulator's personas in a fresh context; returns the page, which shows `/profile`.
 *
 * The application is on `localhost` and the emulator on `127.0.0.1`, so the way back is a cross-site one.
 */
export async function signIn(browser, origin, persona, options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  await page.goto(`${origin}/profile`);
  await startSignIn(page, persona);
  await page.waitForURL(`${origin}/profile`);
  return page;
}

/** From the application's sign-in page to whatever comes after the provider knows who it is. */
export async function startSignIn(page, persona) {
  await page.getByRole('button', { name: 'Sign in with Microsoft' }).click();
  // A browser that is signed in at the provider is not asked again.
  const choice = page.locator(`button[name="persona"][value="${persona}"]`);
  if (await choice.isVisible()) await choice.click();
  // The answer of `form_post` is posted by script; without script there is a button.
  const goOn = page.getByRole('button', { name: 'Continue', exact: true });
  if (await goOn.isVisible()) await goOn.click();
}

/** Whether the server under test holds the islands. */
export const ISLANDS = process.env.ISLANDS === 'on';

/** Waits until the islands of the page have come to life, where there are any. */
export async function alive(page) {
  if (!ISLANDS) return;
  await page.locator('html[data-islands="alive"]').waitFor({ state: 'attached' });
}
