// An OAuth 2.0 server that is not ours, npm's oidc-provider, at the paths that X or Mastodon has: PKCE required, refresh
// tokens that serve once. Behind it a small API that takes its access tokens. The person at the browser agrees
// at once. It says `ready URL` on standard output when it listens, and ends when its standard input ends.
//
// The package is of the last line that runs on Node 18, which is Debian 12's.
//
// usage: node server.mjs FOLDER   (FOLDER/node_modules holds oidc-provider)
// environment: OIDC_ACCOUNT   who sits at the browser; nobody agrees if it is empty
//              OIDC_LIFE_S    how long an access token lives, in seconds
//              OIDC_NETWORK   whose paths and API it has: x, or mastodon

import { createServer } from 'node:http';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

process.stdin.on('end', () => process.exit(0)).resume();

const module = resolve(process.argv[2], 'node_modules/oidc-provider/lib/index.js');
const { default: Provider } = await import(pathToFileURL(module));
const network = await import(`./${process.env.OIDC_NETWORK ?? 'x'}.mjs`);

const HOST = '127.0.0.1';
const BODY_MAX = 64 * 1024;
const account = process.env.OIDC_ACCOUNT ?? '';
const life = Number(process.env.OIDC_LIFE_S ?? 7200);
const posts = [];

// Native: any port of the loopback interface will do.
const loopback = { application_type: 'native', redirect_uris: [`http://${HOST}/callback`] };
const configuration = {
  clients: network.clients.map((client) => ({ ...loopback, ...client })),
  cookies: { keys: ['only for a test'] },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    revocation: { enabled: true },
  },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  issueRefreshToken: (_, __, source) => source.scopes.has('offline.access'),
  pkce: { required: () => true },
  rotateRefreshToken: true,
  routes: network.routes,
  scopes: network.scopes,
  ttl: { AccessToken: life, AuthorizationCode: 30, Grant: 86400, Interaction: 600, RefreshToken: 86400, Session: 600 },
};

/// What the person does: signs in, then agrees to all that is asked for.
async function interact(provider, ctx) {
  const { prompt, params, session } = await provider.interactionDetails(ctx.req, ctx.res);
  let result = { error: 'access_denied', error_description: 'nobody agrees' };
  if (account && prompt.name === 'login') {
    result = { login: { accountId: account } };
  } else if (account) {
    const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    result = { consent: { grantId: await grant.save() } };
  }
  const to = await provider.interactionResult(ctx.req, ctx.res, result, { mergeWithLastSubmission: true });
  ctx.redirect(to);
}

/// The API, for whoever has an access token.
async function api(provider, ctx, url) {
  const bearer = /^Bearer (.+)$/.exec(ctx.get('authorization'))?.[1];
  const found = bearer && (await provider.AccessToken.find(bearer));
  const token = found?.isValid ? found : undefined;
  const { method, path } = ctx;
  answer(ctx, ...network.api({ method, path, token, body: await body(ctx.req), posts, url }));
}

function answer(ctx, status, body) {
  ctx.status = status;
  ctx.body = body;
}

async function body(request) {
  let text = '';
  for await (const chunk of request) {
    text += chunk;
    if (text.length > BODY_MAX) throw new Error('the body is too long');
  }
  return text;
}

// Only here, and not on every interface, as the package's own listen would.
const server = createServer();
server.listen(0, HOST, () => {
  const url = `http://${HOST}:${server.address().port}`;
  const provider = new Provider(url, configuration);
  provider.use((ctx, next) => {
    if (ctx.path === '/__posts') return answer(ctx, 200, posts);
    if (ctx.path.startsWith('/interaction/')) return interact(provider, ctx);
    if (network.serves(ctx.path)) return api(provider, ctx, url);
    if (ctx.path === network.metadata) ctx.path = '/.well-known/openid-configuration';
    return next();
  });
  server.on('request', provider.callback());
  console.log(`ready ${url}`);
});
