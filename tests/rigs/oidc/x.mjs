// X's side of the server: its paths, its scopes, its clients, and a small API with X's shapes.

export const scopes = ['tweet.read', 'users.read', 'tweet.write', 'offline.access'];

export const routes = {
  authorization: '/i/oauth2/authorize',
  revocation: '/2/oauth2/revoke',
  token: '/2/oauth2/token',
};

const grants = { grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'] };

export const clients = [
  { ...grants, client_id: 'public-flock', token_endpoint_auth_method: 'none' },
  {
    ...grants,
    client_id: 'confidential-flock',
    client_secret: 'secret-of-the-confidential-flock',
    token_endpoint_auth_method: 'client_secret_basic',
  },
];

export const serves = (path) => path.startsWith('/2/users/') || path.startsWith('/2/tweets');

// Who one is, posting and deleting: status and body.
export function api({ method, path, token, body, posts }) {
  if (!token) return problem(401, 'Unauthorized');
  const handle = token.accountId;
  const needed = method === 'GET' ? 'users.read' : 'tweet.write';
  if (!token.scope?.split(' ').includes(needed)) return problem(403, 'Forbidden');
  const id = /^\/2\/tweets\/(\d+)$/.exec(path)?.[1];
  if (method === 'GET' && path === '/2/users/me') {
    return [200, { data: { id: '1000000000', name: `The poet ${handle}`, username: handle } }];
  }
  if (method === 'POST' && path === '/2/tweets') {
    const post = { id: String(posts.length + 1), handle, text: JSON.parse(body).text, deleted: false };
    posts.push(post);
    return [201, { data: { id: post.id, text: post.text } }];
  }
  const post = posts.find((known) => known.id === id && known.handle === handle && !known.deleted);
  if (method === 'DELETE' && post) {
    post.deleted = true;
    return [200, { data: { deleted: true } }];
  }
  return problem(404, 'Not Found');
}

function problem(status, title) {
  return [status, { title, type: 'about:blank', status, detail: title }];
}
