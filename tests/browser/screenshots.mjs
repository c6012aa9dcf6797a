// Takes the screenshots of docs/screenshots anew: `SERVER_BIN=… EMULATOR_BIN=… CHROMIUM=… node screenshots.mjs`, with the
// programs that `tests/run browser` builds. People and their names are made up and the same each time.

import { mkdir, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { launch, newPage, signIn } from './kit/chromium.mjs';
import { startEmulator, startServer } from './kit/processes.mjs';

const FOLDER = fileURLToPath(new URL('../../docs/screenshots/', import.meta.url));
/** What a file may weigh, in bytes. */
const MOST = 150 * 1024;
const WIDE = { width: 1280, height: 800 };
const NARROW = { width: 360, height: 740 };

const PEOPLE = [
  ['Amelia', 'Hart', 'Head of Operations', 'Operations'], ['Noah', 'Lindqvist', 'Site Engineer', 'Engineering'],
  ['Priya', 'Raman', 'Product Manager', 'Product'], ['Mateo', 'Alvarez', 'Support Lead', 'Support'],
  ['Yuki', 'Tanaka', 'Designer', 'Product'], ['Chloé', 'Bernard', 'Controller', 'Finance'],
  ['Samuel', 'Okafor', 'Security Analyst', 'Security'], ['Ingrid', 'Solberg', 'Data Engineer', 'Engineering'],
  ['Luca', 'Ferri', 'Account Executive', 'Sales'], ['Hannah', 'Weiss', 'Counsel', 'Legal'],
  ['Omar', 'Haddad', 'Network Engineer', 'Engineering'], ['Zofia', 'Nowak', 'Recruiter', 'People'],
];
const DEVICES = [
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1',
  'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
];

/** Name, path, and how it is looked at. */
const SHOTS = [
  ['sign-in', '/auth/sign-in', { visitor: 'anonymous' }],
  ['dashboard', '/admin', {}],
  ['users', '/admin/users', {}],
  ['user', '{person}', {}],
  ['grants', '/admin/grants', {}],
  ['audit', '/admin/audit', {}],
  ['health', '/admin/health', {}],
  ['profile', '/profile', {}],
  ['users-dark', '/admin/users', { colorScheme: 'dark' }],
  ['user-dark', '{person}?tab=sessions', { colorScheme: 'dark' }],
  ['sign-in-dark', '/auth/sign-in', { visitor: 'anonymous', colorScheme: 'dark' }],
  ['users-narrow', '/admin/users', { viewport: NARROW }],
];

async function addPeople(emulator) {
  for (const [number, [given_name, family_name, job_title, department]] of PEOPLE.entries()) {
    const name = `${given_name[0]}.${family_name}`.toLowerCase().normalize('NFD').replace(/\p{M}/gu, '');
    const upn = `${name}@contoso.example`;
    await emulator.control('personas', {
      id: name, tenant_id: emulator.settings.ENTRA_TENANT_ID, oid: `5eed0000-0000-4000-8000-${String(number + 1).padStart(12, '0')}`,
      upn, email: upn, name: `${given_name} ${family_name}`, given_name, family_name, job_title, department, photo: false,
      groups: [], guest: number % 5 === 4,
    });
    PEOPLE[number].id = name;
  }
}

/** Everybody signs in, some twice; one is disabled and one is refused, so that there is something to see. */
async function fill(browser, origin) {
  for (const [number, { id }] of PEOPLE.entries()) {
    for (const userAgent of DEVICES.slice(0, number % 3 === 0 ? 2 : 1)) {
      const device = number % 3 === 0 ? userAgent : DEVICES[number % DEVICES.length];
      await (await signIn(browser, origin, id, { userAgent: device })).context().close();
    }
  }
}

async function act(page, path, buttons) {
  await page.goto(path);
  for (const name of buttons) await page.locator('main').getByRole('button', { name }).first().click();
}

async function shoot(page, name) {
  const path = `${FOLDER}${name}.png`;
  await page.waitForLoadState('networkidle');
  await page.screenshot({ path, animations: 'disabled' });
  const { size } = await stat(path);
  if (size > MOST) throw new Error(`${name}.png has ${size} bytes, and may have ${MOST}`);
  console.log(`${name}.png ${Math.round(size / 1024)} KiB`);
}

const [browser, emulator] = await Promise.all([launch(), startEmulator(['--control'])]);
await addPeople(emulator);
const server = await startServer({ ...emulator.settings, DIRECTORY_SYNC_INTERVAL: '15m' });
try {
  await mkdir(FOLDER, { recursive: true });
  await fill(browser, server.origin);
  const admin = await signIn(browser, server.origin, 'admin', { userAgent: DEVICES[0], viewport: WIDE });
  await admin.goto(`${server.origin}/admin/users?q=l.ferri`);
  const disabled = await admin.locator('main a[href^="/admin/users/"]:not([href*="?"])').first().getAttribute('href');
  await act(admin, server.origin + disabled, [/^Disable/, /^Disable/]);
  await admin.goto(`${server.origin}/admin/users?q=a.hart`);
  const person = await admin.locator('main a[href^="/admin/users/"]:not([href*="?"])').first().getAttribute('href');
  await admin.goto(`${server.origin}/profile`);
  for (const [name, path, { visitor, colorScheme = 'light', viewport = WIDE }] of SHOTS) {
    const page = visitor ? await newPage(browser) : admin;
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(viewport);
    await page.goto(server.origin + path.replace('{person}', person));
    await shoot(page, name);
    if (visitor) await page.context().close();
  }
} finally {
  await browser.close();
  await server.stop();
  await emulator.stop();
}
