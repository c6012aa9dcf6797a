// `test` of node:test, which keeps what was on the screen when a journey fails.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test as nodeTest } from 'node:test';
import { fileURLToPath } from 'node:url';

import { openPages } from './chromium.mjs';
import { logs } from './processes.mjs';

/** Where the evidence of failures goes; `tests/run` says where to look. */
const FAILURES = process.env.FAILURES ?? fileURLToPath(new URL('../../../target/failures/browser', import.meta.url));

/**
 * No journey takes this long on the slowest of machines, in milliseconds. It only ends what hangs: what a journey waits
 * for has its own limit (`PATIENCE` in chromium.mjs), which names it.
 */
const LIMIT = 20 * 60_000;

/** As `test` of node:test; when `run` throws, the pages and the programs' logs are kept under `target/`. */
export function test(name, options, run) {
  const [settings, journey] = run ? [options, run] : [{}, options];
  nodeTest(name, { timeout: LIMIT, ...settings }, async (context) => {
    try {
      await journey(context);
    } catch (error) {
      const kept = await keep(name).catch((problem) => `nothing: ${problem}`);
      error.message += `\nKept of this failure: ${kept}`;
      throw error;
    }
  });
}

/** Writes screenshot and HTML of each open page, and each program's log; returns where. */
async function keep(name) {
  const folder = join(FAILURES, name.replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '').slice(0, 80));
  await mkdir(folder, { recursive: true });
  for (const [number, page] of openPages().entries()) {
    await page.screenshot({ path: join(folder, `page-${number}.png`), fullPage: true }).catch(() => {});
    const html = await page.content().catch(String);
    await writeFile(join(folder, `page-${number}.html`), `<!-- ${page.url()} -->\n${html}`);
  }
  for (const [number, { program, log }] of logs().entries()) {
    await writeFile(join(folder, `${program}-${number}.log`), log());
  }
  return folder;
}
