// The release binary is the whole product: alone in an empty folder, without any environment but its settings, and with
// no provider in reach, it serves every page that needs nobody and every static file.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { get } from 'node:http';
import { after, before } from 'node:test';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';

import { ISLANDS } from './kit/chromium.mjs';
import { required, startServer } from './kit/processes.mjs';
import { test } from './kit/journey.mjs';

const run = promisify(execFile);

/** A provider at which nobody answers. */
const NOBODY = {
  ENTRA_AUTHORITY: 'http://127.0.0.1:1',
  GRAPH_URL: 'http://127.0.0.1:1',
  ENTRA_TENANT_ID: '11111111-2222-4333-8444-555555555555',
  ENTRA_CLIENT_ID: '66666666-7777-4888-8999-000000000000',
  ENTRA_CLIENT_SECRET: 'not used',
};
/** Undefined variables are left out: not even a path or a home. */
const NOTHING = { PATH: undefined, HOME: undefined, TMPDIR: undefined };

/** What is sent to those who take gzip, as it is: fetch would unpack it. */
async function packedBytes(url) {
  const [response] = await once(get(url, { headers: { 'Accept-Encoding': 'gzip' } }), 'response');
  assert.equal(response.headers['content-encoding'], 'gzip');
  return Buffer.concat(await response.toArray());
}

let server;
before(async () => (server = await startServer({ ...NOBODY, ...NOTHING })));
after(() => server?.stop());

test('its pages are there without provider', async () => {
  for (const [path, words] of [['/', 'Sign in'], ['/auth/sign-in', 'Sign in with Microsoft'], ['/auth/signed-out', 'signed out']]) {
    const page = await fetch(server.origin + path);
    assert.equal(page.status, 200, path);
    assert.match(await page.text(), new RegExp(words), path);
  }
  assert.equal((await fetch(`${server.origin}/readyz`)).status, 200);
});

test('every file that its pages ask for is inside it: hashed, immutable, compressed, known by its tag', async () => {
  const html = await (await fetch(`${server.origin}/auth/sign-in`)).text();
  const links = [...html.matchAll(/(?:href|src)="(\/assets\/[^"]+)"/g)].map(([, link]) => link);
  assert.equal(new Set(links).size, 2, 'style sheet and favicon');
  if (ISLANDS) links.push(...await islandFiles());
  for (const link of links) {
    assert.match(link, /\.[0-9a-f]{16}\.\w+$/, 'its name holds a hash of its content');
    const packed = await packedBytes(server.origin + link);
    const file = await fetch(server.origin + link, { headers: { 'Accept-Encoding': 'identity' } });
    const plain = Buffer.from(await file.arrayBuffer());
    assert.equal(file.status, 200, link);
    assert.equal(file.headers.get('cache-control'), 'public, max-age=31536000, immutable');
    assert.deepEqual(gunzipSync(packed), plain, `${link} compressed`);
    const etag = file.headers.get('etag');
    const again = await fetch(server.origin + link, { headers: { 'If-None-Match': etag, 'Accept-Encoding': 'identity' } });
    assert.equal(again.status, 304, `${link} ${etag}`);
  }
  assert.equal((await fetch(`${server.origin}/favicon.ico`)).headers.get('content-type'), 'image/svg+xml');
});

test('it tells from within a container whether it lives', async () => {
  const { port } = new URL(server.origin);
  await run(required('SERVER_BIN'), ['healthcheck'], { env: { BIND_ADDR: `0.0.0.0:${port}` } });
  await assert.rejects(run(required('SERVER_BIN'), ['healthcheck'], { env: { BIND_ADDR: '127.0.0.1:1' } }), { code: 1 });
});

/** The links of the files that islands consist of. */
async function islandFiles() {
  const page = await (await fetch(`${server.origin}/`)).text();
  const [, loader] = page.match(/<script [^>]*src="(\/assets\/islands\.[^"]+)"/);
  const files = (await (await fetch(server.origin + loader)).text()).match(/\/assets\/app\.[^']+/g);
  assert.deepEqual(files.map((link) => link.split('.').at(-1)).sort(), ['js', 'wasm']);
  return [loader, ...files];
}
