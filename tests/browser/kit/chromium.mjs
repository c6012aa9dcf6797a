// Chromium as a person uses it, with and without JavaScript.

import { chromium } from 'playwright-core';

import { required } from './processes.mjs';

const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

/** How long a journey waits for what it waits for, in milliseconds: never the answer to "is it fast". */
const PATIENCE = 3 * 60_000;

/** By how much Chromium's processor is slowed down, to see whether a journey depends on its speed. */
const SLOWDOWN = Number(process.env.BROWSER_SLOWDOWN ?? 1);

const browsers = new Set();

/** Starts the installed Chromium. */
export async function launch() {
  const browser = await chromium.launch({ executablePath: required('CHROMIUM'), args: FLAGS, headless: true, timeout: PATIENCE });
  browsers.add(browser);
  return browser;
}

/**
 * A page of a fresh context, without motion unless `options` ask for it: what is looked at stands still.
 */
export async function newPage(browser, options = {}) {
  const context = await browser.newContext({ reducedMotion: 'reduce', ...options });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  if (SLOWDOWN > 1) await (await context.newCDPSession(page)).send('Emulation.setCPUThrottlingRate', { rate: SLOWDOWN });
  return page;
}

/** All open pages of all browsers: what a failure is told by. */
export function openPages() {
  return [...browsers].flatMap((browser) => browser.contexts()).flatMap((context) => context.pages());
}

/**
 * Signs in as one of the emulator's personas in a fresh context; returns the page, which shows `/profile`.
 *
 * The application is on `localhost` and the emulator on `127.0.0.1`, so the way back is a cross-site one.
 */
export async function signIn(browser, origin, persona, options = {}) {
  const page = await newPage(browser, options);
  await page.goto(`${origin}/profile`);
  await startSignIn(page, persona, options);
  await page.waitForURL(`${origin}/profile`);
  return page;
}

/** From the application's sign-in page to whatever it shows when the provider knows who it is. */
export async function startSignIn(page, persona, { javaScriptEnabled = true } = {}) {
  const application = new URL(page.url()).origin;
  await page.getByRole('button', { name: 'Sign in with Microsoft' }).click();
  // A browser that is signed in at the provider is not asked again.
  const choice = page.locator(`button[name="persona"][value="${persona}"]`);
  // The answer of `form_post` is posted by script; without script there is a button.
  const goOn = page.getByRole('button', { name: 'Continue', exact: true });
  const isBack = (url) => url.origin === application && url.pathname !== '/auth/sign-in';
  const back = () => page.waitForURL(isBack).then(() => 'back');
  const shown = (locator, name) => locator.waitFor().then(() => name);
  if (await first(back(), shown(choice, 'choice'), ...(javaScriptEnabled ? [] : [shown(goOn, 'go on')])) === 'choice') await choice.click();
  if (!javaScriptEnabled && await first(back(), shown(goOn, 'go on')) === 'go on') await goOn.click();
  await page.waitForURL(isBack);
}

/** What happens first; what then no longer happens is no failure. */
function first(...waits) {
  for (const wait of waits) wait.catch(() => {});
  return Promise.race(waits);
}

/** Whether the server under test holds the islands. */
export const ISLANDS = process.env.ISLANDS === 'on';

/** Waits until the islands of the page have come to life, where there are any. */
export async function alive(page) {
  if (!ISLANDS) return;
  await page.locator('html[data-islands="alive"]').waitFor({ state: 'attached' });
}
