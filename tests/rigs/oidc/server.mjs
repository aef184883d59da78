// An OAuth 2.0 server that is not ours, npm's oidc-provider, at the paths that X has: PKCE required, refresh
// tokens that serve once. Behind it a small API that takes its access tokens. The person at the browser agrees
// at once. It says `ready URL` on standard output when it listens, and ends when its standard input ends.
//
// The package is of the last line that runs on Node 18, which is Debian 12's.
//
// usage: node server.mjs FOLDER   (FOLDER/node_modules holds oidc-provider)
// environment: OIDC_ACCOUNT   who sits at the browser; nobody agrees if it is empty
//              OIDC_LIFE_S    how long an access token lives, in seconds

import { createServer } from 'node:http';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

process.stdin.on('end', () => process.exit(0)).resume();

const module = resolve(process.argv[2], 'node_modules/oidc-provider/lib/index.js');
const { default: Provider } = await import(pathToFileURL(module));

const HOST = '127.0.0.1';
const SCOPES = ['tweet.read', 'users.read', 'tweet.write', 'offline.access'];
const BODY_MAX = 64 * 1024;
const account = process.env.OIDC_ACCOUNT ?? '';
const life = Number(process.env.OIDC_LIFE_S ?? 7200);
const posts = [];

const client = {
  // Native: any port of the loopback interface will do.
  application_type: 'native',
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  redirect_uris: [`http://${HOST}/callback`],
};
const configuration = {
  clients: [
    { ...client, client_id: 'public-flock', token_endpoint_auth_method: 'none' },
    {
      ...client,
      client_id: 'confidential-flock',
      client_secret: 'secret-of-the-confidential-flock',
      token_endpoint_auth_method: 'client_secret_basic',
    },
  ],
  cookies: { keys: ['only for a test'] },
  features: { devInteractions: { enabled: false }, revocation: { enabled: true } },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  issueRefreshToken: (_, __, source) => source.scopes.has('offline.access'),
  pkce: { required: () => true },
  rotateRefreshToken: true,
  routes: {
    authorization: '/i/oauth2/authorize',
    revocation: '/2/oauth2/revoke',
    token: '/2/oauth2/token',
  },
  scopes: SCOPES,
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

/// The API: who one is, posting and deleting, with X's shapes.
async function api(provider, ctx) {
  const bearer = /^Bearer (.+)$/.exec(ctx.get('authorization'))?.[1];
  const token = bearer && (await provider.AccessToken.find(bearer));
  if (!token?.isValid) {
    return answer(ctx, 401, { title: 'Unauthorized', type: 'about:blank', status: 401, detail: 'Unauthorized' });
  }
  const handle = token.accountId;
  const needed = ctx.method === 'GET' ? 'users.read' : 'tweet.write';
  if (!token.scope?.split(' ').includes(needed)) {
    return answer(ctx, 403, { title: 'Forbidden', type: 'about:blank', status: 403, detail: 'Forbidden' });
  }
  const id = /^\/2\/tweets\/(\d+)$/.exec(ctx.path)?.[1];
  if (ctx.method === 'GET' && ctx.path === '/2/users/me') {
    return answer(ctx, 200, { data: { id: '1000000000', name: `The poet ${handle}`, username: handle } });
  }
  if (ctx.method === 'POST' && ctx.path === '/2/tweets') {
    const post = { id: String(posts.length + 1), handle, text: JSON.parse(await body(ctx.req)).text, deleted: false };
    posts.push(post);
    return answer(ctx, 201, { data: { id: post.id, text: post.text } });
  }
  const post = posts.find((known) => known.id === id && known.handle === handle && !known.deleted);
  if (ctx.method === 'DELETE' && post) {
    post.deleted = true;
    return answer(ctx, 200, { data: { deleted: true } });
  }
  return answer(ctx, 404, { title: 'Not Found', type: 'about:blank', status: 404, detail: 'Not Found' });
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
    if (ctx.path.startsWith('/2/users/') || ctx.path.startsWith('/2/tweets')) return api(provider, ctx);
    return next();
  });
  server.on('request', provider.callback());
  console.log(`ready ${url}`);
});
