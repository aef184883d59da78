// A Mastodon server's side: its paths, its scopes, the one app that whoever registers is given, and a small API with
// Mastodon's shapes. The secret has to be in the body, as Mastodon documents it.

export const scopes = ['read:accounts', 'read:statuses', 'write:statuses', 'write:accounts'];

export const routes = {
  authorization: '/oauth/authorize',
  revocation: '/oauth/revoke',
  token: '/oauth/token',
};

const app = { client_id: 'registered-flock', client_secret: 'secret-of-the-registered-flock' };

export const clients = [
  {
    ...app,
    grant_types: ['authorization_code', 'client_credentials'],
    response_types: ['code'],
    scope: scopes.join(' '),
    token_endpoint_auth_method: 'client_secret_post',
  },
];

// Where the package itself says what it can do, and where Mastodon does.
export const metadata = '/.well-known/oauth-authorization-server';

export const serves = (path) => path.startsWith('/api/');

// Registering, the server itself, who one is, posting and deleting: status and body.
export function api({ method, path, token, body, posts, url }) {
  const asked = `${method} ${path}`;
  if (asked === 'POST /api/v1/apps') return [200, { id: '1', name: 'flockd', website: null, ...app }];
  if (asked === 'GET /api/v2/instance') {
    const statuses = { max_characters: 500, max_media_attachments: 4, characters_reserved_per_url: 23 };
    return [200, { domain: 'social.example', version: '4.4.3', configuration: { statuses } }];
  }
  if (!token?.accountId) return [401, { error: 'The access token is invalid' }];
  const handle = token.accountId;
  const needed = method === 'GET' ? /^read:/ : /^write:statuses$/;
  if (!token.scope?.split(' ').some((scope) => needed.test(scope))) {
    return [403, { error: 'This action is outside the authorized scopes' }];
  }
  const account = { id: '1', username: handle, acct: handle, display_name: '', note: '', bot: false, url: `${url}/@${handle}` };
  if (asked === 'GET /api/v1/accounts/verify_credentials') return [200, { ...account, source: { note: '' } }];
  const shown = ({ id, text }) => ({ id, url: `${url}/@${handle}/${id}`, content: `<p>${text}</p>`, account });
  if (asked === 'POST /api/v1/statuses') {
    const post = { id: String(posts.length + 1), handle, text: JSON.parse(body).status, deleted: false };
    posts.push(post);
    return [200, shown(post)];
  }
  const id = /^\/api\/v1\/statuses\/(\d+)$/.exec(path)?.[1];
  const post = posts.find((known) => known.id === id && known.handle === handle && !known.deleted);
  if (!post) return [404, { error: 'Record not found' }];
  post.deleted = method === 'DELETE';
  return [200, shown(post)];
}
