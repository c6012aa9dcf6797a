// Starts the programs under test in folders of their own and ends them with the test file.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Nothing that a test waits for takes this long on the slowest of machines, in milliseconds. */
const PATIENCE = 3 * 60_000;

/** The programs that run now. */
const running = new Set();

/** A port of loopback that is free now. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

/** The value of an environment variable that `tests/run` sets. */
export function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run \`tests/run browser\``);
  return value;
}

/** Waits until `look` finds what the test waits for, and returns it; `what` says it in words. */
export async function until(what, look) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`not within ${PATIENCE / 1000} s: ${what}`);
    await delay(50);
  }
}

/** Each running program and its log: what a failure is told by. */
export function logs() {
  return [...running];
}

/** Starts `binary` and waits until `ready` (a URL) answers 200. Returns `{ stop, log }`. */
async function start(binary, { args = [], env, ready }) {
  const folder = await mkdtemp(join(tmpdir(), 'browser-test-'));
  const { PATH, HOME, TMPDIR = tmpdir() } = process.env;
  const child = spawn(binary, args, { cwd: folder, env: { PATH, HOME, TMPDIR, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => output.push(chunk.toString()));
  const log = () => output.join('');
  const entry = { program: basename(binary), log };
  running.add(entry);
  const stop = async () => {
    if (child.exitCode === null) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    running.delete(entry);
    await rm(folder, { recursive: true, force: true });
  };
  const isReady = async () => {
    if (child.exitCode !== null) throw new Error(`it has ended with ${child.exitCode}`);
    return answers(ready);
  };
  try {
    await until(`${binary} answers at ${ready}`, isReady);
  } catch (error) {
    await stop();
    throw new Error(`${binary} did not start: ${error.message}\n${log()}`);
  }
  return { stop, log };
}

async function answers(url) {
  try {
    return (await fetch(url)).status === 200;
  } catch {
    return false;
  }
}

/**
 * Starts the application on `localhost` with `settings` over sensible ones; returns `{ origin, stop, log }`.
 *
 * Each start has a database of its own: a SQLite file in its folder, or the PostgreSQL of `TEST_DATABASE_URL`.
 */
export async function startServer(settings, port) {
  port ??= await freePort();
  const origin = `http://localhost:${port}`;
  const env = {
    PUBLIC_URL: origin,
    BIND_ADDR: `127.0.0.1:${port}`,
    DATABASE_URL: process.env.TEST_DATABASE_URL ?? 'sqlite://data/app.db',
    TOKEN_ENCRYPTION_KEYS: `test:${randomBytes(32).toString('base64')}`,
    ...settings,
  };
  const started = await start(required('SERVER_BIN'), { args: ['serve'], env, ready: `${origin}/healthz` });
  return { origin, ...started };
}

/** Starts the Entra emulator, with further `args`, on `127.0.0.1`: another site than the application's `localhost`. */
export async function startEmulator(args = []) {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const credentials = { tenant: '11111111-2222-4333-8444-555555555555', client: 'browser-tests', secret: randomBytes(16).toString('hex') };
  const started = await start(required('EMULATOR_BIN'), {
    args: ['--host', '127.0.0.1', '--port', String(port), '--tenant-id', credentials.tenant, '--client-id', credentials.client, ...args],
    env: { EMULATOR_CLIENT_SECRET: credentials.secret },
    ready: `${origin}/${credentials.tenant}/v2.0/.well-known/openid-configuration`,
  });
  const settings = {
    ENTRA_AUTHORITY: origin,
    GRAPH_URL: `${origin}/graph`,
    ENTRA_TENANT_ID: credentials.tenant,
    ENTRA_CLIENT_ID: credentials.client,
    ENTRA_CLIENT_SECRET: credentials.secret,
  };
  /** Asks the control API, which `--control` opens. */
  const control = async (path, body) => {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${origin}/_control/${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  };
  return { origin, settings, control, ...started };
}
