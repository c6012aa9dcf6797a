// The Content-Security-Policy in a real browser: what is injected does not run, is reported, and a sign-in for an
// organisation may lead on to that organisation's own provider.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before } from 'node:test';

import { launch, newPage } from './kit/chromium.mjs';
import { startEmulator, startServer, until } from './kit/processes.mjs';
import { test } from './kit/journey.mjs';

let browser;
let emulator;
let server;
let federated;

before(async () => {
  [browser, emulator] = await Promise.all([launch(), startEmulator(['--control'])]);
  server = await startServer(emulator.settings);
  // Another site than the application's `localhost` and the emulator's `127.0.0.1`.
  federated = createServer((_, response) => response.end("The organisation's own provider")).listen(0, '127.0.0.2');
  await once(federated, 'listening');
});

after(async () => {
  await browser?.close();
  await server?.stop();
  await emulator?.stop();
  federated?.close();
});

async function visit() {
  const page = await newPage(browser);
  const violations = [];
  page.on('console', (message) => {
    if (/Content Security Policy/.test(message.text())) violations.push(message.text());
  });
  return { page, violations };
}

test('h_06 a script in the HTML that lacks the nonce does not run, and v_3_4_7 the browser reports it', async () => {
  const { page, violations } = await visit();
  await page.route('**/auth/sign-in', async (route) => {
    const response = await route.fetch();
    const body = (await response.text()).replace('</body>', '<script>window.injected = true</script></body>');
    await route.fulfill({ response, body });
  });
  const reported = page.waitForRequest(`${server.origin}/csp-reports`);
  await page.goto(`${server.origin}/auth/sign-in`);
  assert.equal(await page.evaluate(() => window.injected), undefined);
  await until('the browser tells of the violation', () => violations.length > 0);
  assert.equal(violations.length, 1, violations.join('\n'));
  assert.equal((await (await reported).response()).status(), 204);
  // The log comes by a pipe, the answer by a socket: neither is sure to be first.
  await until('the report is in the log', () => [/Content Security Policy stopped something/, /script-src-elem/].every((words) => words.test(server.log())));
});

test('h_06 a sign-in leads on to the provider of an organisation that is named, and to no other place', async () => {
  const { address, port } = federated.address();
  const location = `http://${address}:${port}/sign-in`;
  const fault = { endpoint: 'authorize', fault: { kind: 'respond', status: 302, headers: [['Location', location]], body: '' } };
  const set = await fetch(`${emulator.origin}/_control/faults`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(fault),
  });
  assert.equal(set.status, 204);
  const { page, violations } = await visit();
  await page.goto(`${server.origin}/auth/sign-in?domain_hint=contoso.example`);
  await page.getByRole('button', { name: 'Sign in with Microsoft' }).click();
  await page.waitForURL(location);
  assert.deepEqual(violations, []);

  await page.goto(`${server.origin}/auth/sign-in`);
  const stopped = page.waitForEvent('console', (message) => message.text().includes('form-action'));
  await page.getByRole('button', { name: 'Sign in with Microsoft' }).click();
  await stopped;
  assert.equal(new URL(page.url()).origin, server.origin);
});
