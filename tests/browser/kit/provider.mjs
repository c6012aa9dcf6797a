// `oidc-provider`, a certified OpenID Provider that knows nothing of Entra, set up as strictly as it goes.

import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';

import Provider from 'oidc-provider';

/** Life of an access token in seconds: short enough to see it refreshed. */
export const ACCESS_TOKEN_LIFE = 20;

const PERSON = { name: 'Grace Hopper', preferred_username: 'grace@navy.example', email: 'grace@navy.example', email_verified: true };

/**
 * Starts a provider on `127.0.0.1` for an application at `applicationOrigin`.
 *
 * Returns `{ issuer, settings, grants, errors, stop }`: `settings` configure the application, `grants` emits the grant
 * type of each successful token request, `errors` holds what went wrong at the provider.
 */
export async function startProvider(applicationOrigin) {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const client = { id: 'browser-tests', secret: randomBytes(24).toString('base64url') };
  const provider = new Provider(issuer, configuration(applicationOrigin, client));
  const { grants, errors } = watch(provider);
  const callback = provider.callback();
  server.on('request', (request, response) => {
    const handled = request.url.startsWith('/interaction/') ? interact(provider, request, response) : callback(request, response);
    Promise.resolve(handled).catch((error) => errors.push(error));
  });
  const settings = { OIDC_ISSUER: issuer, ENTRA_CLIENT_ID: client.id, ENTRA_CLIENT_SECRET: client.secret };
  const stop = async () => {
    server.close();
    server.closeAllConnections();
  };
  return { issuer, settings, grants, errors, stop };
}

function configuration(applicationOrigin, client) {
  return {
    clients: [
      {
        client_id: client.id,
        client_secret: client.secret,
        grant_types: ['authorization_code', 'refresh_token'],
        redirect_uris: [`${applicationOrigin}/auth/callback`],
        post_logout_redirect_uris: [`${applicationOrigin}/auth/signed-out`],
      },
    ],
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email', 'email_verified'] },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    features: { devInteractions: { enabled: false }, rpInitiatedLogout: { enabled: true, logoutSource } },
    findAccount: (_context, sub) => ({ accountId: sub, claims: () => ({ sub, ...PERSON }) }),
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    ttl: { AccessToken: ACCESS_TOKEN_LIFE, AuthorizationCode: 60, Grant: 3600, IdToken: 3600, Interaction: 600, RefreshToken: 3600, Session: 3600 },
  };
}

function watch(provider) {
  const grants = new EventEmitter();
  const errors = [];
  provider.on('grant.success', (context) => grants.emit('success', context.oidc.params.grant_type));
  for (const event of ['authorization.error', 'end_session.error', 'grant.error', 'server_error', 'userinfo.error']) {
    provider.on(event, (_context, error) => errors.push(error));
  }
  return { grants, errors };
}

/** Asks who it is, then for consent: one form each. */
async function interact(provider, request, response) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  if (request.method !== 'POST') {
    const field = prompt.name === 'login' ? '<input name="sub" value="">' : '';
    response.setHeader('content-type', 'text/html');
    response.end(`<!doctype html><title>${prompt.name}</title><form method="post">${field}<button>Continue</button></form>`);
    return;
  }
  const fields = new URLSearchParams(await text(request));
  const result = prompt.name === 'login'
    ? { login: { accountId: fields.get('sub') } }
    : { consent: { grantId: await consent(provider, prompt.details, params.client_id, session.accountId, grantId) } };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: prompt.name !== 'login' });
}

async function consent(provider, { missingOIDCScope, missingOIDCClaims }, clientId, accountId, grantId) {
  const grant = grantId ? await provider.Grant.find(grantId) : new provider.Grant({ accountId, clientId });
  if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '));
  if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims);
  return grant.save();
}

function logoutSource(context, form) {
  context.body = `<!doctype html><title>Sign out</title>${form.replace('</form>', '<input name="logout" value="yes"></form>')}`;
}
