// The whole life of a sign-in at a strict provider that nobody here wrote: PKCE demanded, refresh tokens rotated (a used
// one that comes back revokes the grant), access tokens that live for 20 s, `offline_access` only with consent.

import assert from 'node:assert/strict';
import { on } from 'node:events';
import { after, before } from 'node:test';

import { Client } from './kit/client.mjs';
import { freePort, startServer } from './kit/processes.mjs';
import { startProvider } from './kit/provider.mjs';
import { test } from './kit/journey.mjs';

const SUB = 'grace-1906';

let provider;
let server;

before(async () => {
  const port = await freePort();
  provider = await startProvider(`http://localhost:${port}`);
  server = await startServer({ ...provider.settings, ADMIN_USERS: `${provider.issuer}#${SUB}` }, port);
});

after(async () => {
  await server?.stop();
  await provider?.stop();
});

/** From an anonymous /profile to the signed-in one; returns the profile page. */
async function signIn(client) {
  const { page: card } = await client.follow(await client.get(`${server.origin}/profile`));
  assert.equal(new URL(card.url).pathname, '/auth/sign-in');
  let { page } = await client.follow(await client.submit(card, card.form('/auth/sign-in')));
  const hops = [];
  while (page.url.startsWith(`${provider.issuer}/interaction/`)) {
    const answer = await client.follow(await client.submit(page, page.forms[0], { sub: SUB }));
    page = answer.page;
    hops.push(...answer.hops);
  }
  const callback = hops.find(({ url }) => new URL(url).pathname === '/auth/callback');
  assert.equal(callback?.status, 303, page.text);
  assert.equal(page.url, `${server.origin}/profile`);
  assert.equal(page.status, 200, server.log());
  return page;
}

/** Waits until the provider has answered `count` refreshes. */
async function refreshes(count) {
  for await (const [grantType] of on(provider.grants, 'success')) {
    if (grantType === 'refresh_token' && --count === 0) return;
  }
}

test('sign in, one user, tokens refreshed in time, sign out at both ends', async () => {
  const client = new Client();
  const refreshed = refreshes(2);
  const profile = await signIn(client);
  assert.match(profile.text, /Grace Hopper/);
  assert.match(profile.text, /grace@navy\.example/);

  const users = await client.get(`${server.origin}/admin/users`);
  assert.equal(users.status, 200);
  const links = new Set(users.text.match(/\/admin\/users\/[0-9a-f-]{36}(?=")/g));
  assert.equal(links.size, 1, 'one person, one row');

  await refreshed;
  assert.deepEqual(provider.errors, [], 'no refresh token was used twice');
  assert.equal((await client.get(`${server.origin}/profile`)).status, 200, 'the session outlives the first access token');

  const thief = client.clone();
  const signedOut = await signOut(client);
  assert.equal(signedOut.url.split('?')[0], `${server.origin}/auth/signed-out`);
  assert.equal(signedOut.status, 200);
  for (const [who, cookies] of Object.entries({ client, thief })) {
    const { page } = await cookies.follow(await cookies.get(`${server.origin}/profile`));
    assert.equal(new URL(page.url).pathname, '/auth/sign-in', `${who} is signed out`);
  }
});

/** Submits the sign-out form of the profile page and confirms at the provider; returns the last page. */
async function signOut(client) {
  const profile = await client.get(`${server.origin}/profile`);
  const { page, hops } = await client.follow(await client.submit(profile, profile.form('/auth/sign-out')));
  const endSession = hops.concat(page).map(({ url }) => url).find((url) => url.startsWith(`${provider.issuer}/session/end`));
  assert.ok(endSession, 'sign-out goes through the end_session_endpoint');
  assert.ok(new URL(endSession).searchParams.has('post_logout_redirect_uri'));
  const confirmed = await client.follow(await client.submit(page, page.forms[0]));
  return confirmed.page;
}

test('signing in again finds the same user, and the provider does not ask twice', async () => {
  const client = new Client();
  await signIn(client);
  const users = await client.get(`${server.origin}/admin/users`);
  assert.equal(new Set(users.text.match(/\/admin\/users\/[0-9a-f-]{36}(?=")/g)).size, 1);
});

test('a callback that is played again, or in another browser, signs nobody in', async () => {
  const client = new Client();
  const { page: card } = await client.follow(await client.get(`${server.origin}/profile`));
  let page = await client.submit(card, card.form('/auth/sign-in'));
  let callback;
  while (!callback) {
    while (page.location && !page.location.startsWith(`${server.origin}/auth/callback`)) page = await client.get(page.location);
    if (page.location) callback = page.location;
    else page = await client.submit(page, page.forms[0], { sub: SUB });
  }
  const stranger = await new Client().get(callback);
  assert.equal(stranger.status, 400, 'another browser');
  assert.equal((await client.get(callback)).status, 303, 'the browser that began');
  const replayed = await client.clone().get(callback);
  assert.ok([303, 400].includes(replayed.status));
  assert.doesNotMatch(replayed.headers.getSetCookie().join(), /^id=/, 'no new session from a used callback');
});
